#include "net-verify/model/expected.h"

#include <charconv>

#include "base/derived.h"
#include "policy-lang/table.h"

namespace mvm::verify {
namespace {

template <class T>
std::optional<T> take_number(std::string_view& text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::optional<Named> read_name(std::string_view name) {
  std::string_view rest = name;
  const bool bridge = take_prefix(rest, "br-tenant-");
  if (!bridge && !take_prefix(rest, "tn")) return std::nullopt;
  const auto net = take_number<std::uint16_t>(rest);
  if (!net || *net > lang::kMaxNet) return std::nullopt;
  if (bridge) return bridge_name(*net) == name ? std::optional(Named{*net, std::nullopt}) : std::nullopt;
  if (!take_prefix(rest, "i")) return std::nullopt;
  const auto slot = take_number<std::uint32_t>(rest);
  if (!slot || tap_name(*net, *slot) != name) return std::nullopt;
  return Named{*net, *slot};
}

Result<Expected> Expected::from(const lang::Document& state, const lang::Document* policy) {
  if (state.kind != lang::Kind::kState || (policy != nullptr && policy->kind != lang::Kind::kPolicy))
    return fail(Errc::kMalformed, "read what there should be", "not a state, or not a policy");
  Expected made;
  std::map<Name, std::uint16_t> nets;
  for (const lang::Statement& statement : state.statements) {
    if (statement.word != lang::Word::kBridge) continue;
    const lang::BridgeView view = lang::bridge_view(statement);
    nets[statement.subject.tenant] = view.net;
    made.tenants[view.net] = {statement.subject.tenant, view.net, true, view.subnet, std::nullopt, {}};
  }
  for (const lang::Statement& statement : state.statements) {
    const bool tap = statement.word == lang::Word::kTap, rule = statement.word == lang::Word::kRule;
    if (!tap && !rule) continue;
    const auto net = nets.find(statement.subject.tenant);
    if (net == nets.end()) return fail(Errc::kMalformed, "read what there should be", to_string(statement.subject) + " has no bridge");
    if (tap) made.tenants[net->second].slots.insert(lang::tap_view(statement).slot);
    else made.tenants[net->second].egress = lang::rule_view(statement).egress;
  }
  if (policy != nullptr)
    for (const lang::Statement& statement : policy->statements)
      if (statement.word == lang::Word::kCidr) made.cidr = Subnet::unpack(statement.numbers[0]);
  return made;
}

}  // namespace mvm::verify
