// V3: what holds after every statement. What stood before was made under these rules, so only what is made is looked at.
#include "base/derived.h"
#include "policy-lang/verify_rules.h"

namespace mvm::lang {
namespace {

constexpr unsigned kShortestTenantPrefix = 12;  // slots of a larger subnet would not fit the MAC and the tap's name
constexpr unsigned kLongestTenantPrefix = 29;   // a smaller one has no room for gateway, builder and two slots

Checked<void> uses_only_its_tenants_key(const Statement& statement) {
  if (statement.key_tenant.empty() || statement.key_tenant == statement.subject.tenant) return {};
  return refuse(Rule::kInvariant, say("the key belongs to tenant ", statement.key_tenant.view()),
                say("name a key of ", statement.subject.tenant.view()));
}

Checked<void> fits_the_bridge(const Step& step, const NodePolicy& policy) {
  const Subnet subnet = bridge_view(*step.site.tenant->lines.find(Word::kBridge)).subnet;
  const std::uint32_t slot = tap_view(step.statement).slot;
  const std::uint64_t last = subnet.size() - 2;  // size - 1 is the broadcast address
  if (slot < kFirstSlot || slot > last) {
    return refuse(Rule::kInvariant, say("slot ", slot, " is outside ", to_string(subnet), ", whose slots are ", kFirstSlot, " to ", last),
                  say("choose a free slot from ", kFirstSlot, " to ", last));
  }
  if (const std::uint64_t taps = step.site.tenant->counts[primitive_index(Word::kTap)]; taps > kMaxTapsPerBridge) {
    return refuse(Rule::kInvariant, say("it would be tap ", taps, " of its bridge; the most is ", kMaxTapsPerBridge), "remove another tap of the tenant first");
  }
  const std::uint64_t address = slot_address(subnet, slot);
  if (address >= policy.cidr.base && address - policy.cidr.base < policy.uids) return {};
  return refuse(Rule::kInvariant, say("slot ", slot, " of ", to_string(subnet), " has no uid: the policy's range holds ", policy.uids, " addresses from ",
                                      ipv4_to_string(policy.cidr.base)),
                say("choose a slot below ", ipv4_to_string(policy.cidr.base), " + ", policy.uids, ", or widen uids in the policy"));
}

}  // namespace

Checked<void> verify_subnet(const Subnet& subnet, const Subnet& cidr) {
  if (subnet.prefix < kShortestTenantPrefix || subnet.prefix > kLongestTenantPrefix) {
    return refuse(Rule::kInvariant, say("a tenant's subnet has a prefix of ", kShortestTenantPrefix, " to ", kLongestTenantPrefix, ", not ", subnet.prefix),
                  say("give the tenant a subnet of /", kShortestTenantPrefix, " to /", kLongestTenantPrefix));
  }
  if (cidr.contains(subnet)) return {};
  return refuse(Rule::kInvariant, say(to_string(subnet), " is not inside the policy's cidr ", to_string(cidr)), say("give the tenant a subnet of ", to_string(cidr)));
}

Checked<void> verify_invariants(const Step& step, const NodePolicy& policy) {
  if (step.statement.sign != Sign::kAdd) return {};
  if (auto own = uses_only_its_tenants_key(step.statement); !own) return own;
  if (step.statement.word == Word::kBridge) return verify_subnet(bridge_view(step.statement).subnet, policy.cidr);
  if (step.statement.word == Word::kTap) return fits_the_bridge(step, policy);
  return {};
}

Checked<void> Claims::claim(const Step& step) {
  const Word word = step.statement.word;
  if (step.first_line) {
    if (auto id = claim_id(step); !id) return id;
  }
  if (word == Word::kBridge) return claim_network(bridge_view(step.statement), step.statement.subject.tenant);
  if (word == Word::kTap) return claim_slot(step, tap_view(step.statement).slot);
  if (word == Word::kSnapshot) return claim_slot(step, snapshot_view(step.statement).slot);
  return {};
}

void Claims::release(const Step& step) {
  const Statement& line = step.statement;
  if (line.word == Word::kBridge) {
    nets_.erase(bridge_view(line).net);
    subnets_.erase(bridge_view(line).subnet.base);
  }
  if (line.word == Word::kTap || line.word == Word::kSnapshot) {
    const std::uint32_t slot = line.word == Word::kTap ? tap_view(line).slot : snapshot_view(line).slot;
    const auto held = slots_.find({step.site.instance->tenant, slot});
    if (--held->second.lines == 0) slots_.erase(held);
  }
  if (step.last_line) ids_.erase(line.subject.instance);
}

Checked<void> Claims::claim_network(const BridgeView& network, Name tenant) {
  if (const auto [holder, free] = nets_.try_emplace(network.net, tenant); !free) {
    return refuse(Rule::kInvariant, say("net id ", network.net, " is that of tenant ", holder->second.view()), say("remove the bridge of ", holder->second.view(), " first, or give another net id"));
  }
  const auto next = subnets_.lower_bound(network.subnet.base);
  for (const auto& other : {next, next == subnets_.begin() ? next : std::prev(next)}) {
    if (other == subnets_.end() || !other->second.first.overlaps(network.subnet)) continue;
    const auto& [subnet, holder] = other->second;
    return refuse(Rule::kInvariant, say(to_string(network.subnet), " overlaps ", to_string(subnet), " of tenant ", holder.view()), say("remove the bridge of ", holder.view(), " first, or give another subnet"));
  }
  subnets_.emplace(network.subnet.base, std::pair{network.subnet, tenant});
  return {};
}

Checked<void> Claims::claim_slot(const Step& step, std::uint32_t slot) {
  Slot& held = slots_[{step.site.instance->tenant, slot}];
  if (held.lines != 0 && held.holder != step.site.instance) {
    return refuse(Rule::kInvariant, say("slot ", slot, " of the tenant is held by ", to_string(*held.holder->subject)),
                  "choose a free slot, or remove the tap or the snapshot that holds this one first");
  }
  held.holder = step.site.instance;
  ++held.lines;
  return {};
}

Checked<void> Claims::claim_id(const Step& step) {
  const auto [holder, free] = ids_.try_emplace(step.statement.subject.instance, &step.statement.subject);
  if (free) return {};
  return refuse(Rule::kInvariant, say("the id is that of ", to_string(*holder->second)), "choose another instance id");
}

}  // namespace mvm::lang
