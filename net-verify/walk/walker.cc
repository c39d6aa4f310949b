#include "net-verify/walk/walker.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <array>

#include "base/derived.h"
#include "net-verify/space/match.h"
#include "policy-lang/link_name.h"
#include "policy-lang/table.h"

namespace mvm::verify {
namespace {

constexpr std::uint8_t kIp = 2, kArp = 3, kNetdev = 5, kBridge = 7, kIp6 = 10;           // NFPROTO_*
constexpr std::uint32_t kPrerouting = 0, kInput = 1, kForward = 2, kPostrouting = 4;  // NF_INET_* and NF_BR_* alike
constexpr std::uint32_t kArpIn = 0;                                            // NF_ARP_IN
constexpr std::uint32_t kIngress = 0, kEgress = 1;                             // NF_NETDEV_*
constexpr Interval kReserved{0x0180'c200'0000, 0x0180'c200'000f};              // IEEE 802.1Q table 8-1
constexpr std::uint64_t kLldp = 0x0180'c200'000e;

std::uint64_t number(const Mac& mac) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : mac) value = value << 8 | byte;
  return value;
}

std::vector<Packets> only(const std::vector<Packets>& packets, Field field, Interval interval) {
  std::vector<Packets> made;
  for (const Packets& one : packets)
    if (const Box box = one.box.within(field, interval); !box.empty()) made.push_back(one.in(box));
  return made;
}

std::vector<Packets> of_other_types(const std::vector<Packets>& packets) {
  std::vector<Packets> made;
  for (const Packets& one : packets)
    for (const Box& box : without(one.box, {Box().with(Field::kType, ETH_P_IP), Box().with(Field::kType, ETH_P_IPV6)})) made.push_back(one.in(box));
  return made;
}

// Those of one tap, or all of one tenant's, in one box.
Packets around(const std::vector<Packets>& packets) {
  Packets all = packets.front();
  for (const Packets& one : packets) all.box = all.box.hull(one.box);
  return all;
}

bool to_a_group(const Box& box) { return kReserved.contains(box.of(Field::kTargetMac)); }

std::vector<Packets> of_type(const std::vector<Packets>& packets, std::uint64_t type) { return only(packets, Field::kType, {type, type}); }

}  // namespace

Walker::Walker(const Snapshot& snapshot, const Expected& expected, std::uint64_t most)
    : snapshot_(snapshot), expected_(expected), evaluator_(snapshot, most), routing_(snapshot) {
  for (const Link& link : snapshot.links)
    if (link.master != 0) ports_[link.master].push_back(&link);
}

std::optional<std::uint16_t> Walker::tenant_of(const Link& link) const {
  const auto named = lang::read_link_name(link.name);
  return named ? std::optional(named->net) : std::nullopt;
}

const Link* Walker::bridge_of(const Link& link) const { return link.master == 0 ? nullptr : snapshot_.link(link.master); }

void Walker::run(Report& report) {
  for (const Link& link : snapshot_.links) {
    const auto named = lang::read_link_name(link.name);
    if (!named || !named->slot) continue;
    from_tap(link, named->net);
    ++report.taps;
  }
  pending();
  for (auto& [key, finding] : found_) report.findings.push_back(std::move(finding));
  for (const auto& [why, nets] : evaluator_.cannot_tell()) report.cannot_tell.push_back({{nets.begin(), nets.end()}, why});
  report.untold += untold_;
}

void Walker::from_tap(const Link& tap, std::uint16_t net) {
  Source source{net, {}};
  evaluator_.about(net);
  const Packets any{Box().with(Field::kMark, 0), nullptr, nullptr};
  enter(tap, {any.then("sent into " + tap.name)}, source);
}

// A frame comes in by a link (__netif_receive_skb_core).
void Walker::enter(const Link& in, std::vector<Packets> packets, Source& source) {
  if (packets.empty() || source.entered.size() >= kMaxHops || !source.entered.insert(in.index).second) return;
  packets = evaluator_.run({kNetdev, kIngress, &in, nullptr, nullptr, nullptr}, std::move(packets));
  const Link* master = bridge_of(in);
  if (in.master != 0 && (master == nullptr || master->kind != "bridge")) {
    evaluator_.cannot_tell(in.name + " is a port of something that is not a bridge");
    return;
  }
  if (master == nullptr) return host_stack(in, std::move(packets), source);
  bridge(in, *master, std::move(packets), source);
}

