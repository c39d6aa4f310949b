// Walks netlink attributes (include/uapi/linux/netlink.h: struct nlattr) that the kernel sent, each length checked before
// it is believed. Pure; borrows the bytes.
// Proven by: tests/net/reply_test.cc, fuzz/netlink_reply_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace mvm::net {

using Bytes = std::span<const std::uint8_t>;

inline constexpr std::size_t kAttributeHeader = 4;         // u16 length, u16 type
inline constexpr std::uint16_t kAttributeType = 0x3fff;    // without NLA_F_NESTED and NLA_F_NET_BYTEORDER

// A value of T from the front of the bytes, in host order as netlink sends it; nothing where they are too few.
template <class T>
[[nodiscard]] std::optional<T> read_value(Bytes bytes) {
  T value;
  if (bytes.size() < sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

// The text up to the first NUL, or all of it.
[[nodiscard]] inline std::string_view read_text(Bytes bytes) {
  const auto* chars = reinterpret_cast<const char*>(bytes.data());
  return {chars, bytes.empty() ? 0 : strnlen(chars, bytes.size())};
}

struct Attribute {
  std::uint16_t type = 0;
  Bytes value;
};

// Takes attributes off the front, one by one. What does not fit ends the walk and sets malformed().
class Attributes {
 public:
  explicit Attributes(Bytes bytes) : rest_(bytes) {}

  [[nodiscard]] std::optional<Attribute> next() {
    if (rest_.empty()) return std::nullopt;
    const auto length = read_value<std::uint16_t>(rest_);
    if (!length || rest_.size() < kAttributeHeader || *length < kAttributeHeader || *length > rest_.size()) return stop();
    const auto type = read_value<std::uint16_t>(rest_.subspan(2));
    Attribute found{static_cast<std::uint16_t>(*type & kAttributeType),
                    rest_.subspan(kAttributeHeader, *length - kAttributeHeader)};
    const std::size_t aligned = (std::size_t{*length} + 3) & ~std::size_t{3};
    rest_ = rest_.subspan(aligned < rest_.size() ? aligned : rest_.size());
    return found;
  }

  [[nodiscard]] bool malformed() const { return malformed_; }

 private:
  [[nodiscard]] std::optional<Attribute> stop() {
    malformed_ = true;
    rest_ = {};
    return std::nullopt;
  }

  Bytes rest_;
  bool malformed_ = false;
};

}  // namespace mvm::net
