#include "vault/base64.h"

namespace mvm::vault {
namespace {

std::optional<std::uint32_t> six_bits(std::uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  if (c == '/') return 63;
  return std::nullopt;
}

}  // namespace

std::optional<std::size_t> decode_base64(std::span<const std::uint8_t> text, std::span<std::uint8_t> out) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  const std::size_t padding = text[text.size() - 1] != '=' ? 0 : text[text.size() - 2] != '=' ? 1 : 2;
  const std::size_t size = text.size() / 4 * 3 - padding;
  if (size > out.size()) return std::nullopt;
  for (std::size_t at = 0, to = 0; at < text.size(); at += 4) {
    std::uint32_t group = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
      const auto bits = i >= text.size() - padding ? 0 : six_bits(text[i]);
      if (!bits) return std::nullopt;
      group = group << 6 | *bits;
    }
    for (int shift = 16; shift >= 0; shift -= 8) {
      const auto byte = static_cast<std::uint8_t>(group >> shift);
      if (to < size) out[to++] = byte;
      else if (byte != 0) return std::nullopt;  // bits that no byte has: another spelling
    }
  }
  return size;
}

}  // namespace mvm::vault
