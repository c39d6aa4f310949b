#include "policy-lang/print.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace mvm::lang {
namespace {

// Bytes of a line that is being written: room for more than any statement, out of its bounds too, can take.
class Line {
 public:
  Line& operator+=(char c) {
    if (size_ == bytes_.size()) std::abort();
    bytes_[size_++] = c;
    return *this;
  }
  Line& operator+=(std::string_view text) {
    if (text.size() > bytes_.size() - size_) std::abort();
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
    return *this;
  }
  void number(std::uint64_t value) {
    const auto [end, error] = std::to_chars(bytes_.data() + size_, bytes_.data() + bytes_.size(), value);
    if (error != std::errc{}) std::abort();
    size_ = static_cast<std::size_t>(end - bytes_.data());
  }
  [[nodiscard]] std::string_view text() const { return {bytes_.data(), size_}; }

 private:
  std::array<char, 2048> bytes_;
  std::size_t size_ = 0;
};

constexpr char kHexDigits[] = "0123456789abcdef";

void append_hex(Line& line, const Digest& digest) {
  std::array<char, kDigestHex> hex;
  for (std::size_t i = 0; i < digest.bytes.size(); ++i) {
    hex[2 * i] = kHexDigits[digest.bytes[i] >> 4];
    hex[2 * i + 1] = kHexDigits[digest.bytes[i] & 15];
  }
  line += std::string_view(hex.data(), hex.size());
}

void append_digest(Line& line, const Digest& digest) {
  line += kDigestPrefix;
  append_hex(line, digest);
}

void append_subnet(Line& line, const Subnet& subnet) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    line.number(subnet.base >> shift & 255);
    line += shift == 0 ? '/' : '.';
  }
  line.number(subnet.prefix);
}

void append_key(Line& line, const Name& tenant, std::uint64_t version) {
  line += tenant.view();
  line += '/';
  line.number(version);
}

void append_subject(Line& line, const Subject& subject) {
  if (subject.kind == SubjectKind::kNone) return;
  line += ' ';
  line += subject.tenant.view();
  if (subject.kind == SubjectKind::kTenant) return;
  line += '/';
  line += subject.pool.view();
  if (subject.kind == SubjectKind::kPool) return;
  line += "/i-";
  for (int shift = 28; shift >= 0; shift -= 4) line += kHexDigits[subject.instance.value >> shift & 15];
}

// A value that its field has no word for cannot come from parse(); it is printed as what nobody parses.
std::string_view word_of(const Field& field, std::uint64_t value) {
  return value < field.words.size() ? field.words[value] : std::string_view("?");
}

// `digest`: where the field's digest is, if it is of a kind that has one.
void append_value(Line& line, const Statement& s, const Field& field, std::uint64_t number, std::size_t digest) {
  using enum FieldKind;
  switch (field.kind) {
    case kNumber: line.number(number); return;
    case kWord: line += word_of(field, number); return;
    case kSubnet: append_subnet(line, Subnet::unpack(number)); return;
    case kPublicKey: line += kPublicKeyPrefix; append_hex(line, s.digests[digest]); return;
    case kKey:
    case kKeyOrNone:
      if (number == 0) line += kNoneText;
      else append_key(line, s.key_tenant, number);
      return;
    case kBoot:
      if (number == kBootCold) {
        line += kColdText;
        return;
      }
      line += kSnapshotPrefix;
      break;
    case kDigest:
    case kDigestOrNone:
      if (number == 0) {
        line += kNoneText;
        return;
      }
      break;
  }
  append_digest(line, s.digests[digest]);
}

void append_statement(Line& line, const Statement& s) {
  static constexpr std::string_view kSigns[] = {"", "+ ", "- ", "~ "};
  const Row& what = row(s.word);
  line += kSigns[static_cast<std::size_t>(s.sign)];
  line += what.name;
  append_subject(line, s.subject);
  if (s.sign == Sign::kMove && !what.moves.empty()) {
    const Field& field = moved_field(what);
    for (std::size_t i = 0; i < 2; ++i) {
      line += i == 0 ? ' ' : '>';
      if (field.kind == FieldKind::kWord) line += word_of(field, s.numbers[i]);
      else line.number(s.numbers[i]);
    }
    return;
  }
  std::size_t digest = 0;
  for (std::size_t i = 0; i < what.fields.size(); ++i) {
    const Field& field = what.fields[i];
    line += ' ';
    line += field.name;
    line += '=';
    append_value(line, s, field, s.numbers[i], digest);
    digest += holds_digest(field.kind);
  }
}

void append_header(Line& line, const Document& document) {
  const Header& header = document.header;
  line += "mvm-";
  line += to_string(document.kind);
  line += document.kind == Kind::kManifest ? " 1\nflake " : " 1\nnode ";
  line += document.kind == Kind::kManifest ? header.flake.view() : header.node.view();
  line += '\n';
  if (document.kind == Kind::kPolicy || document.kind == Kind::kManifest) return;
  line += "generation ";
  line.number(header.generation);
  line += '\n';
  if (document.kind == Kind::kProjection) return;
  line += "desired ";
  if (header.has_desired) append_digest(line, header.desired);
  else line += kNoneText;
  line += '\n';
  if (document.kind != Kind::kPlan) return;
  line += "base ";
  append_digest(line, header.base);
  line += '\n';
}

// Gives all bytes above the `end` line to `take`, in parts.
template <class Take>
void write_body(const Document& document, Take take) {
  Line header;
  append_header(header, document);
  take(header.text());
  for (const Statement& statement : document.statements) {
    Line line;
    append_statement(line, statement);
    line += '\n';
    take(line.text());
  }
}

std::string print_body(const Document& document) {
  std::string text;
  text.reserve(512 + document.statements.size() * 96);
  write_body(document, [&text](std::string_view part) { text += part; });
  return text;
}

std::string end_line(const Document& document, std::string_view body) {
  return document.kind == Kind::kPolicy ? "end\n" : "end " + to_string(sha256(body)) + "\n";
}

}  // namespace

std::string print(const Document& document) {
  std::string text = print_body(document);
  return text += end_line(document, text);
}

std::string print(const Statement& statement) {
  Line line;
  append_statement(line, statement);
  return std::string(line.text());
}

std::size_t text_size(const Document& document) {
  std::size_t size = end_line(document, {}).size();
  write_body(document, [&size](std::string_view part) { size += part.size(); });
  return size;
}

Digest text_digest(const Document& document) { return sha256(print_body(document)); }

Digest snapshot_digest(const Statement& snapshot) {
  Statement in_state = snapshot;
  in_state.sign = Sign::kNone;
  return sha256(print(in_state));
}

std::string strip_comments(std::string_view policy_text) {
  std::string text;
  text.reserve(policy_text.size());
  while (!policy_text.empty()) {
    const std::size_t line_feed = policy_text.find('\n');
    const std::size_t length = line_feed == std::string_view::npos ? policy_text.size() : line_feed + 1;
    const std::string_view line = policy_text.substr(0, length);
    if (line.front() != '#' && line != "\n") text += line;
    policy_text.remove_prefix(length);
  }
  return text;
}

}  // namespace mvm::lang
