#include "base/digest.h"

#include "base/hasher.h"

namespace mvm {

Digest sha256(std::string_view data) { return sha256(data, {}); }

Digest sha256(std::string_view first, std::string_view second) {
  Sha256 hasher;
  hasher.add(first);
  hasher.add(second);
  return hasher.digest();
}

std::string to_hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

std::string to_string(const Digest& digest) { return std::string(kDigestPrefix) + to_hex(digest.bytes); }

std::optional<std::array<std::uint8_t, 32>> hex32(std::string_view hex) {
  if (hex.size() != kDigestHex) return std::nullopt;
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t i = 0; i < hex.size(); ++i) {
    const char c = hex[i];
    int nibble = 0;
    if (c >= '0' && c <= '9') nibble = c - '0';
    else if (c >= 'a' && c <= 'f') nibble = c - 'a' + 10;
    else return std::nullopt;
    bytes[i / 2] = static_cast<std::uint8_t>(bytes[i / 2] << 4 | nibble);
  }
  return bytes;
}

std::optional<Digest> parse_digest(std::string_view text) {
  if (!text.starts_with(kDigestPrefix)) return std::nullopt;
  const auto bytes = hex32(text.substr(kDigestPrefix.size()));
  if (!bytes) return std::nullopt;
  return Digest{*bytes};
}

}  // namespace mvm