// br_handle_frame.
void Walker::bridge(const Link& in, const Link& bridge, std::vector<Packets> packets, Source& source) {
  reserved(in, bridge, packets, source);
  packets = evaluator_.run({kBridge, kPrerouting, &in, nullptr, &bridge, nullptr}, std::move(packets));
  check_own(in, packets);
  to_ports(in, bridge, packets, source);
  for (Packets& one : packets) one = one.then("bridged to " + bridge.name);
  lift(in, bridge, packets, source);
}

std::vector<Packets> Walker::above(const Link& in, const Link& bridge, std::vector<Packets> packets) {
  std::vector<Packets> up = evaluator_.run({kBridge, kInput, &in, nullptr, &bridge, nullptr}, std::move(packets));
  return evaluator_.run({kNetdev, kIngress, &bridge, nullptr, nullptr, nullptr}, std::move(up));
}

// To the host's stack by the bridge. Where that waits, one box around them all goes first: each by itself is followed only where
// something of that box arrives somewhere (settle).
void Walker::lift(const Link& in, const Link& bridge, const std::vector<Packets>& packets, Source& source) {
  if (source.entered.contains(bridge.index)) return;
  std::vector<Packets> exact;
  for (std::vector<Packets>& some : std::array{of_type(packets, ETH_P_IP), of_type(packets, ETH_P_IPV6), of_other_types(packets)}) {
    if (some.empty()) continue;
    if (collecting_) {
      auto known = evaluator_.cannot_tell();
      std::vector<Packets> up = above(in, bridge, {around(some)});
      if (evaluator_.cannot_tell() == known) {
        if (up.empty()) continue;
        source.entered.insert(bridge.index);
        Waits& waits = waiting_[{bridge.index, source.net}];
        waits.around.insert(waits.around.end(), std::make_move_iterator(up.begin()), std::make_move_iterator(up.end()));
        waits.held.push_back({&in, &bridge, std::move(some)});
        continue;
      }
      evaluator_.take_back(std::move(known));
    }
    std::vector<Packets> up = above(in, bridge, std::move(some));
    exact.insert(exact.end(), std::make_move_iterator(up.begin()), std::make_move_iterator(up.end()));
  }
  if (exact.empty()) return;
  source.entered.insert(bridge.index);
  host_stack(bridge, std::move(exact), source);
}

bool Walker::may_pass(const Place& place, const std::vector<Packets>& packets) {
  auto known = evaluator_.cannot_tell();
  const bool left = !evaluator_.run(place, packets).empty();
  if (evaluator_.cannot_tell() == known) return left;
  evaluator_.take_back(std::move(known));
  return true;
}

// Frames to the reserved addresses are the port's own, past prerouting; to LLDP's past all hooks of the bridge.
void Walker::reserved(const Link& in, const Link& bridge, const std::vector<Packets>& packets, Source& source) {
  std::vector<Packets> straight = only(packets, Field::kTargetMac, {kLldp, kLldp});
  const std::vector<Packets> rest = evaluator_.run({kBridge, kInput, &in, nullptr, &bridge, nullptr}, only(packets, Field::kTargetMac, kReserved));
  straight.insert(straight.end(), rest.begin(), rest.end());
  for (Packets& one : straight) one = one.then("a reserved address: to the stack of " + in.name);
  host_stack(in, std::move(straight), source);
}

void Walker::to_ports(const Link& in, const Link& bridge, const std::vector<Packets>& packets, Source& source) {
  const auto ports = ports_.find(bridge.index);
  if (ports == ports_.end()) return;
  for (const Link* port : ports->second) {
    if (port == &in || tenant_of(*port) == source.net) continue;  // within the tenant
    std::vector<Packets> there = packets;
    for (Packets& one : there) one = one.then("bridged to port " + port->name);
    there = evaluator_.run({kBridge, kForward, &in, port, &bridge, &bridge}, std::move(there));
    there = evaluator_.run({kBridge, kPostrouting, &in, port, &bridge, &bridge}, std::move(there));
    leave(*port, there, source);
  }
}

// What a tap of ours lets through must be its slot's own: MAC, address, ARP, and nothing else.
void Walker::check_own(const Link& tap, const std::vector<Packets>& packets) {
  const auto named = lang::read_link_name(tap.name);
  const Tenant* tenant = named ? expected_.tenant(named->net) : nullptr;
  if (tenant == nullptr || !named->slot || !tenant->slots.contains(*named->slot)) return;
  const std::uint64_t mac = number(instance_mac(named->net, *named->slot)), address = slot_address(tenant->subnet, *named->slot);
  const Box own = Box().with(Field::kTag, 0).with(Field::kSourceMac, mac);
  const std::vector<Box> allowed = {
      own.with(Field::kType, ETH_P_IP).with(Field::kSource, address),
      own.with(Field::kType, ETH_P_ARP).with(Field::kArpSourceMac, mac).with(Field::kArpSource, address)};
  for (const Packets& one : packets)
    for (const Box& box : without(one.box, allowed))
      tell("forged", {named->net}, tap.name, tap.name + " lets through a frame that is not its slot's own", one.in(box));
}

