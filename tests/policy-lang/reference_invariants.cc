// V3 of the second verifier; what a policy, a projection and a state must be by themselves. The sentences are those of
// docs/language.md.
#include "policy-lang/print.h"
#include "tests/policy-lang/reference_verifier.h"

namespace mvm::lang::reference {
namespace {

constexpr unsigned kShortestPrefix = 12, kLongestPrefix = 29;

// ---- V3, of what a `+` makes

// Bridges of a state, or the tenants of a projection ("as if each had its bridge").
bool is_network(const Statement& s) { return s.word == Word::kBridge || s.word == Word::kTenant; }
bool makes_network(const Moment& m) { return is_network(*m.said) && (m.said->sign == Sign::kAdd || m.said->word == Word::kTenant); }
bool makes_any(const Moment& m) { return m.said->sign == Sign::kAdd; }
bool has_slot(const Statement& s) { return s.word == Word::kTap || s.word == Word::kSnapshot; }

bool no_two_overlap(const Statement& one, const Statement& other) {
  return one.subject == other.subject || !subnet_of(one).overlaps(subnet_of(other));
}
bool no_two_share_a_net(const Statement& one, const Statement& other) {
  return one.subject == other.subject || one.number("net") != other.number("net");
}

bool subnet_is_in_the_cidr_and_free(const Moment& m) {
  if (!makes_network(m)) return true;
  if (!subnet_of(policy_line(m, Word::kCidr)).contains(subnet_of(*m.said))) return false;
  return std::ranges::all_of(m.after, [&](const Statement& s) { return !is_network(s) || no_two_overlap(s, *m.said); });
}

bool prefix_is_within_bounds(const Moment& m) {
  return !makes_network(m) || (subnet_of(*m.said).prefix >= kShortestPrefix && subnet_of(*m.said).prefix <= kLongestPrefix);
}

bool net_is_free(const Moment& m) {
  if (!makes_network(m)) return true;
  return std::ranges::all_of(m.after, [&](const Statement& s) { return !is_network(s) || no_two_share_a_net(s, *m.said); });
}

const Statement* bridge_of(const Moment& m) { return find(m.after, Word::kBridge, tenant_subject(m.said->subject.tenant)); }

bool slot_is_in_the_subnet(const Moment& m) {
  if (!makes(m, Word::kTap)) return true;
  const std::uint64_t slot = m.said->number("slot");
  return slot >= 3 && slot < subnet_of(*bridge_of(m)).size() - 1;
}

bool no_two_hold_a_slot(const Statement& one, const Statement& other) {
  if (!has_slot(one) || !has_slot(other) || one.subject == other.subject) return true;
  return one.subject.tenant != other.subject.tenant || one.number("slot") != other.number("slot");
}

bool slot_is_free(const Moment& m) {
  if (!makes_any(m) || !has_slot(*m.said)) return true;
  return std::ranges::all_of(m.after, [&](const Statement& s) { return no_two_hold_a_slot(s, *m.said); });
}

bool bridge_has_room(const Moment& m) {
  if (!makes(m, Word::kTap)) return true;
  return count(m.after, [&](const Statement& s) { return s.word == Word::kTap && s.subject.tenant == m.said->subject.tenant; }) <= 1000;
}

bool uid_is_in_the_range(const Moment& m) {
  if (!makes(m, Word::kTap)) return true;
  const auto first = static_cast<std::int64_t>(policy_line(m, Word::kUids).number("first"));
  const auto uids = static_cast<std::int64_t>(policy_line(m, Word::kUids).number("count"));
  const auto address = std::int64_t{subnet_of(*bridge_of(m)).base} + static_cast<std::int64_t>(m.said->number("slot"));
  const std::int64_t uid = first + (address - std::int64_t{subnet_of(policy_line(m, Word::kCidr)).base});
  return uid >= first && uid < first + uids;
}

bool key_is_the_tenants(const Moment& m) {
  return !makes_any(m) || m.said->key_tenant.empty() || m.said->key_tenant == m.said->subject.tenant;
}

bool no_id_in_two_pools(const Statement& one, const Statement& other) {
  if (!of_instance(one) || !of_instance(other) || one.subject.instance != other.subject.instance) return true;
  return one.subject == other.subject;
}

bool id_stands_in_no_other_pool(const Moment& m) {
  if (!makes_any(m)) return true;
  return std::ranges::all_of(m.after, [&](const Statement& s) { return no_id_in_two_pools(s, *m.said); });
}

constexpr Clause kInvariants[] = {
    {Rule::kInvariant, "Subnets of bridges lie in the policy's cidr and do not overlap", subnet_is_in_the_cidr_and_free},
    {Rule::kInvariant, "prefix 12 to 29.", prefix_is_within_bounds},
    {Rule::kInvariant, "Net ids of bridges are unique.", net_is_free},
    {Rule::kInvariant, "A tap's slot is 3 or more and below the subnet's last address (broadcast)", slot_is_in_the_subnet},
    {Rule::kInvariant, "No two taps or snapshots of different instances of one tenant hold the same slot.", slot_is_free},
    {Rule::kInvariant, "At most 1,000 taps a bridge.", bridge_has_room},
    {Rule::kInvariant, "uid = uids.first + (address of the slot - first address of the cidr) is inside the policy's uid range, for every tap.", uid_is_in_the_range},
    {Rule::kInvariant, "A key's tenant is the subject's tenant.", key_is_the_tenants},
    {Rule::kInvariant, "No instance id stands in two pools of one node.", id_stands_in_no_other_pool},
};

// ---- V3, of the states before and after

bool nothing_clashes(const Moment& m) {
  return std::ranges::none_of(m.after, [&](const Statement& one) {
    return std::ranges::any_of(m.after, [&](const Statement& other) { return clash(one, other); });
  });
}

constexpr Clause kStandingState[] = {
    {Rule::kInvariant, "A state in which net ids, subnets, slots or ids clash already is refused whole (line 0).", nothing_clashes},
};

bool is_a_text(const Moment& m) {
  Document text = m.against.state;
  text.header.generation = m.plan.header.generation;
  text.header.has_desired = true;
  text.header.desired = m.plan.header.desired;
  text.statements = m.after;
  return text.statements.size() <= 16'384 && print(text).size() <= 1 << 20;
}

constexpr Clause kStateLedTo[] = {
    {Rule::kInvariant, "The state that the plan leads to is a text within the limits of one", is_a_text},
};

// ---- the policy by itself

std::uint64_t lines_of(const Moment& m, Word word) {
  return count(m.against.policy.statements, [&](const Statement& s) { return s.word == word; });
}
bool has_one_line_of_each(const Moment& m) {
  return std::ranges::all_of(std::array{Word::kCidr, Word::kUids, Word::kLimits, Word::kPerInstance, Word::kEncrypt},
                             [&](Word word) { return lines_of(m, word) == 1; });
}
bool has_a_coordinator(const Moment& m) { return lines_of(m, Word::kCoordinator) >= 1; }

bool has_not_too_many_subnets(const Moment& m) { return lines_of(m, Word::kEgress) <= 64 && lines_of(m, Word::kClosed) <= 64; }

constexpr Clause kPolicyByItself[] = {
    {Rule::kForm, "It has a line each of cidr, uids, limits, instance and encrypt", has_one_line_of_each},
    {Rule::kForm, "and at least one of coordinator.", has_a_coordinator},
    {Rule::kForm, "At most 64 lines of egress, and 64 of closed.", has_not_too_many_subnets},
    {Rule::kForm, "At most 32 lines of device.", [](const Moment& m) { return lines_of(m, Word::kDevice) <= 32; }},
};

// ---- the projection by itself: m.said is its line, m.after its lines so far

bool tenant_is_named(const Moment& m) {
  return (m.said->word != Word::kRule && m.said->word != Word::kPool) || wanted_tenant(m) != nullptr;
}

bool within_quota(const Moment& m, std::string_view quota, std::uint64_t (*of_pool)(const Statement& pool)) {
  if (m.said->word != Word::kPool) return true;
  std::uint64_t total = 0;
  for (const Statement& s : m.after) {
    if (s.word == Word::kPool && s.subject.tenant == m.said->subject.tenant) total += of_pool(s);
  }
  return total <= wanted_tenant(m)->number(quota);
}

std::uint64_t awake_of(const Statement& pool) { return pool.number("running") + pool.number("warm"); }
std::uint64_t all_of(const Statement& pool) { return awake_of(pool) + pool.number("sleeping"); }

bool pools_are_within_quotas(const Moment& m) {
  return within_quota(m, "pools", [](const Statement&) { return std::uint64_t{1}; }) &&
         within_quota(m, "running", [](const Statement& pool) { return pool.number("running"); }) &&
         within_quota(m, "warm", [](const Statement& pool) { return pool.number("warm"); }) &&
         within_quota(m, "vcpus", [](const Statement& pool) { return pool.number("vcpus") * awake_of(pool); }) &&
         within_quota(m, "mem", [](const Statement& pool) { return pool.number("mem") * awake_of(pool); }) &&
         within_quota(m, "disk", [](const Statement& pool) { return pool.number("data") * all_of(pool); });
}

bool pool_is_within_its_quota(const Moment& m) {
  return m.said->word != Word::kPool || all_of(*m.said) <= wanted_tenant(m)->number("instances");
}

constexpr Clause kProjectionByItself[] = {
    {Rule::kInvariant, "Tenants: V3 of their subnets and net ids, as if each had its bridge.",
     [](const Moment& m) { return subnet_is_in_the_cidr_and_free(m) && prefix_is_within_bounds(m) && net_is_free(m); }},
    {Rule::kInvariant, "A rule's and a pool's tenant is named (V3).", tenant_is_named},
    {Rule::kPolicy, "their number, and the sums of running, warm, vcpus x (running + warm), mem x (running + warm), data x (running + warm + sleeping) are within the tenant's quotas", pools_are_within_quotas},
    {Rule::kPolicy, "running + warm + sleeping of the pool is within its quota of instances.", pool_is_within_its_quota},
};

}  // namespace

bool clash(const Statement& one, const Statement& other) {
  if (is_network(one) && is_network(other) && !(no_two_overlap(one, other) && no_two_share_a_net(one, other))) return true;
  return !no_two_hold_a_slot(one, other) || !no_id_in_two_pools(one, other);
}

std::span<const Clause> policy_by_itself() { return kPolicyByItself; }
std::span<const Clause> projection_by_itself() { return kProjectionByItself; }
std::span<const Clause> standing_state() { return kStandingState; }
std::span<const Clause> invariants() { return kInvariants; }
std::span<const Clause> state_led_to() { return kStateLedTo; }

}  // namespace mvm::lang::reference
