#include <algorithm>
#include <map>
#include <ranges>
#include <span>

#include "base/derived.h"
#include "broker/net/elements.h"
#include "broker/net/executors.h"
#include "broker/net/links.h"
#include "broker/net/making.h"
#include "broker/net/ruleset.h"
#include "broker/net/tun.h"

namespace mvm::net {
namespace {

// A tap that is being made. `held` where it is new or has to be changed: a new one goes away with it.
struct Held {
  CheckedTap tap;
  std::string name;
  std::uint32_t bridge = 0;
  Fd held;
};

Status change_sources(Socket& nft, Change change, std::span<const Held> taps) {
  std::vector<Key> sources;
  for (const Held& one : taps) sources.push_back(source_of(one.tap.net(), one.tap.slot(), one.tap.address()));
  Batch batch;
  begin_transaction(batch);
  put_elements(batch, change, kSources, sources);
  end_transaction(batch);
  return nft.run(batch);
}

// Not on one that is about to be deleted.
bool takes_taps(const std::optional<Link>& bridge) { return bridge && is_our_bridge(*bridge) && bridge->group == kLinkGroup; }

std::vector<std::string> names_of(std::span<const Held> taps) {
  std::vector<std::string> names;
  for (const Held& one : taps) names.push_back(one.name);
  return names;
}

Status put_on_bridges(Socket& route, std::span<const Held> taps) {
  Batch settings;
  for (const Held& one : taps) put_port_settings(settings, one.name, one.bridge);
  if (Status set = route.run(settings); !set) return set;
  return turn_ipv6_off(route, names_of(taps));
}

// They outlive their descriptors. Those are closed before the taps are up: of one that is up, the kernel would turn the queue off,
// which costs it another wait.
Status keep(std::span<Held> taps) {
  for (Held& one : taps) {
    if (!one.held.valid()) continue;
    if (Status kept = keep_tap(one.held, one.name); !kept) return kept;
    one.held.reset();
  }
  return {};
}

// Reading the links lets the kernel see that nobody holds them, for nothing while they are down.
Status bring_up(Socket& route, std::span<const Held> taps) {
  const Result<std::vector<std::optional<Link>>> links = find_links(route, names_of(taps));
  if (!links) return forward(links.error());
  Batch batch;
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const std::optional<Link>& link = (*links)[i];
    if (!link || !is_our_tap(*link)) return fail(Errc::kNotFound, "set up the tap", taps[i].name);
    put_forwarding_entry(batch, link->index, taps[i].name, instance_mac(taps[i].tap.net(), taps[i].tap.slot()));
  }
  for (const Held& one : taps) put_port_up(batch, one.name);
  return route.run(batch);
}

// Guarded before they are up: a port that is down lets nothing through.
Status bring_about(Kernel& kernel, std::span<Held> taps) {
  if (Status added = change_sources(kernel.nft, Change::kAdd, taps); !added) return added;
  if (Status put = put_on_bridges(kernel.route, taps); !put) return put;
  if (Status kept = keep(taps); !kept) return kept;
  return bring_up(kernel.route, taps);
}

// New taps go with their descriptors, and where they are kept already by their names. Errors are not told: the one that led here is.
void undo(Kernel& kernel, std::span<Held> taps) {
  for (Held& one : taps) one.held.reset();
  const auto links = find_links(kernel.route, names_of(taps));
  if (!links) return;
  Batch batch;
  for (const std::optional<Link>& link : *links)
    if (link && is_our_tap(*link)) put_delete(batch, link->index, link->name);
  (void)kernel.route.run_each(batch).has_value();
  (void)change_sources(kernel.nft, Change::kRemove, taps).has_value();
}

Result<Held> hold_new(const CheckedTap& tap, const Link& bridge) {
  std::string name = tap_name(tap.net(), tap.slot());
  Result<Fd> held = hold_tap(name, tap.uid(), IfThere::kRefuse);
  if (!held) return forward(std::move(held.error()));
  return Held{tap, std::move(name), bridge.index, std::move(*held)};
}

// That are not there: all of them, or after an error none.
Status make_new_taps(Kernel& kernel, std::span<Held> taps) {
  Status made = bring_about(kernel, taps);
  if (!made) undo(kernel, taps);
  return made;
}

// What is there is kept, whatever becomes of the change.
Status make_again(Kernel& kernel, const CheckedTap& tap, const Link& there, const Link& bridge) {
  if (!is_our_tap(there)) return fail(Errc::kExists, "make the tap", there.name + " is there and not ours");
  const TunState wanted{true, true, false, true, true, tap.uid(), tap.uid()};
  Result<Fd> held = there.tun == wanted ? Fd() : hold_tap(there.name, tap.uid());
  if (!held) return forward(std::move(held.error()));
  Held one{tap, there.name, bridge.index, std::move(*held)};
  const bool changes = one.held.valid();
  Status made = bring_about(kernel, {&one, 1});
  if (!made && changes) (void)change_sources(kernel.nft, Change::kRemove, {&one, 1}).has_value();
  return made;
}

Status remove_key(Socket& nft, const Key& source) {
  Batch batch;
  begin_transaction(batch);
  put_element(batch, Change::kRemove, kSources, source);
  end_transaction(batch);
  return nft.run(batch);
}

// The element by its key where the address is known and it is there, else by reading them all.
Status remove_source(Socket& nft, const CheckedRemoval& tap) {
  if (tap.address()) {
    Status gone = remove_key(nft, source_of(tap.net(), tap.slot(), *tap.address()));
    if (gone || gone.error().code != Errc::kNotFound) return gone;
  }
  Result<std::vector<Element>> sources = read_set(nft, kSources);
  if (!sources) return forward(std::move(sources.error()));
  const std::string name = tap_name(tap.net(), tap.slot());
  std::erase_if(*sources, [&](const Element& element) { return interface_of(element) != name; });
  if (sources->empty()) return {};
  Batch batch;
  begin_transaction(batch);
  for (const Element& element : *sources) put_remove(batch, kSources, element);
  end_transaction(batch);
  return nft.run(batch);
}

}  // namespace

