#include "base/one_word.h"

namespace mvm {

std::string one_word(std::string_view name) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char byte : name) {
    const auto value = static_cast<unsigned char>(byte);
    const bool plain = value > ' ' && value < 0x7f && byte != ';';
    const std::string next = plain ? std::string(1, byte) : std::string{'\\', 'x', kHex[value >> 4], kHex[value & 15]};
    if (out.size() + next.size() > kMaxWord) return out + "...";
    out += next;
  }
  return out;
}

}  // namespace mvm
