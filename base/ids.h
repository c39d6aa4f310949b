// The names everything is found by: tenants, pools, instances, nodes, and the addresses that follow from them.
// Values only; trivially copyable, compared byte by byte.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace mvm {

inline constexpr std::size_t kMaxName = 32;  // bytes of a tenant, pool or node id

// [a-z][a-z0-9-]{0,31}, not ending in '-'. Padded with NUL, so that memory order is text order.
class Name {
 public:
  Name() = default;  // the empty name: none
  // The name, or nothing where the text is not one.
  [[nodiscard]] static std::optional<Name> from(std::string_view text);
  [[nodiscard]] std::string_view view() const { return {chars_.data(), size()}; }
  [[nodiscard]] std::size_t size() const {
    std::size_t size = 0;
    for (std::uint64_t part = 0; size < kMaxName && (part = eight(size)) != 0;) {
      const auto unused = static_cast<std::size_t>(std::countr_zero(part)) / 8;
      size += sizeof part - unused;
      if (unused != 0) break;
    }
    return size;
  }
  [[nodiscard]] bool empty() const { return chars_[0] == '\0'; }
  [[nodiscard]] const std::array<char, kMaxName>& padded() const { return chars_; }
  bool operator==(const Name& other) const {
    std::uint64_t differ = 0;
    for (std::size_t i = 0; i < kMaxName; i += sizeof differ) differ |= eight(i) ^ other.eight(i);
    return differ == 0;
  }
  // Names are ASCII, so the order of their bytes is the order of their text.
  std::strong_ordering operator<=>(const Name& other) const {
    for (std::size_t i = 0; i < kMaxName; i += sizeof(std::uint64_t)) {
      if (const std::uint64_t mine = eight(i), its = other.eight(i); mine != its) return mine <=> its;
    }
    return std::strong_ordering::equal;
  }

 private:
  // Eight characters from `at` on as a number, the first of them its greatest digit.
  [[nodiscard]] std::uint64_t eight(std::size_t at) const {
    std::uint64_t number = 0;
    std::memcpy(&number, chars_.data() + at, sizeof number);
    return std::endian::native == std::endian::little ? std::byteswap(number) : number;
  }

  std::array<char, kMaxName> chars_{};
};

// "i-" and 8 lower-case hex digits.
struct InstanceId {
  std::uint32_t value = 0;
  auto operator<=>(const InstanceId&) const = default;
  [[nodiscard]] static std::optional<InstanceId> from(std::string_view text);
};
[[nodiscard]] std::string to_string(InstanceId id);

enum class SubjectKind : std::uint8_t { kNone, kTenant, kPool, kInstance };

// Whom a statement is about. Ordered by tenant, then pool, then instance; the shorter subject first.
struct Subject {
  Name tenant;
  Name pool;
  SubjectKind kind = SubjectKind::kNone;
  InstanceId instance;

  auto operator<=>(const Subject&) const = default;
};
[[nodiscard]] std::string to_string(const Subject& subject);
[[nodiscard]] Subject tenant_subject(Name tenant);
[[nodiscard]] Subject pool_subject(Name tenant, Name pool);
[[nodiscard]] Subject instance_subject(Name tenant, Name pool, InstanceId instance);

inline constexpr unsigned kMinPrefix = 8;
inline constexpr unsigned kMaxPrefix = 30;

// An IPv4 network (RFC 4632), host bits zero. `base` in host byte order.
struct Subnet {
  std::uint32_t base = 0;
  std::uint8_t prefix = 0;
  auto operator<=>(const Subnet&) const = default;

  [[nodiscard]] std::uint64_t size() const { return std::uint64_t{1} << (32 - prefix); }
  [[nodiscard]] bool aligned() const { return (base & (size() - 1)) == 0; }
  [[nodiscard]] bool contains(const Subnet& inner) const {
    return inner.base >= base && std::uint64_t{inner.base} + inner.size() <= std::uint64_t{base} + size();
  }
  [[nodiscard]] bool overlaps(const Subnet& other) const { return contains(other) || other.contains(*this); }
  // How a subnet travels in one number: base << 8 | prefix.
  [[nodiscard]] std::uint64_t packed() const { return std::uint64_t{base} << 8 | prefix; }
  [[nodiscard]] static Subnet unpack(std::uint64_t packed) {
    return {static_cast<std::uint32_t>(packed >> 8), static_cast<std::uint8_t>(packed & 0xff)};
  }
};
[[nodiscard]] std::string ipv4_to_string(std::uint32_t address);
[[nodiscard]] std::string to_string(const Subnet& subnet);

}  // namespace mvm
