#include "net-verify/model/expected.h"

#include "policy-lang/table.h"

namespace mvm::verify {
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