Status make_tap(Kernel& kernel, const CheckedTap& tap) {
  const std::string name = tap_name(tap.net(), tap.slot());
  const Result<std::vector<std::optional<Link>>> links = find_links(kernel.route, {bridge_name(tap.net()), name});
  if (!links) return forward(links.error());
  const std::optional<Link>&bridge = links->front(), &there = links->back();
  if (!takes_taps(bridge)) return fail(Errc::kNotFound, "find the tap's bridge", bridge_name(tap.net()));
  if (there) return make_again(kernel, tap, *there, *bridge);
  Result<Held> held = hold_new(tap, *bridge);
  if (!held) return forward(std::move(held.error()));
  return make_new_taps(kernel, {&*held, 1});
}

void make_together(Kernel& kernel, std::span<Making<CheckedTap>> makings) {
  std::map<std::uint16_t, std::optional<Link>> bridges;
  for (const Making<CheckedTap>& making : makings) bridges[making.what.net()];
  std::vector<std::string> names;
  for (const auto& [net, bridge] : bridges) names.push_back(bridge_name(net));
  Result<std::vector<std::optional<Link>>> links = find_links(kernel.route, names);
  if (!links) return;
  std::ranges::move(*links, std::views::values(bridges).begin());
  std::vector<Held> taps;
  std::vector<Making<CheckedTap>*> meant;
  for (Making<CheckedTap>& making : makings) {
    const std::optional<Link>& bridge = bridges.at(making.what.net());
    if (!takes_taps(bridge)) continue;
    Result<Held> held = hold_new(making.what, *bridge);
    if (!held) continue;
    taps.push_back(std::move(*held));
    meant.push_back(&making);
  }
  if (taps.empty() || !make_new_taps(kernel, taps)) return;
  for (Making<CheckedTap>* making : meant) making->made = true;
}

Status unmake_tap(Kernel& kernel, const CheckedRemoval& tap) {
  const std::string name = tap_name(tap.net(), tap.slot());
  const Result<std::optional<Link>> found = find_link(kernel.route, name);
  if (!found) return forward(found.error());
  if (*found && is_our_tap(**found)) {
    const Status gone = request(kernel.route, [&](Batch& b) { put_delete(b, (*found)->index, name); });
    if (!gone && gone.error().code != Errc::kNotFound) return gone;
  }
  const Result<std::optional<Link>> bridge = find_link(kernel.route, bridge_name(tap.net()));
  if (!bridge) return forward(bridge.error());
  if (!*bridge) {
    const Result<bool> unused = remove_unused_tables(kernel);
    if (!unused) return forward(unused.error());
    if (*unused) return {};
  }
  return remove_source(kernel.nft, tap);
}

}  // namespace mvm::net