// What goes to a host's own stack waits until all taps have sent: one walk for a bridge where nothing is found.
void Walker::host_stack(const Link& in, std::vector<Packets> packets, Source& source) {
  if (packets.empty()) return;
  if (collecting_) {
    auto& waits = waiting_[{in.index, source.net}].packets;
    waits.insert(waits.end(), std::make_move_iterator(packets.begin()), std::make_move_iterator(packets.end()));
    return;
  }
  ipv4(in, of_type(packets, ETH_P_IP), source);
  ipv6(in, of_type(packets, ETH_P_IPV6), source);
  // What becomes of it then is not asked, but whether something that is not modelled gets it into its hands.
  (void)evaluator_.run({kArp, kArpIn, &in, nullptr, nullptr, nullptr}, of_type(packets, ETH_P_ARP));
}

void Walker::pending() {
  collecting_ = false;
  for (const auto& [key, waits] : waiting_) {
    evaluator_.about(key.second);
    for (const std::uint64_t type : {ETH_P_IP, ETH_P_IPV6, ETH_P_ARP}) settle(*snapshot_.link(key.first), key.second, type);
  }
}

// One box around all: if nothing of it arrives, nothing of them does. If something does, each by itself.
void Walker::settle(const Link& in, std::uint16_t net, std::uint64_t type) {
  const Waits& waits = waiting_.at({in.index, net});
  std::vector<Packets> all = of_type(waits.packets, type);
  const std::vector<Packets> coarse = of_type(waits.around, type);
  all.insert(all.end(), coarse.begin(), coarse.end());
  if (all.empty()) return;
  auto before = found_;
  auto known = evaluator_.cannot_tell();
  const std::size_t untold = untold_;
  Source source{net, {in.index}};
  host_stack(in, {around(all)}, source);
  const bool nothing = found_.size() == before.size() && untold == untold_ && evaluator_.cannot_tell() == known;
  if (nothing || (all.size() == 1 && coarse.empty())) return;
  found_ = std::move(before);
  evaluator_.take_back(std::move(known));
  untold_ = untold;
  all = of_type(waits.packets, type);
  for (const Held& held : waits.held) {
    std::vector<Packets> up = above(*held.in, *held.bridge, of_type(held.packets, type));
    all.insert(all.end(), std::make_move_iterator(up.begin()), std::make_move_iterator(up.end()));
  }
  for (const Packets& one : all) {
    Source again{net, {in.index}};
    host_stack(in, {one}, again);
  }
}

void Walker::ipv4(const Link& in, const std::vector<Packets>& packets, Source& source) {
  std::vector<Packets> arrived = packets;
  // An answer of a connection whose addresses were translated goes to where the connection came from.
  if (evaluator_.translates())
    for (const Packets& one : only(packets, Field::kState, {kEstablished, kRelated}))
      arrived.push_back(one.in(one.box.with(Field::kTarget, Interval{0, shape(Field::kTarget).most}))
                            .doubted("conntrack may give the packet another destination")
                            .then("an answer, translated back"));
  arrived = evaluator_.run({kIp, kPrerouting, &in, nullptr, nullptr, nullptr}, std::move(arrived));
  // Whatever the routing says: what no input and no forwarding lets through is not looked up.
  const bool forwards = snapshot_.setting(in.name, "forwarding", 1) != 0;
  const bool to_host = may_pass({kIp, kInput, &in, nullptr, nullptr, nullptr}, arrived);
  if (!to_host && !(forwards && may_pass({kIp, kForward, &in, nullptr, nullptr, nullptr, true}, arrived))) return;
  for (const Packets& one : arrived)
    for (Routed& routed : routing_.route(in, one, evaluator_)) {
      if (routed.fate == Fate::kHost && to_host) deliver(in, kIp, std::move(routed.packets), source);
      else if (routed.fate == Fate::kHost || to_a_group(routed.packets.box)) continue;  // what is not sent to the host's own MAC is not forwarded (ip_forward)
      else if (forwards) forward(in, *routed.out, kIp, std::move(routed.packets), source);
    }
}

