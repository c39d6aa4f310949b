#include <algorithm>
#include <cerrno>

#include "base/derived.h"
#include "broker/net/elements.h"
#include "broker/net/executors.h"
#include "broker/net/links.h"
#include "broker/net/ruleset.h"
#include "broker/net/tun.h"

namespace mvm::net {
namespace {

Status change_source(Socket& nft, Change change, const Key& source) {
  Batch batch;
  begin_transaction(batch);
  put_element(batch, change, kSources, source);
  end_transaction(batch);
  return nft.run(batch);
}

Result<Link> bridge_of(Socket& route, std::uint16_t net) {
  Result<std::optional<Link>> found = find_link(route, bridge_name(net));
  if (!found) return forward(std::move(found.error()));
  // Not on one that is about to be deleted.
  if (!*found || !is_our_bridge(**found) || (*found)->group != kLinkGroup) return fail(Errc::kNotFound, "find the tap's bridge", bridge_name(net));
  return std::move(**found);
}

// On its bridge and guarded before it is up: a port that is down lets nothing through.
Status set_up(Socket& route, const CheckedTap& tap, const std::string& name, const Link& bridge) {
  if (Status set = request(route, [&](Batch& b) { put_port_settings(b, name, bridge.index); }); !set) return set;
  const Status quiet = request(route, [&](Batch& b) { put_no_ipv6(b, name); });
  if (!quiet && quiet.error().sys_errno != EAFNOSUPPORT) return quiet;
  const Result<std::optional<Link>> link = find_link(route, name);
  if (!link) return forward(link.error());
  if (!*link || !is_our_tap(**link)) return fail(Errc::kNotFound, "set up the tap", name);
  const auto entry = [&](Batch& b) { put_forwarding_entry(b, (*link)->index, name, instance_mac(tap.net(), tap.slot())); };
  if (Status set = request(route, entry); !set) return set;
  return request(route, [&](Batch& b) { put_port_up(b, name); });
}

// A held descriptor where the tap is new or has to be changed; none where what is there is right as it is.
Result<Fd> take(Socket& route, const CheckedTap& tap, const std::string& name) {
  const Result<std::optional<Link>> found = find_link(route, name);
  if (!found) return forward(found.error());
  if (*found && !is_our_tap(**found)) return fail(Errc::kExists, "make the tap", name + " is there and not ours");
  const TunState wanted{true, true, false, true, true, tap.uid(), tap.uid()};
  if (*found && (*found)->tun == wanted) return Fd();
  return hold_tap(name, tap.uid());
}

// The element by its key where the address is known and it is there, else by reading them all.
Status remove_source(Socket& nft, const CheckedRemoval& tap) {
  if (tap.address()) {
    Status gone = change_source(nft, Change::kRemove, source_of(tap.net(), tap.slot(), *tap.address()));
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
  const Result<Link> bridge = bridge_of(kernel.route, tap.net());
  if (!bridge) return forward(bridge.error());
  Result<Fd> held = take(kernel.route, tap, name);
  if (!held) return forward(std::move(held.error()));
  const Key source = source_of(tap.net(), tap.slot(), tap.address());
  if (Status added = change_source(kernel.nft, Change::kAdd, source); !added) return added;
  Status made = set_up(kernel.route, tap, name, *bridge);
  if (made && held->valid()) made = keep_tap(*held, name);
  if (made || !held->valid()) return made;
  // The tap goes with the descriptor; the first error is the one to tell.
  held->reset();
  (void)change_source(kernel.nft, Change::kRemove, source).has_value();
  return made;
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
