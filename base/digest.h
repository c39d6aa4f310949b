// SHA-256 (FIPS 180-4) as a value. Spelled "sha256:" and 64 lower-case hex digits.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mvm {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const Digest&) const = default;
};

inline constexpr std::string_view kDigestPrefix = "sha256:";
inline constexpr std::size_t kDigestHex = 64;

[[nodiscard]] Digest sha256(std::string_view data);
[[nodiscard]] Digest sha256(std::string_view first, std::string_view second);
[[nodiscard]] std::string to_hex(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::string to_string(const Digest& digest);
// Exactly 64 lower-case hex digits, or nothing.
[[nodiscard]] std::optional<std::array<std::uint8_t, 32>> hex32(std::string_view hex);
// Exactly "sha256:" and 64 lower-case hex digits, or nothing.
[[nodiscard]] std::optional<Digest> parse_digest(std::string_view text);

}  // namespace mvm
