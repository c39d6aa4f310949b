#include <algorithm>
#include <cerrno>

#include "base/derived.h"
#include "broker/net/elements.h"
#include "broker/net/executors.h"
#include "broker/net/links.h"
#include "broker/net/routing.h"
#include "broker/net/ruleset.h"

namespace mvm::net {
namespace {

constexpr std::uint32_t kGatewaySlot = 1;

Key within(const std::string& name) { return Key().name(name).name(name); }

// The tenant's elements, and with the first tenant the tables they are in, at once.
Status add_elements(Socket& nft, const std::string& name, const Subnet& cidr) {
  const auto transact = [&](auto put_before) {
    Batch batch;
    begin_transaction(batch);
    put_before(batch);
    for (const SetShape* set : {&kClosed, &kClosedAtTaps}) put_closed(batch, Change::kAdd, *set, cidr);
    put_element(batch, Change::kAdd, kWithin, within(name));
    end_transaction(batch);
    return nft.run(batch);
  };
  const Status added = transact([](Batch&) {});
  if (added || added.error().code != Errc::kNotFound) return added;
  return transact(put_tables);
}

Status set_up(Socket& route, const CheckedBridge& bridge, const std::string& name) {
  if (Status set = request(route, [&](Batch& b) { put_bridge_settings(b, name); }); !set) return set;
  const Status quiet = request(route, [&](Batch& b) { put_no_ipv6(b, name); });
  if (!quiet && quiet.error().sys_errno != EAFNOSUPPORT) return quiet;
  const Result<std::optional<Link>> link = find_link(route, name);
  if (!link) return forward(link.error());
  if (!*link) return fail(Errc::kNotFound, "set up the bridge", name);
  Batch batch;
  put_address(batch, (*link)->index, name, gateway_address(bridge.subnet()), bridge.subnet());
  put_up(batch, name);
  if (Status up = route.run(batch); !up) return up;
  return make_own_subnet(route, own_subnet(bridge.net(), bridge.subnet(), (*link)->index));
}

Status delete_link(Socket& route, const Link& link) {
  Status gone = request(route, [&](Batch& b) { put_delete(b, link.index, link.name); });
  if (!gone && gone.error().code == Errc::kNotFound) return {};
  return gone;
}

// Of a tenant whose bridge is gone: `within`, and what a rule may have left.
Status remove_elements(Kernel& kernel, const CheckedRemoval& bridge) {
  if (Status gone = unmake_rule(kernel, bridge); !gone) return gone;
  Batch batch;
  begin_transaction(batch);
  put_element(batch, Change::kRemove, kWithin, within(bridge_name(bridge.net())));
  end_transaction(batch);
  Status gone = kernel.nft.run(batch);
  if (!gone && gone.error().code == Errc::kNotFound) return {};
  return gone;
}

// Whether a bridge is to be created. One of ours that nothing is on is removed first; a foreign one is an error.
Result<bool> clear_way(Socket& route, const std::string& name) {
  const Result<std::optional<Link>> found = find_link(route, name);
  if (!found) return forward(found.error());
  if (!*found) return true;
  if (!is_our_bridge(**found)) return fail(Errc::kExists, "make the bridge", name + " is there and not ours");
  const Result<std::vector<Link>> ports = ports_of(route, **found);
  if (!ports) return forward(ports.error());
  if (!ports->empty()) return false;
  if (Status gone = delete_link(route, **found); !gone) return forward(std::move(gone.error()));
  return true;
}

}  // namespace

Result<Kernel> Kernel::open() {
  Result<Socket> route = Socket::open(NETLINK_ROUTE);
  if (!route) return forward(std::move(route.error()));
  Result<Socket> nft = Socket::open(NETLINK_NETFILTER);
  if (!nft) return forward(std::move(nft.error()));
  return Kernel{std::move(*route), std::move(*nft)};
}

Status make_bridge(Kernel& kernel, const CheckedBridge& bridge) {
  const std::string name = bridge_name(bridge.net());
  const Result<bool> loose = loosens_reverse_path(kernel.route);
  if (!loose) return forward(loose.error());
  if (*loose) return fail(Errc::kUnsupported, "keep tenants to their subnets", "net.ipv4.conf.all.rp_filter is 2 on this host");
  const Result<bool> create = clear_way(kernel.route, name);
  if (!create) return forward(create.error());
  if (Status added = add_elements(kernel.nft, name, bridge.cidr()); !added) return added;
  Status made = make_dead_end(kernel.route, bridge.net(), bridge.cidr());
  if (made && *create) made = request(kernel.route, [&](Batch& b) { put_create_bridge(b, name, instance_mac(bridge.net(), kGatewaySlot)); });
  if (made) made = set_up(kernel.route, bridge, name);
  if (made || !*create) return made;
  wire::Task task;
  task.place.net = bridge.net();
  // The first error is the one to tell; what this cannot remove, the inventory shows.
  if (const auto removal = CheckedRemoval::from(task)) (void)unmake_bridge(kernel, *removal).has_value();
  return made;
}

Result<bool> remove_unused_tables(Kernel& kernel) {
  for (const char* kind : {"bridge", "tun"}) {
    const Result<std::vector<Link>> links = links_of_kind(kernel.route, kind);
    if (!links) return forward(links.error());
    if (std::ranges::any_of(*links, is_ours)) return false;
  }
  Batch batch;
  begin_transaction(batch);
  put_delete_tables(batch);
  end_transaction(batch);
  const Status gone = kernel.nft.run(batch);
  if (!gone && gone.error().code != Errc::kNotFound) return forward(gone.error());
  if (Status rules = remove_shared_rules(kernel.route); !rules) return forward(std::move(rules.error()));
  return true;
}

Status unmake_bridge(Kernel& kernel, const CheckedRemoval& bridge) {
  const std::string name = bridge_name(bridge.net());
  const Result<std::optional<Link>> found = find_link(kernel.route, name);
  if (!found) return forward(found.error());
  if (*found && is_our_bridge(**found)) {
    const Result<std::vector<Link>> ports = ports_of(kernel.route, **found);
    if (!ports) return forward(ports.error());
    if (!ports->empty()) return fail(Errc::kBusy, "remove the bridge", name + " has " + ports->front().name + " on it");
    if (Status gone = delete_link(kernel.route, **found); !gone) return gone;
  }
  // The last tenant's elements go with the tables, at once: without elements the tables would be found by nobody.
  const Result<bool> unused = remove_unused_tables(kernel);
  if (!unused) return forward(unused.error());
  if (!*unused)
    if (Status gone = remove_elements(kernel, bridge); !gone) return gone;
  // Last, so that a death before it leaves what the inventory finds.
  return remove_routing(kernel.route, {bridge.net()});
}

}  // namespace mvm::net
