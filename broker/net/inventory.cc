#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "broker/net/elements.h"
#include "broker/net/executors.h"
#include "broker/net/links.h"
#include "broker/net/routing.h"
#include "policy-lang/link_name.h"

namespace mvm::net {
namespace {

std::optional<std::uint16_t> net_of_bridge(std::string_view name) {
  const auto read = lang::read_link_name(name);
  return read && !read->slot ? std::optional(read->net) : std::nullopt;
}

// What a map of finds has a tap under.
std::optional<std::pair<std::uint16_t, std::uint32_t>> place_of_tap(std::string_view name) {
  const auto read = lang::read_link_name(name);
  return read && read->slot ? std::optional(std::pair{read->net, *read->slot}) : std::nullopt;
}

// Found, and whether it is whole; ordered so that what hangs on a bridge comes behind all bridges.
using Found = std::map<std::pair<std::uint16_t, std::uint32_t>, bool>;

void append(std::vector<wire::Item>& items, lang::Word word, const Found& found) {
  for (const auto& [at, alive] : found) items.push_back({word, {}, at.first, at.second, alive, 0});
}

// Links of ours make a thing whole, elements without the link a part of one.
struct Finds {
  Found bridges, rules, taps;
  std::map<std::uint16_t, std::uint32_t> bridge_index;
};

Status find_bridges(Kernel& kernel, const CheckedInventory& wanted, Finds& finds) {
  const Result<std::vector<Link>> links = links_of_kind(kernel.route, "bridge");
  if (!links) return forward(links.error());
  const Result<std::vector<Element>> within = read_set(kernel.nft, kWithin);
  if (!within) return forward(within.error());
  const Result<Routing> routing = read_routing(kernel.route);
  if (!routing) return forward(routing.error());
  const Result<bool> closed = are_closed(kernel.nft, wanted.closed());
  if (!closed) return forward(closed.error());
  for (const std::uint16_t net : routing->nets()) finds.bridges.emplace(std::pair{net, 0U}, false);
  std::set<std::uint16_t> in_rules;
  for (const Element& element : *within)
    if (const auto net = net_of_bridge(interface_of(element))) {
      finds.bridges.emplace(std::pair{*net, 0U}, false);
      in_rules.insert(*net);
    }
  for (const Link& link : *links) {
    const auto net = net_of_bridge(link.name);
    if (!net || !is_ours(link)) continue;
    finds.bridge_index[*net] = link.index;
    // A bridge that is up and that the rules or the routing do not know is no more whole than the other way round.
    finds.bridges[{*net, 0U}] = *closed && in_rules.contains(*net) && routing->whole(*net, link.index) && link.group == kLinkGroup && (link.flags & IFF_UP) != 0;
  }
  return {};
}

Status find_taps(Kernel& kernel, Finds& finds) {
  const Result<std::vector<Link>> links = links_of_kind(kernel.route, "tun");
  if (!links) return forward(links.error());
  const Result<std::vector<Element>> sources = read_set(kernel.nft, kSources);
  if (!sources) return forward(sources.error());
  for (const Element& element : *sources)
    if (const auto tap = place_of_tap(interface_of(element))) finds.taps.emplace(*tap, false);
  for (const Link& link : *links) {
    const auto tap = place_of_tap(link.name);
    if (!tap || !is_ours(link)) continue;
    const auto bridge = finds.bridge_index.find(tap->first);
    const bool own = bridge != finds.bridge_index.end() && link.master == bridge->second;
    const bool guarded = finds.taps.contains(*tap);
    finds.taps[*tap] = own && guarded && link.group == kLinkGroup && (link.flags & IFF_UP) != 0;
  }
  return {};
}

std::optional<std::uint32_t> address_behind_a_name(const std::vector<std::uint8_t>& key) {
  if (key.size() != kNamePart + kAddressPart) return std::nullopt;
  std::uint32_t address = 0;
  std::memcpy(&address, key.data() + kNamePart, sizeof address);
  return ntohl(address);
}

// Where each bridge's tenant may go by its list, sorted.
Result<std::map<std::uint16_t, std::vector<Range>>> read_allowed(Socket& nft) {
  const Result<std::vector<Element>> elements = read_set(nft, kAllowed);
  if (!elements) return forward(elements.error());
  std::map<std::uint16_t, std::vector<Range>> allowed;
  for (const Element& element : *elements) {
    const auto first = address_behind_a_name(element.key), last = element.key_end.empty() ? first : address_behind_a_name(element.key_end);
    if (!first || !last) return fail(Errc::kMalformed, "read the set", kAllowed.name);
    if (const auto net = net_of_bridge(interface_of(element))) allowed[*net].push_back({*first, *last});
  }
  for (auto& [net, ranges] : allowed) std::ranges::sort(ranges);
  return allowed;
}

// A rule that lets out more, or less, than the policy lists now is no whole one: it is made again.
Status find_rules(Kernel& kernel, const CheckedInventory& wanted, Finds& finds) {
  const Result<std::vector<Element>> egress = read_set(kernel.nft, kEgress), replies = read_set(kernel.nft, kReplies);
  if (!egress) return forward(egress.error());
  if (!replies) return forward(replies.error());
  const auto allowed = read_allowed(kernel.nft);
  if (!allowed) return forward(allowed.error());
  std::set<std::uint16_t> answered;
  for (const Element& element : *replies)
    if (const auto net = net_of_bridge(interface_of(element))) answered.insert(*net);
  for (const auto& [net, ranges] : *allowed) finds.rules[{net, 0U}] = false;
  for (const std::uint16_t net : answered) finds.rules[{net, 0U}] = false;
  for (const Element& element : *egress) {
    const auto net = net_of_bridge(interface_of(element));
    if (!net) continue;
    const bool listed = element.verdict == static_cast<std::uint32_t>(NFT_GOTO), out = element.verdict != NF_DROP;
    const auto found = allowed->find(*net);
    const bool as_listed = (found == allowed->end() ? std::vector<Range>{} : found->second) == (listed ? wanted.listed() : std::vector<Range>{});
    finds.rules[{*net, 0U}] = finds.bridge_index.contains(*net) && as_listed && answered.contains(*net) == out;
  }
  return {};
}

}  // namespace

Result<std::vector<wire::Item>> inventory(Kernel& kernel, const CheckedInventory& wanted) {
  Finds finds;
  Status found = find_bridges(kernel, wanted, finds);
  if (found) found = find_taps(kernel, finds);
  if (found) found = find_rules(kernel, wanted, finds);
  if (!found) return forward(std::move(found.error()));
  std::vector<wire::Item> items;
  append(items, lang::Word::kBridge, finds.bridges);
  append(items, lang::Word::kRule, finds.rules);
  append(items, lang::Word::kTap, finds.taps);
  return items;
}

Result<std::vector<wire::Reading>> read_taps(Kernel& kernel) {
  const Result<std::vector<Link>> links = links_of_kind(kernel.route, "tun");
  if (!links) return forward(links.error());
  std::vector<wire::Reading> readings;
  for (const Link& link : *links) {
    const auto tap = place_of_tap(link.name);
    if (!tap || !is_ours(link)) continue;
    readings.push_back({.net = tap->first, .slot = tap->second, .frames = wire::Frames{link.received, link.sent + link.dropped}});
  }
  return readings;
}

}  // namespace mvm::net
