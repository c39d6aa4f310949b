#include "broker/net/checked.h"

#include <algorithm>

#include "base/derived.h"
#include "policy-lang/statement.h"
#include "policy-lang/table.h"

namespace mvm::net {
namespace {

constexpr std::uint32_t kFirstInstanceUid = 65'536;  // the least that a policy may give (policy-lang/table.cc, uids)

std::unexpected<Error> denied(const char* why) { return fail(Errc::kDenied, "check the task", why); }

bool is_network(const Subnet& subnet) { return subnet.prefix >= kMinPrefix && subnet.prefix <= kMaxPrefix && subnet.aligned(); }

// A list may name single hosts.
bool is_listed(const Subnet& subnet) { return subnet.prefix >= kMinPrefix && subnet.prefix <= 32 && subnet.aligned(); }

bool are_subnets(const std::vector<Subnet>& subnets) { return std::ranges::all_of(subnets, is_listed); }

Status check_place(const wire::Task& task, lang::Word word) {
  if (task.statement.word != word) return denied("a statement of another kind");
  if (task.place.net > lang::kMaxNet) return denied("the net id is out of range");
  return {};
}

Status check_subnet(const wire::Task& task) {
  if (!is_network(task.place.subnet) || !is_network(task.place.cidr)) return denied("a subnet that is none");
  if (!task.place.cidr.contains(task.place.subnet)) return denied("a subnet outside the cluster's");
  return {};
}

// Sorted by base, the wider first, so that what is inside another comes behind it.
std::vector<Subnet> outermost(std::vector<Subnet> subnets) {
  std::ranges::sort(subnets);
  std::vector<Subnet> kept;
  for (const Subnet& subnet : subnets)
    if (kept.empty() || !kept.back().contains(subnet)) kept.push_back(subnet);
  return kept;
}

}  // namespace

Result<CheckedBridge> CheckedBridge::from(const wire::Task& task) {
  if (Status ok = check_place(task, lang::Word::kBridge); !ok) return forward(std::move(ok.error()));
  if (Status ok = check_subnet(task); !ok) return forward(std::move(ok.error()));
  const lang::BridgeView view = lang::bridge_view(task.statement);
  if (view.net != task.place.net || view.subnet != task.place.subnet) return denied("the place is not the statement's");
  if (!are_subnets(task.egress) || !are_subnets(task.closed)) return denied("a subnet that is none");
  CheckedBridge checked;
  checked.net_ = view.net;
  checked.subnet_ = view.subnet;
  checked.cidr_ = task.place.cidr;
  checked.closed_ = closed_ranges(task);
  return checked;
}

Result<CheckedTap> CheckedTap::from(const wire::Task& task) {
  if (Status ok = check_place(task, lang::Word::kTap); !ok) return forward(std::move(ok.error()));
  if (Status ok = check_subnet(task); !ok) return forward(std::move(ok.error()));
  const std::uint32_t slot = lang::tap_view(task.statement).slot;
  if (slot != task.place.slot) return denied("the place is not the statement's");
  if (slot < lang::kFirstSlot || slot >= task.place.subnet.size() - 1) return denied("a slot that is no instance's");
  if (task.place.uid < kFirstInstanceUid || task.place.uid == ~std::uint32_t{0}) return denied("a uid that is no instance's");
  CheckedTap checked;
  checked.net_ = task.place.net;
  checked.slot_ = slot;
  checked.address_ = slot_address(task.place.subnet, slot);
  checked.uid_ = task.place.uid;
  return checked;
}

Result<CheckedRule> CheckedRule::from(const wire::Task& task) {
  if (Status ok = check_place(task, lang::Word::kRule); !ok) return forward(std::move(ok.error()));
  const lang::RuleView view = lang::rule_view(task.statement);
  if (view.egress > lang::kEgressListed) return denied("an egress that is none");
  if (task.egress.size() > kMaxEgressSubnets) return fail(Errc::kLimit, "check the task", "subnets of egress=listed");
  if (view.mbps > kMaxMbps) return fail(Errc::kLimit, "check the task", "mbps");
  if ((view.egress == lang::kEgressListed) == task.egress.empty()) return denied("a list of subnets goes with egress=listed");
  if (!are_subnets(task.egress)) return denied("a subnet that is none");
  CheckedRule checked;
  checked.net_ = task.place.net;
  checked.egress_ = view.egress;
  checked.listed_ = outermost(task.egress);
  checked.rates_ = {view.pps, view.mbps * (1'000'000 / 8), view.cps};
  return checked;
}

Result<CheckedInventory> CheckedInventory::from(const wire::Task& task) {
  if (!is_network(task.place.cidr)) return denied("no cluster's subnet");
  if (!are_subnets(task.egress) || !are_subnets(task.closed)) return denied("a subnet that is none");
  CheckedInventory checked;
  checked.closed_ = closed_ranges(task);
  for (const Subnet& subnet : outermost(task.egress)) checked.listed_.push_back(range_of(subnet));
  return checked;
}

Result<CheckedRemoval> CheckedRemoval::from(const wire::Task& task) {
  if (task.place.net > lang::kMaxNet) return denied("the net id is out of range");
  if (tap_name(task.place.net, task.place.slot).size() > kMaxLinkName) return denied("the slot is out of range");
  CheckedRemoval checked;
  checked.net_ = task.place.net;
  checked.slot_ = task.place.slot;
  if (is_network(task.place.subnet) && task.place.slot < task.place.subnet.size())
    checked.address_ = slot_address(task.place.subnet, task.place.slot);
  return checked;
}

}  // namespace mvm::net
