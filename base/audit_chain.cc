#include "base/audit_chain.h"

#include <algorithm>
#include <cstring>

namespace mvm {
namespace {

constexpr std::string_view kMark = " chain=";
constexpr std::size_t kTailBytes = kMark.size() + kDigestHex;
constexpr std::string_view kMagic = "mvmaudit";

std::string_view bytes_of(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

std::unexpected<AuditFault> fault(std::uint64_t line, std::string why) { return std::unexpected(AuditFault{line, std::move(why)}); }

struct HeadBytes {
  char magic[8];
  std::uint64_t lines;
  std::uint64_t bytes;
  std::uint8_t hash[32];
  std::uint8_t sum[32];  // of all above
};
static_assert(sizeof(HeadBytes) == kAuditHeadBytes && offsetof(HeadBytes, sum) == 56);

}  // namespace

AuditLine next_audit_line(const AuditHead& head, std::string_view time, std::string_view what) {
  std::string body = std::to_string(head.lines + 1) + " " + std::string(time) + " " + std::string(what);
  if (body.size() > kMaxAuditLine - kTailBytes) body.resize(kMaxAuditLine - kTailBytes);
  std::ranges::replace_if(body, [](char c) { return !is_printable(c); }, '?');
  AuditLine line;
  line.head.hash = sha256(bytes_of(head.hash), body);
  line.text = body + std::string(kMark) + to_hex(line.head.hash.bytes) + "\n";
  line.head.lines = head.lines + 1;
  line.head.bytes = head.bytes + line.text.size();
  return line;
}

std::string print_audit_head(const AuditHead& head) {
  HeadBytes out{};
  std::memcpy(out.magic, kMagic.data(), sizeof out.magic);
  out.lines = head.lines;
  out.bytes = head.bytes;
  std::ranges::copy(head.hash.bytes, out.hash);
  const Digest sum = sha256({reinterpret_cast<const char*>(&out), offsetof(HeadBytes, sum)});
  std::ranges::copy(sum.bytes, out.sum);
  return {reinterpret_cast<const char*>(&out), sizeof out};
}

Result<AuditHead> read_audit_head(std::string_view bytes) {
  if (bytes.size() != kAuditHeadBytes) return fail(Errc::kCorrupt, "read the audit log's head");
  HeadBytes from;
  std::memcpy(&from, bytes.data(), sizeof from);
  AuditHead head{from.lines, from.bytes, {}};
  std::ranges::copy(from.hash, head.hash.bytes.begin());
  if (print_audit_head(head) != bytes) return fail(Errc::kCorrupt, "read the audit log's head");
  return head;
}

std::expected<AuditTail, AuditFault> follow_audit(const AuditHead& from, std::string_view lines) {
  AuditTail tail{from, 0};
  while (true) {
    const auto end = lines.find('\n');
    if (end == std::string_view::npos) break;
    const std::uint64_t number = tail.head.lines + 1;
    const std::string_view line = lines.substr(0, end);
    if (line.size() > kMaxAuditLine || line.size() < kTailBytes) return fault(number, "it is no line of an audit log");
    const std::string_view body = line.substr(0, line.size() - kTailBytes);
    const Digest hash = sha256(bytes_of(tail.head.hash), body);
    if (!body.starts_with(std::to_string(number) + " ")) return fault(number, "its number is not " + std::to_string(number) + ": lines were cut, put in or moved");
    if (line.substr(body.size()) != std::string(kMark) + to_hex(hash.bytes)) {
      return fault(number, "its hash does not follow from it and the line before: one of them was changed");
    }
    tail.head = {number, tail.head.bytes + end + 1, hash};
    lines.remove_prefix(end + 1);
  }
  tail.torn_bytes = lines.size();
  return tail;
}

std::expected<AuditTail, AuditFault> verify_audit(std::string_view log, std::string_view head_bytes) {
  const auto head = read_audit_head(head_bytes);
  if (!head) return fault(0, "the head is damaged");
  if (head->bytes > log.size()) {
    // Say how much is left of it.
    const auto left = follow_audit({}, log);
    if (!left) return left;
    return fault(left->head.lines + 1, "it is not there: the head knows " + std::to_string(head->lines) + " lines");
  }
  const auto covered = follow_audit({}, log.substr(0, head->bytes));
  if (!covered) return covered;
  if (covered->torn_bytes != 0 || covered->head != *head) {
    return fault(covered->head.lines, "the chain up to here is not the one that the head knows");
  }
  return follow_audit(*head, log.substr(head->bytes));
}

}  // namespace mvm
