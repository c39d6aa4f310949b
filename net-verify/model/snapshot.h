// What the kernel says of its network, as values: links, addresses, routes, routing rules, settings, and all of nftables,
// whoever made it. Nothing here knows what we meant. Pure.
// Filled by net-verify/read/; read by net-verify/walk/ and net-verify/check/.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"

namespace mvm::verify {

using Mac = std::array<std::uint8_t, 6>;
using Data = std::vector<std::uint8_t>;

struct Link {
  std::uint32_t index = 0;
  std::uint32_t flags = 0;   // IFF_*
  std::uint32_t master = 0;  // index; 0: none
  std::uint32_t lower = 0;   // IFLA_LINK: what it is stacked on, or a veth's other end; 0: none
  bool lower_elsewhere = false;  // that is in another network namespace
  std::uint32_t group = 0;
  std::string name;
  std::string kind;  // "bridge", "tun", "veth"; "" of a device that is no virtual one
  Mac mac{};
  bool xdp = false;
  bool stp = false;             // of a bridge
  bool vlan_filtering = false;  // of a bridge
};

struct Address {
  std::uint32_t link = 0;
  bool ipv6 = false;
  std::uint32_t ipv4 = 0;  // host order
  std::uint8_t prefix = 0;
};

enum class RouteType : std::uint8_t { kUnicast, kLocal, kBroadcast, kMulticast, kDrop, kThrow, kOther };

// IPv4 alone: IPv6 is not modelled beyond whether it is on.
struct Route {
  std::uint32_t table = 0;
  RouteType type = RouteType::kOther;
  std::uint32_t base = 0;  // host order
  std::uint8_t prefix = 0;
  std::uint8_t tos = 0;
  std::uint32_t metric = 0;
  std::vector<std::uint32_t> links;  // where it leads: several of a multipath route
  bool unknown = false;  // a nexthop object, an encapsulation, a source prefix: something that is not modelled
};

enum class RuleAction : std::uint8_t { kTable, kGoto, kNop, kDrop, kOther };

struct Prefix {
  std::uint32_t base = 0;
  std::uint8_t length = 0;
};

// One line of `ip rule`. Nothing: not asked for.
struct RoutingRule {
  std::uint32_t priority = 0;
  RuleAction action = RuleAction::kOther;
  std::uint32_t table = 0;
  std::uint32_t target = 0;  // of kGoto: a priority
  bool invert = false;
  std::string iif, oif;
  Prefix from, to;
  std::uint32_t mark = 0, mark_mask = 0;
  std::optional<std::uint8_t> protocol;
  std::int32_t suppress_prefix = -1;  // routes no longer than this are passed over
  bool unknown = false;               // it asks for something else as well (ports, uids, tunnels, l3mdev, tos)
};

// net.ipv4.conf.<link>; what could not be read is nothing.
struct Settings {
  std::map<std::string, std::int64_t> values;
  [[nodiscard]] std::optional<std::int64_t> get(const std::string& name) const {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  }
};

enum class ExprKind : std::uint8_t {
  kImmediate,    // loads data, or is a verdict
  kCompare, kRange, kBitwise, kByteorder, kLookup, kPayload, kMeta, kConntrack,
  kHarmless,     // counter, log, last, notrack: neither stops a packet nor changes it
  kMayBreak,     // limit, quota, connlimit, dynset, objref: the rule may go on and may not, as the sender likes
  kLoadUnknown,  // fib, hash, numgen, rt, socket, exthdr, tunnel, xfrm, osf: puts in a register what we cannot say, or breaks
  kReject,
  kSourceNat, kDestinationNat, kRedirect,
  kUnknown,      // anything else: it could do anything
};

enum class CompareOp : std::uint8_t { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

inline constexpr std::uint32_t kVerdictRegister = 0;  // NFT_REG_VERDICT

struct Verdict {
  std::int32_t code = 0;  // NF_DROP, NF_ACCEPT, NF_QUEUE, NFT_CONTINUE, NFT_JUMP, NFT_GOTO, NFT_RETURN, ...
  std::string chain;
};

// One expression of a rule (uapi linux/netfilter/nf_tables.h). Registers are numbered as the kernel does.
struct Expr {
  ExprKind kind = ExprKind::kUnknown;
  std::string name;
  std::uint32_t source = 0, destination = 0;  // registers; 0 of a payload or meta: the other direction
  bool writes = false;                        // payload, meta, ct: sets the packet's from `source`
  std::uint32_t base = 0, offset = 0, length = 0;  // payload; `length` of bitwise and byteorder too
  std::uint32_t key = 0;                           // meta, ct
  std::uint32_t size = 0;                          // byteorder
  CompareOp op = CompareOp::kEqual;
  bool invert = false;      // lookup
  Data data, data_end;      // compare, range (both), immediate; bitwise: mask and xor
  std::string set;          // lookup
  std::optional<Verdict> verdict;  // immediate
};

struct Rule {
  std::uint64_t handle = 0;
  std::string comment;
  std::vector<Expr> exprs;
};

struct Hook {
  std::uint32_t number = 0;  // NF_INET_*, NF_BR_*, NF_NETDEV_*
  std::int32_t priority = 0;
  std::string type;                  // "filter", "nat", "route"
  std::vector<std::string> devices;  // of an ingress or egress hook
  bool accept = true;                // the policy
};

struct Chain {
  std::uint8_t family = 0;  // NFPROTO_*
  std::string table, name;
  std::optional<Hook> hook;
  std::vector<Rule> rules;
};

struct Element {
  Data key, key_end;
  bool interval_end = false;
  bool catch_all = false;
  std::optional<Verdict> verdict;
  Data data;
};

struct Set {
  std::uint8_t family = 0;
  std::string table, name;
  std::uint32_t flags = 0;  // NFT_SET_*
  std::uint32_t key_length = 0;
  std::vector<std::uint32_t> parts;  // lengths of a concatenation's parts, where it has ranges
  std::vector<Element> elements;
};

struct FlowTable {
  std::string name;
  std::vector<std::string> devices;
};

// A function or program on a hook of netfilter's that is not modelled.
struct ForeignHook {
  std::uint8_t family = 0;   // NFPROTO_*
  std::uint32_t number = 0;
  std::string device;        // of NFPROTO_NETDEV
  std::string what;
};

struct Snapshot {
  std::vector<Link> links;
  std::vector<Address> addresses;
  std::vector<Route> routes;
  std::vector<RoutingRule> rules;              // by priority
  std::map<std::string, Settings> settings;    // net.ipv4.conf.<link>, with "all"; disable_ipv6 and forwarding6 of net.ipv6
  std::vector<Chain> chains;
  std::vector<Set> sets;
  std::vector<FlowTable> flow_tables;
  std::vector<ForeignHook> hooks;
  std::map<std::uint32_t, std::string> programs;  // link: what of tc or BPF hangs on it
  std::vector<std::string> unread;                // what could not be read, and why

  [[nodiscard]] const Link* link(std::uint32_t index) const {
    for (const Link& one : links)
      if (one.index == index) return &one;
    return nullptr;
  }
  [[nodiscard]] const Link* link(const std::string& name) const {
    for (const Link& one : links)
      if (one.name == name) return &one;
    return nullptr;
  }
  [[nodiscard]] std::int64_t setting(const std::string& of, const std::string& name, std::int64_t otherwise) const {
    const auto found = settings.find(of);
    return found == settings.end() ? otherwise : found->second.get(name).value_or(otherwise);
  }
};

}  // namespace mvm::verify
