#include "net-verify/model/expected.h"

#include "policy-lang/table.h"

namespace mvm::verify {
namespace {

using Range = std::pair<std::uint32_t, std::uint32_t>;

Range range_of(const Subnet& subnet) { return {subnet.base, static_cast<std::uint32_t>(subnet.base + subnet.size() - 1)}; }

// RFC 1918, RFC 6598; and RFC 6890's "this" host, loopback, link-local, multicast and above.
constexpr Range kPrivate[] = {{0x0a00'0000, 0x0aff'ffff}, {0x6440'0000, 0x647f'ffff}, {0xac10'0000, 0xac1f'ffff}, {0xc0a8'0000, 0xc0a8'ffff}};
constexpr Range kNobodys[] = {{0, 0x00ff'ffff}, {0x7f00'0000, 0x7fff'ffff}, {0xa9fe'0000, 0xa9fe'ffff}, {0xe000'0000, 0xffff'ffff}};

// What of the range lies in none of the subnets.
void put_outside_of(std::vector<Range>& ranges, Range range, const std::vector<Subnet>& subnets) {
  for (std::size_t i = 0; i < subnets.size(); ++i) {
    const auto [first, last] = range_of(subnets[i]);
    if (last < range.first || first > range.second) continue;
    const std::vector<Subnet> rest(subnets.begin() + static_cast<std::ptrdiff_t>(i) + 1, subnets.end());
    if (first > range.first) put_outside_of(ranges, {range.first, first - 1}, rest);
    if (last >= range.second) return;
    range.first = last + 1;
  }
  ranges.push_back(range);
}

void read_policy(const lang::Document& policy, Expected& made) {
  std::vector<Subnet> egress;
  made.closed.assign(std::begin(kNobodys), std::end(kNobodys));
  for (const lang::Statement& line : policy.statements) {
    if (line.word == lang::Word::kCidr) made.cidr = Subnet::unpack(line.numbers[0]);
    if (line.word == lang::Word::kEgress) egress.push_back(Subnet::unpack(line.numbers[0]));
    if (line.word == lang::Word::kClosed) made.closed.push_back(range_of(Subnet::unpack(line.numbers[0])));
  }
  for (const Range& range : kPrivate) put_outside_of(made.closed, range, egress);
}

}  // namespace

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
  if (policy != nullptr) read_policy(*policy, made);
  return made;
}

}  // namespace mvm::verify
