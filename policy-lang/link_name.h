// Names of links read back: what base/derived.h makes of net ids and slots. Pure; no code of its own to link.
// Proven by: tests/net/inventory_test.cc, tests/net-verify/structure_test.cc.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/derived.h"
#include "policy-lang/table.h"

namespace mvm::lang {

struct LinkName {
  std::uint16_t net = 0;
  std::optional<std::uint32_t> slot;  // of a tap; none: a bridge
};

// The number at the front of the text, which is taken off it.
template <class T>
[[nodiscard]] std::optional<T> take_number(std::string_view& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

[[nodiscard]] inline bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// By making it again: what does not come out the same is not a name of ours.
[[nodiscard]] inline std::optional<LinkName> read_link_name(std::string_view name) {
  std::string_view rest = name;
  const bool bridge = take_prefix(rest, "br-tenant-");
  if (!bridge && !take_prefix(rest, "tn")) return std::nullopt;
  const auto net = take_number<std::uint16_t>(rest);
  if (!net || *net > lang::kMaxNet) return std::nullopt;
  if (bridge) return bridge_name(*net) == name ? std::optional(LinkName{*net, std::nullopt}) : std::nullopt;
  if (!take_prefix(rest, "i")) return std::nullopt;
  const auto slot = take_number<std::uint32_t>(rest);
  if (!slot || tap_name(*net, *slot) != name) return std::nullopt;
  return LinkName{*net, *slot};
}

}  // namespace mvm::lang
