// What the net worker can do to a host: make and remove a tenant's bridge, its rule, and an instance's tap, and say what is
// there. Each takes a value that was checked (checked.h), is safe to repeat, and undoes its own half where the kernel refuses.
// Only links of our group are changed or deleted (links.h); with the last of them the rules go too, and nothing is left.
// Proven by: tests/net/bridge_test.cc, tap_test.cc, rule_test.cc, inventory_test.cc, packets_test.cc.
#pragma once

#include <vector>

#include "base/error.h"
#include "broker/net/checked.h"
#include "broker/net/socket.h"
#include "schemas/worker.h"

namespace mvm::net {

// The two sockets through which everything is done. Opened once.
struct Kernel {
  Socket route;
  Socket nft;
  [[nodiscard]] static Result<Kernel> open();
};

// The rules' elements and the routing's dead end first, then the bridge: there is never a bridge that one of them does not know. A bridge of ours without
// ports is replaced, one with ports is completed. kExists: a link of that name that is not ours. kUnsupported on a host that
// checks the reverse path loosely (net.ipv4.conf.all.rp_filter=2).
[[nodiscard]] Status make_bridge(Kernel& kernel, const CheckedBridge& bridge);
// kBusy while a port is on it. What is gone already is success, here and below.
[[nodiscard]] Status unmake_bridge(Kernel& kernel, const CheckedRemoval& bridge);

// Replaces the tenant's rule, in one transaction. kNotFound: no bridge. kUnsupported: egress on a host that does not forward
// IPv4 (net.ipv4.ip_forward is set by who installs the host, not by us).
[[nodiscard]] Status make_rule(Kernel& kernel, const CheckedRule& rule);
[[nodiscard]] Status unmake_rule(Kernel& kernel, const CheckedRemoval& rule);

// On its bridge, guarded and up when it returns. kNotFound: no bridge. kExists: a link of that name that is not ours. kBusy: ours,
// with another owner, and open in another process.
[[nodiscard]] Status make_tap(Kernel& kernel, const CheckedTap& tap);
// Also where a process has it open: its descriptor is then dead.
[[nodiscard]] Status unmake_tap(Kernel& kernel, const CheckedRemoval& tap);

// Bridges, rules and taps of ours, whether whole or only a part of one (alive=false): a tap is alive on its own bridge and up, a
// bridge where its routing is whole and the rules close what the policy does, a rule where it lets out to what the policy lists.
[[nodiscard]] Result<std::vector<wire::Item>> inventory(Kernel& kernel, const CheckedInventory& wanted);

// Of each tap of ours, its frames: by net and slot.
[[nodiscard]] Result<std::vector<wire::Reading>> read_taps(Kernel& kernel);

// Removes the tables, with all that is in them, and the shared rules of routing, where no link of ours is left; says whether
// that was so.
[[nodiscard]] Result<bool> remove_unused_tables(Kernel& kernel);

}  // namespace mvm::net
