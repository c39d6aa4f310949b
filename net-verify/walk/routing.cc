#include "net-verify/walk/routing.h"

#include <algorithm>

#include "net-verify/space/match.h"

namespace mvm::verify {
namespace {

constexpr Interval kLoopback{127U << 24, (128U << 24) - 1};
constexpr Interval kMulticast{224U << 24, (240U << 24) - 1};
constexpr Interval kBroadcast{0xffff'ffff, 0xffff'ffff};
constexpr Interval kNothing{0, 0};

Interval addresses_of(std::uint32_t base, unsigned length) {
  const std::uint64_t size = std::uint64_t{1} << (32 - length);
  return {base, base + size - 1};
}

constexpr std::uint32_t kUp = 1;  // IFF_UP

std::string label_of(const Route& route) {
  const std::string target = ipv4_to_string(route.base) + "/" + std::to_string(route.prefix);
  return "table " + std::to_string(route.table) + " " + target;
}

}  // namespace

// Swept once over all bounds: routes that hold at an address, the longest prefix first.
Routing::Table Routing::compile(std::vector<const Route*> routes) {
  std::ranges::stable_sort(routes, [](const Route* a, const Route* b) {
    if (a->prefix != b->prefix) return a->prefix > b->prefix;
    return a->tos != b->tos ? a->tos > b->tos : a->metric < b->metric;
  });
  std::vector<std::pair<std::uint64_t, std::size_t>> bounds;  // where a route begins or has just ended; which
  for (std::size_t i = 0; i < routes.size(); ++i) {
    const Interval of = addresses_of(routes[i]->base, routes[i]->prefix);
    bounds.emplace_back(of.low, i);
    bounds.emplace_back(of.high + 1, i);
  }
  std::ranges::sort(bounds);
  std::vector<std::size_t> open;  // sorted: best first
  Table table;
  for (std::size_t i = 0; i < bounds.size(); ++i) {
    const auto at = std::ranges::lower_bound(open, bounds[i].second);
    if (at != open.end() && *at == bounds[i].second) open.erase(at);
    else open.insert(at, bounds[i].second);
    const bool last_here = i + 1 == bounds.size() || bounds[i + 1].first != bounds[i].first;
    if (!last_here || open.empty()) continue;
    Segment segment{{bounds[i].first, bounds[i + 1].first - 1}, {}};
    for (const std::size_t which : open) segment.candidates.push_back(routes[which]);
    table.push_back(std::move(segment));
  }
  return table;
}

Routing::Routing(const Snapshot& snapshot) : snapshot_(snapshot) {
  std::map<std::uint32_t, std::vector<const Route*>> by_table;
  for (const Route& route : snapshot.routes) by_table[route.table].push_back(&route);
  for (auto& [table, routes] : by_table) tables_[table] = compile(std::move(routes));
}

bool Routing::may_go(const Link& link) const {
  const char* const setting = "ignore_routes_with_linkdown";
  return (link.flags & kUp) == 0 || snapshot_.setting(link.name, setting, 1) != 0 || snapshot_.setting("all", setting, 1) != 0;
}

// Whether the lookup ends here.
bool Routing::take(const Route& route, const Packets& packets, Way& way) const {
  if (route.unknown || route.type == RouteType::kOther) {
    way.evaluator.cannot_tell("route " + label_of(route) + " is of a kind that is not modelled");
    return true;
  }
  if (route.type == RouteType::kThrow) return true;
  if (route.type == RouteType::kDrop) return true;
  if (route.type != RouteType::kUnicast) {
    way.routed.push_back({Fate::kHost, nullptr, packets.then("route " + label_of(route) + ": to the host")});
    return true;
  }
  for (const std::uint32_t index : route.links) {
    const Link* link = snapshot_.link(index);
    if (link == nullptr) way.evaluator.cannot_tell("route " + label_of(route) + " leads to a link that was not read");
    else way.routed.push_back({Fate::kForward, link, packets.then("route " + label_of(route) + ": to " + link->name)});
  }
  return true;
}

std::vector<Packets> Routing::look_up(const RoutingRule& rule, const Packets& packets, Way& way) const {
  const auto found = tables_.find(rule.table);
  if (found == tables_.end()) return {packets};
  const Interval wanted = packets.box.of(Field::kTarget);
  std::vector<Packets> left;
  std::uint64_t next = wanted.low;  // the first address that no segment was looked at for
  const auto leave = [&](Interval addresses) {
    const Box box = packets.box.within(Field::kTarget, addresses);
    if (!box.empty()) left.push_back(packets.in(box));
  };
  const Table& table = found->second;
  auto segment = std::ranges::lower_bound(table, wanted.low, {}, [](const Segment& s) { return s.addresses.high; });
  for (; segment != table.end() && segment->addresses.low <= wanted.high; ++segment) {
    if (segment->addresses.low > next) leave({next, segment->addresses.low - 1});
    next = segment->addresses.high + 1;
    const Packets here = packets.in(packets.box.within(Field::kTarget, segment->addresses));
    bool ended = false;
    for (const Route* route : segment->candidates) {
      way.evaluator.work().spend(1);
      if (rule.suppress_prefix >= 0 && route->prefix <= rule.suppress_prefix) break;
      if (route->type == RouteType::kThrow && route->tos == 0) break;
      ended = take(*route, here, way);
      const Link* only = route->links.size() == 1 ? snapshot_.link(route->links[0]) : nullptr;
      const bool may_be_dead = route->type == RouteType::kUnicast && (only == nullptr || may_go(*only));
      // The sender chooses the tos; a link that is down takes its routes with it.
      if (route->tos == 0 && !may_be_dead) break;
      ended = false;
    }
    if (!ended) left.push_back(here);
  }
  if (next <= wanted.high) leave({next, wanted.high});
  return left;
}

// What a rule asks of packets, beside the link that they came in by.
std::vector<Box> Routing::asked_by(const RoutingRule& rule, const std::string& label, Way& way) {
  Box asked;
  if (rule.from.length != 0) asked = asked.with(Field::kSource, addresses_of(rule.from.base, rule.from.length));
  if (rule.to.length != 0) asked = asked.with(Field::kTarget, addresses_of(rule.to.base, rule.to.length));
  if (rule.protocol) asked = asked.with(Field::kProtocol, *rule.protocol);
  const auto marks = masked_equal(Field::kMark, rule.mark_mask, rule.mark);
  if (!marks) way.evaluator.cannot_tell(label + " has a mask that is not modelled");
  std::vector<Box> boxes;
  for (const Interval& mark : marks.value_or(std::vector<Interval>{})) boxes.push_back(asked.with(Field::kMark, mark));
  return boxes;
}

void Routing::follow(std::size_t from, Packets packets, int jumps, Way& way) const {
  std::vector<Packets> left = {std::move(packets)};
  for (std::size_t i = from; i < snapshot_.rules.size() && !left.empty(); ++i) {
    const RoutingRule& rule = snapshot_.rules[i];
    const bool by_link = (rule.iif.empty() || rule.iif == way.in.name) && rule.oif.empty();
    if (!by_link && !rule.invert) continue;
    const std::string label = "ip rule " + std::to_string(rule.priority);
    const std::vector<Box> asked = by_link ? asked_by(rule, label, way) : std::vector<Box>{};
    std::vector<Packets> next;
    for (const Packets& one : left) {
      way.evaluator.work().spend(1);
      if (way.evaluator.given_up()) return;
      std::vector<Box> meets;
      for (const Box& box : asked)
        if (const Box both = intersect(one.box, box); !both.empty()) meets.push_back(both);
      std::vector<Box> misses = without(one.box, meets);
      if (rule.invert) std::swap(meets, misses);
      for (const Box& box : misses) next.push_back(one.in(box));
      for (const Box& box : meets) {
        const Packets met = one.in(box);
        if (rule.unknown) next.push_back(met);  // the sender's ports, or something of the host's
        switch (rule.action) {
          case RuleAction::kTable: {
            std::vector<Packets> unanswered = look_up(rule, met.then(label), way);
            next.insert(next.end(), unanswered.begin(), unanswered.end());
            break;
          }
          case RuleAction::kGoto: {
            const auto target = std::ranges::lower_bound(snapshot_.rules, rule.target, {}, &RoutingRule::priority);
            if (jumps < kMaxJumps) follow(static_cast<std::size_t>(target - snapshot_.rules.begin()), met, jumps + 1, way);
            else way.evaluator.cannot_tell(label + " jumps too deep");
            break;
          }
          case RuleAction::kDrop: break;
          case RuleAction::kNop: next.push_back(met); break;
          case RuleAction::kOther: way.evaluator.cannot_tell(label + " is of a kind that is not modelled"); break;
        }
      }
    }
    if (next.size() > kMaxBoxes) {
      way.evaluator.cannot_tell("routing cuts the packets into too many kinds");
      return;
    }
    left = std::move(next);
  }
}

std::vector<Routed> Routing::route(const Link& in, const Packets& packets, Evaluator& evaluator) const {
  Way way{in, evaluator, {}};
  std::vector<Box> rest = {packets.box};
  // Never looked up (ip_route_input_slow): they are the host's, or nobody's.
  for (const Interval& special : {kMulticast, kBroadcast, kNothing}) {
    const Box box = packets.box.within(Field::kTarget, special);
    if (!box.empty()) way.routed.push_back({Fate::kHost, nullptr, packets.in(box).then("multicast or broadcast: to the host")});
    rest = without(packets.box, {Box().with(Field::kTarget, kMulticast), Box().with(Field::kTarget, kBroadcast), Box().with(Field::kTarget, kNothing)});
  }
  const bool loopback_is_closed = snapshot_.setting(in.name, "route_localnet", 1) == 0 && snapshot_.setting("all", "route_localnet", 1) == 0;
  std::vector<Box> cleared;
  for (const Box& box : rest) {
    const std::vector<Box> parts = loopback_is_closed
                                       ? without(box, {Box().with(Field::kTarget, kLoopback), Box().with(Field::kSource, kLoopback)})
                                       : std::vector{box};
    cleared.insert(cleared.end(), parts.begin(), parts.end());
  }
  for (const Box& box : cleared) follow(0, packets.in(box), 0, way);
  return std::move(way.routed);
}

}  // namespace mvm::verify
