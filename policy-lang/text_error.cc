#include "policy-lang/text_error.h"

#include <array>

#include "policy-lang/table.h"

namespace mvm::lang {

std::string_view to_string(Rule rule) {
  constexpr std::array<std::string_view, 7> kNames = {"",          "V1 form",      "V2 order",    "V3 invariant",
                                                      "V4 policy", "V5 authority", "V6 freshness"};
  return kNames[static_cast<std::size_t>(rule)];
}

std::string Refusal::message() const {
  std::string text(to_string(rule));
  if (line != 0) text += ", line " + std::to_string(line);
  if (column != 0) text += ", column " + std::to_string(column);
  if (!statement.empty()) text += ": " + statement;
  text += " (" + why + ")";
  if (!remedy.empty()) text += ". To pass: " + remedy;
  return text;
}

std::string printable(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte >= 0x20 && byte < 0x7f;
    if (out.size() + (plain ? 1 : 4) > kMaxLineBytes) break;
    if (plain) out += c;
    else out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

}  // namespace mvm::lang
