#include <algorithm>
#include <span>

#include "base/derived.h"
#include "broker/net/elements.h"
#include "broker/net/executors.h"
#include "broker/net/links.h"
#include "broker/net/making.h"
#include "broker/net/routing.h"
#include "broker/net/ruleset.h"

namespace mvm::net {
namespace {

constexpr std::uint32_t kGatewaySlot = 1;

Key within(const std::string& name) { return Key().name(name).name(name); }

std::vector<std::string> names_of(std::span<const CheckedBridge> bridges) {
  std::vector<std::string> names;
  for (const CheckedBridge& bridge : bridges) names.push_back(bridge_name(bridge.net()));
  return names;
}

// The tenants' elements, and with the first tenant the tables they are in, at once.
Status add_elements(Socket& nft, std::span<const CheckedBridge> bridges) {
  std::vector<Key> keys;
  for (const CheckedBridge& bridge : bridges) keys.push_back(within(bridge_name(bridge.net())));
  const auto transact = [&](auto put_before) {
    Batch batch;
    begin_transaction(batch);
    put_before(batch);
    put_closed(batch, bridges.front().closed());
    put_elements(batch, Change::kAdd, kWithin, keys);
    end_transaction(batch);
    return nft.run(batch);
  };
  const Status added = transact([](Batch&) {});
  if (added || added.error().code != Errc::kNotFound) return added;
  return transact(put_tables);
}

Status set_up(Socket& route, std::span<const CheckedBridge> bridges) {
  const std::vector<std::string> names = names_of(bridges);
  Batch settings;
  for (const std::string& name : names) put_bridge_settings(settings, name);
  if (Status set = route.run(settings); !set) return set;
  if (Status quiet = turn_ipv6_off(route, names); !quiet) return quiet;
  const Result<std::vector<std::optional<Link>>> links = find_links(route, names);
  if (!links) return forward(links.error());
  Batch batch;
  for (std::size_t i = 0; i < bridges.size(); ++i) {
    const CheckedBridge& bridge = bridges[i];
    const std::optional<Link>& link = (*links)[i];
    if (!link) return fail(Errc::kNotFound, "set up the bridge", names[i]);
    put_address(batch, link->index, names[i], gateway_address(bridge.subnet()), bridge.subnet());
    put_up(batch, names[i]);
    put_route(batch, RouteChange::kAdd, own_subnet(bridge.net(), bridge.subnet(), link->index));
  }
  return route.run(batch);
}

Status before_the_links(Kernel& kernel, std::span<const CheckedBridge> bridges) {
  if (Status added = add_elements(kernel.nft, bridges); !added) return added;
  std::vector<std::uint16_t> nets;
  for (const CheckedBridge& bridge : bridges) nets.push_back(bridge.net());
  return make_dead_ends(kernel.route, nets, bridges.front().cidr());
}

Status create(Socket& route, std::span<const CheckedBridge> bridges) {
  Batch batch;
  for (const CheckedBridge& bridge : bridges) put_create_bridge(batch, bridge_name(bridge.net()), instance_mac(bridge.net(), kGatewaySlot));
  return route.run(batch);
}

// Of which no link is there, and which are of one cluster: all of them, or after an error none.
Status make_new_bridges(Kernel& kernel, std::span<const CheckedBridge> bridges) {
  Status made = before_the_links(kernel, bridges);
  if (made) made = create(kernel.route, bridges);
  if (made) made = set_up(kernel.route, bridges);
  if (made) return {};
  for (const CheckedBridge& bridge : bridges) {
    wire::Task task;
    task.place.net = bridge.net();
    // The first error is the one to tell; what this cannot remove, the inventory shows.
    if (const auto removal = CheckedRemoval::from(task)) (void)unmake_bridge(kernel, *removal).has_value();
  }
  return made;
}

Status keeps_tenants_to_their_subnets(Socket& route) {
  const Result<bool> loose = loosens_reverse_path(route);
  if (!loose) return forward(loose.error());
  if (*loose) return fail(Errc::kUnsupported, "keep tenants to their subnets", "net.ipv4.conf.all.rp_filter is 2 on this host");
  return {};
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
  if (Status strict = keeps_tenants_to_their_subnets(kernel.route); !strict) return strict;
  const Result<bool> create = clear_way(kernel.route, bridge_name(bridge.net()));
  if (!create) return forward(create.error());
  const std::span one(&bridge, 1);
  if (*create) return make_new_bridges(kernel, one);
  if (Status first = before_the_links(kernel, one); !first) return first;
  return set_up(kernel.route, one);
}

void make_together(Kernel& kernel, std::span<Making<CheckedBridge>> makings) {
  if (makings.empty() || !keeps_tenants_to_their_subnets(kernel.route)) return;
  std::vector<std::string> names;
  for (const Making<CheckedBridge>& making : makings) names.push_back(bridge_name(making.what.net()));
  const Result<std::vector<std::optional<Link>>> links = find_links(kernel.route, names);
  if (!links) return;
  std::vector<CheckedBridge> fresh;
  std::vector<Making<CheckedBridge>*> meant;
  for (std::size_t i = 0; i < makings.size(); ++i) {
    const bool alike = makings[i].what.cidr() == makings.front().what.cidr() && makings[i].what.closed() == makings.front().what.closed();
    if ((*links)[i] || !alike) continue;
    fresh.push_back(makings[i].what);
    meant.push_back(&makings[i]);
  }
  if (fresh.empty() || !make_new_bridges(kernel, fresh)) return;
  for (Making<CheckedBridge>* making : meant) making->made = true;
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
