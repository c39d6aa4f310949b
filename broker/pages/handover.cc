#include "broker/pages/handover.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "base/descriptors.h"

namespace mvm::pages {
namespace {

constexpr std::uint64_t kAddressEnd = std::uint64_t{1} << 56;  // above what any of the two architectures gives a process

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read a hand-over", what); }

// One region as its text says it; each at most once.
struct Fields {
  std::optional<std::uint64_t> base, size, offset, page, page_kib;
};

// [{"name":number,...},...] and nothing else: what serde_json prints of Firecracker's structure, without spaces.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  [[nodiscard]] bool take(char wanted) {
    if (text_.empty() || text_.front() != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }
  [[nodiscard]] bool at_end() const { return text_.empty(); }

  std::optional<std::string_view> name() {
    if (!take('"')) return std::nullopt;
    const std::size_t end = text_.find('"');
    if (end == std::string_view::npos) return std::nullopt;
    const auto found = text_.substr(0, end);
    text_.remove_prefix(end + 1);
    return found;
  }
  // Decimal digits, no sign, no leading zero, at most 2^64 - 1.
  std::optional<std::uint64_t> number() {
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      if (__builtin_mul_overflow(value, std::uint64_t{10}, &value) || __builtin_add_overflow(value, static_cast<std::uint64_t>(text_[digits] - '0'), &value)) return std::nullopt;
    }
    if (digits == 0 || (digits > 1 && text_.front() == '0')) return std::nullopt;
    text_.remove_prefix(digits);
    return value;
  }

 private:
  std::string_view text_;
};

std::optional<std::uint64_t>* field_named(Fields& fields, std::string_view name) {
  if (name == "base_host_virt_addr") return &fields.base;
  if (name == "size") return &fields.size;
  if (name == "offset") return &fields.offset;
  if (name == "page_size") return &fields.page;
  if (name == "page_size_kib") return &fields.page_kib;
  return nullptr;
}

Result<Fields> read_fields(Scanner& scanner) {
  Fields fields;
  if (!scanner.take('{')) return malformed("form");
  do {
    const auto name = scanner.name();
    if (!name || !scanner.take(':')) return malformed("form");
    const auto value = scanner.number();
    if (!value) return malformed("number");
    auto* const field = field_named(fields, *name);
    if (field == nullptr) return malformed("a field that there is not");
    if (field->has_value()) return malformed("a field twice");
    *field = value;
  } while (scanner.take(','));
  if (!scanner.take('}')) return malformed("form");
  return fields;
}

Result<Region> region_of(const Fields& fields) {
  if (!fields.base || !fields.size || !fields.offset) return malformed("a field is missing");
  return Region{*fields.base, *fields.size, *fields.offset};
}

// In bytes in both, whatever the older one is called (v1.10 has that alone, later ones have both).
Result<std::uint32_t> page_of(const Fields& fields) {
  if (!fields.page && !fields.page_kib) return malformed("a field is missing");
  if (fields.page && fields.page_kib && *fields.page != *fields.page_kib) return malformed("page size");
  const std::uint64_t page = fields.page ? *fields.page : *fields.page_kib;
  if (page != kSmallPage && page != kHugePage) return malformed("page size");
  return static_cast<std::uint32_t>(page);
}

Status check(const Mappings& mappings, const Shape& shape) {
  const std::uint64_t unit = std::max(shape.chunk, mappings.page);
  std::uint64_t at = 0;
  for (const Region& region : mappings.regions) {
    if (region.offset != at) return fail(Errc::kMalformed, "read a hand-over", "regions are not in order");
    if (region.size == 0 || region.size % unit != 0 || region.size > shape.memory - at) return fail(Errc::kMalformed, "read a hand-over", "size");
    if (region.base == 0 || region.base % mappings.page != 0 || region.base >= kAddressEnd) return fail(Errc::kMalformed, "read a hand-over", "address");
    at += region.size;
    for (const Region& other : mappings.regions) {
      if (&other == &region) break;
      if (region.base < other.base + other.size && other.base < region.base + region.size) return fail(Errc::kMalformed, "read a hand-over", "regions overlap");
    }
  }
  if (at != shape.memory) return fail(Errc::kMalformed, "read a hand-over", "not all of the memory");
  return {};
}

Result<Fd> only_descriptor(msghdr& message) {
  std::vector<Fd> fds = descriptors_in(message);
  if (fds.size() != 1 || (message.msg_flags & MSG_CTRUNC) != 0) return fail(Errc::kDenied, "read a hand-over", "not one descriptor");
  return std::move(fds.front());
}

}  // namespace

Result<Mappings> parse_mappings(std::string_view text, const Shape& shape) {
  if (text.size() > kMaxHandOver) return fail(Errc::kLimit, "read a hand-over", "length");
  Scanner scanner(text);
  Mappings mappings;
  if (!scanner.take('[')) return malformed("form");
  do {
    const auto fields = read_fields(scanner);
    if (!fields) return forward(fields.error());
    const auto region = region_of(*fields);
    const auto page = page_of(*fields);
    if (!region || !page) return forward(region ? page.error() : region.error());
    if (!mappings.regions.empty() && mappings.page != *page) return malformed("page size");
    if (mappings.regions.size() == kMaxRegions) return fail(Errc::kLimit, "read a hand-over", "regions");
    mappings.page = *page;
    mappings.regions.push_back(*region);
  } while (scanner.take(','));
  if (!scanner.take(']') || !scanner.at_end()) return malformed("form");
  if (auto ok = check(mappings, shape); !ok) return forward(std::move(ok.error()));
  return mappings;
}

Result<HandOver> receive_hand_over(int socket, const Shape& shape) {
  std::array<char, kMaxHandOver + 1> text;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(4 * sizeof(int))> control;
  iovec part{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  int saved = 0;
  do {
    got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    saved = errno;
  } while (got < 0 && saved == EINTR);
  if (got < 0) return fail_errno(saved, "read a hand-over");
  auto fd = only_descriptor(message);
  if (got == 0) return fail(Errc::kClosed, "read a hand-over");
  if (!fd) return forward(std::move(fd.error()));
  auto mappings = parse_mappings({text.data(), static_cast<std::size_t>(got)}, shape);
  if (!mappings) return forward(std::move(mappings.error()));
  return HandOver{std::move(*mappings), std::move(*fd)};
}

}  // namespace mvm::pages