// Its addresses and routes are not modelled: where it is on, it may go anywhere that the rules leave open.
void Walker::ipv6(const Link& in, const std::vector<Packets>& packets, Source& source) {
  if (packets.empty() || snapshot_.setting(in.name, "disable_ipv6", 0) == 1) return;
  std::vector<Packets> arrived = evaluator_.run({kIp6, kPrerouting, &in, nullptr, nullptr, nullptr}, packets);
  for (const Packets& one : arrived) deliver(in, kIp6, one, source);
  if (snapshot_.setting("all", "forwarding6", 0) == 0) return;
  for (const Link& out : snapshot_.links)
    for (const Packets& one : arrived)
      if (&out != &in && !to_a_group(one.box)) forward(in, out, kIp6, one.doubted("routes of IPv6 are not modelled").then("IPv6: to " + out.name), source);
}

void Walker::deliver(const Link& in, std::uint8_t protocol, Packets packets, Source& source) {
  for (const Packets& one : evaluator_.run({protocol, kInput, &in, nullptr, nullptr, nullptr}, {std::move(packets)}))
    tell("host", {source.net}, "", "the host is reached from tenant net " + std::to_string(source.net), one.then("to the host itself"));
}

void Walker::forward(const Link& in, const Link& out, std::uint8_t protocol, Packets packets, Source& source) {
  std::vector<Packets> there = evaluator_.run({protocol, kForward, &in, &out, nullptr, nullptr}, {std::move(packets)});
  there = evaluator_.run({protocol, kPostrouting, &in, &out, nullptr, nullptr}, std::move(there));
  leave(out, there, source);
}

void Walker::leave(const Link& out, const std::vector<Packets>& packets, Source& source) {
  const std::vector<Packets> gone = evaluator_.run({kNetdev, kEgress, nullptr, &out, nullptr, nullptr}, packets);
  if (gone.empty()) return;
  const auto tenant = tenant_of(out);
  if (tenant && *tenant != source.net) {
    for (const Packets& one : gone)
      tell("other-tenant", {source.net, *tenant}, "",
           "tenant net " + std::to_string(*tenant) + " is reached from tenant net " + std::to_string(source.net), one.then("out by " + out.name));
    return;
  }
  if (const auto ports = ports_.find(out.index); ports != ports_.end())
    for (const Link* port : ports->second)
      if (tenant_of(*port) != tenant || !tenant) leave(*port, gone, source);
  if (tenant) return;
  if (out.kind == "veth" && !out.lower_elsewhere) {
    if (const Link* other = snapshot_.link(out.lower)) {
      std::vector<Packets> through = gone;
      for (Packets& one : through) one = one.then("through " + out.name + " into " + other->name);
      const bool was = std::exchange(collecting_, false);
      enter(*other, std::move(through), source);
      collecting_ = was;
      return;
    }
  }
  for (const Packets& one : gone) outside(out, one, source);
}

void Walker::outside(const Link& out, const Packets& packets, const Source& source) {
  const Tenant* tenant = expected_.tenant(source.net);
  const Packets last = packets.then("out by " + out.name);
  if (expected_.cidr) {
    const Interval cluster{expected_.cidr->base, expected_.cidr->base + expected_.cidr->size() - 1};
    const Box box = packets.box.within(Field::kTarget, cluster).within(Field::kType, {ETH_P_IP, ETH_P_IP});
    if (!box.empty())
      tell("cluster", {source.net}, out.name, "a packet to the cluster's subnet leaves by " + out.name, last.in(box));
  }
  for (const auto& [first, last_address] : expected_.closed) {
    const Box box = packets.box.within(Field::kTarget, {first, last_address}).within(Field::kType, {ETH_P_IP, ETH_P_IP});
    if (!box.empty()) tell("closed", {source.net}, out.name, "a packet to what the policy closes leaves by " + out.name, last.in(box));
  }
  if (tenant == nullptr || tenant->egress.value_or(lang::kEgressNone) == lang::kEgressNone)
    tell("outside", {source.net}, out.name, "tenant net " + std::to_string(source.net) + " has no egress, and a packet leaves by " + out.name, last);
}

void Walker::tell(const char* check, std::vector<std::uint16_t> nets, const std::string& where, const std::string& what, const Packets& packets) {
  const auto key = std::tuple(std::string(check), nets, where);
  const auto known = found_.find(key);
  const bool certain = packets.doubt == nullptr;
  if (known != found_.end() && (known->second.doubt.empty() || !certain)) return;
  if (known == found_.end() && found_.size() >= kMaxFindings) {
    ++untold_;
    return;
  }
  found_[key] = {check, std::move(nets), what, describe(packets.box), lines_of(packets.path), certain ? std::string() : *packets.doubt};
}

}  // namespace mvm::verify
