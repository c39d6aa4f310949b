#include "broker/net/removal.h"

#include <algorithm>
#include <set>
#include <string>

#include "base/derived.h"
#include "broker/net/elements.h"
#include "broker/net/links.h"
#include "broker/net/routing.h"
#include "broker/net/ruleset.h"

namespace mvm::net {
namespace {

using Nets = std::set<std::uint16_t>;

Nets nets_of(std::span<const Removal> removals, lang::Word word) {
  Nets nets;
  for (const Removal& removal : removals)
    if (removal.word == word) nets.insert(removal.what.net());
  return nets;
}

// The links that were put into the leaving group by `leaving`, and what an earlier death left in it.
Status delete_links(Socket& route, Batch& leaving) {
  if (leaving.count() == 0) return {};
  if (Status left = route.run(leaving); !left) return left;
  return request(route, put_delete_leaving);
}

Status remove_tap_links(Socket& route, std::span<const Removal> taps) {
  std::vector<std::string> names;
  for (const Removal& tap : taps) names.push_back(tap_name(tap.what.net(), tap.what.slot()));
  const Result<std::vector<std::optional<Link>>> found = find_links(route, names);
  if (!found) return forward(found.error());
  Batch leaving;
  for (const std::optional<Link>& link : *found)
    if (link && is_our_tap(*link)) put_leaving(leaving, link->index, link->name);
  return delete_links(route, leaving);
}

// Only where all of them have a bridge: without one the last tap takes the tables with it, which is unmake_tap's to see.
Status remove_sources(Kernel& kernel, std::span<const Removal> taps) {
  std::vector<std::string> bridges;
  for (const std::uint16_t net : nets_of(taps, lang::Word::kTap)) bridges.push_back(bridge_name(net));
  const Result<std::vector<std::optional<Link>>> found = find_links(kernel.route, bridges);
  if (!found) return forward(found.error());
  for (std::size_t i = 0; i < bridges.size(); ++i)
    if (!(*found)[i]) return fail(Errc::kNotFound, "find the tap's bridge", bridges[i]);
  std::vector<Key> sources;
  for (const Removal& tap : taps) {
    if (!tap.what.address()) return fail(Errc::kNotFound, "find the tap's address", tap_name(tap.what.net(), tap.what.slot()));
    sources.push_back(source_of(tap.what.net(), tap.what.slot(), *tap.what.address()));
  }
  Batch batch;
  begin_transaction(batch);
  put_elements(batch, Change::kRemove, kSources, sources);
  end_transaction(batch);
  return kernel.nft.run(batch);
}

Status remove_taps(Kernel& kernel, std::span<Removal> taps) {
  if (Status gone = remove_tap_links(kernel.route, taps); !gone) return gone;
  if (Status gone = remove_sources(kernel, taps); !gone) return gone;
  for (Removal& tap : taps) tap.gone = true;
  return {};
}

// Those of the bridges that are gone then: all but the ones with a port.
Result<Nets> remove_bridge_links(Socket& route, Nets bridges) {
  Batch leaving;
  for (auto net = bridges.begin(); net != bridges.end();) {
    const std::string name = bridge_name(*net);
    const Result<std::optional<Link>> found = find_link(route, name);
    if (!found) return forward(found.error());
    const bool ours = *found && is_our_bridge(**found);
    const Result<std::vector<Link>> ports = ours ? ports_of(route, **found) : Result<std::vector<Link>>{};
    if (!ports) return forward(ports.error());
    if (ours && ports->empty()) put_leaving(leaving, (*found)->index, name);
    net = ports->empty() ? std::next(net) : bridges.erase(net);
  }
  if (Status gone = delete_links(route, leaving); !gone) return forward(std::move(gone.error()));
  return bridges;
}

Status remove_elements(Socket& nft, const Nets& bridges, const Nets& rules) {
  Names within, of_rules;
  for (const std::uint16_t net : bridges) within.insert(bridge_name(net));
  for (const Nets* nets : {&bridges, &rules})
    for (const std::uint16_t net : *nets) of_rules.insert(bridge_name(net));
  Batch batch;
  begin_transaction(batch);
  constexpr std::array kOfABridge = {&kWithin};
  if (Status put = put_remove_all(batch, nft, kOfARule, of_rules); !put) return put;
  if (Status put = put_remove_all(batch, nft, kCounted, of_rules); !put) return put;
  if (Status put = put_remove_all(batch, nft, kOfABridge, within); !put) return put;
  if (batch.count() == 1) return {};
  end_transaction(batch);
  return nft.run(batch);
}

Status remove_tenants(Kernel& kernel, std::span<Removal> removals) {
  const Result<Nets> bridges = remove_bridge_links(kernel.route, nets_of(removals, lang::Word::kBridge));
  if (!bridges) return forward(bridges.error());
  const Result<bool> unused = bridges->empty() ? Result<bool>(false) : remove_unused_tables(kernel);
  if (!unused) return forward(unused.error());
  if (!*unused)
    if (Status gone = remove_elements(kernel.nft, *bridges, nets_of(removals, lang::Word::kRule)); !gone) return gone;
  // Last, as where a bridge goes alone: a death before it leaves what the inventory finds.
  if (Status gone = remove_routing(kernel.route, {bridges->begin(), bridges->end()}); !gone) return gone;
  for (Removal& removal : removals) removal.gone = removal.word == lang::Word::kRule || bridges->contains(removal.what.net());
  return {};
}

}  // namespace

// No error of it is told: what is not marked is tried again, alone, and says itself what is the matter.
void remove_together(Kernel& kernel, std::span<Removal> removals) {
  const auto tenants = std::ranges::find_if(removals, [](const Removal& removal) { return removal.word != lang::Word::kTap; });
  if (tenants != removals.begin() && !remove_taps(kernel, {removals.begin(), tenants})) return;
  if (tenants != removals.end()) (void)remove_tenants(kernel, {tenants, removals.end()}).has_value();
}

}  // namespace mvm::net
