// rtnetlink: links, addresses, routes, rules, queueing disciplines.
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include "net-verify/read/attribute_reader.h"

namespace mvm::verify {
namespace {

static_assert(sizeof(ifinfomsg) == 16 && sizeof(ifaddrmsg) == 8 && sizeof(rtmsg) == 12 && sizeof(fib_rule_hdr) == 12 && sizeof(tcmsg) == 20);

Status read_bridge(Bytes data, Link& link) {
  return each(data, "IFLA_INFO_DATA of a bridge", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == IFLA_BR_STP_STATE) link.stp = host32(value) != 0;
    if (type == IFLA_BR_VLAN_FILTERING) link.vlan_filtering = net::read_value<std::uint8_t>(value).value_or(0) != 0;
    return {};
  });
}

Status read_info(Bytes info, Link& link) {
  Bytes data;
  Status read = each(info, "IFLA_LINKINFO", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == IFLA_INFO_KIND) link.kind = clean(value);
    if (type == IFLA_INFO_DATA) data = value;
    return {};
  });
  if (read && link.kind == "bridge") read = read_bridge(data, link);
  return read;
}

Status read_xdp(Bytes xdp, Link& link) {
  return each(xdp, "IFLA_XDP", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == IFLA_XDP_ATTACHED) link.xdp = net::read_value<std::uint8_t>(value).value_or(0) != 0;
    return {};
  });
}

RouteType type_of(std::uint8_t type) {
  switch (type) {
    case RTN_UNICAST: return RouteType::kUnicast;
    case RTN_LOCAL: case RTN_ANYCAST: return RouteType::kLocal;
    case RTN_BROADCAST: return RouteType::kBroadcast;
    case RTN_MULTICAST: return RouteType::kMulticast;
    case RTN_BLACKHOLE: case RTN_UNREACHABLE: case RTN_PROHIBIT: return RouteType::kDrop;
    case RTN_THROW: return RouteType::kThrow;
    default: return RouteType::kOther;
  }
}

// struct rtnexthop, one behind the other.
Status read_multipath(Bytes hops, Route& route) {
  while (!hops.empty()) {
    const auto hop = net::read_value<rtnexthop>(hops);
    if (!hop || hop->rtnh_len < sizeof(rtnexthop) || hop->rtnh_len > hops.size()) return malformed("RTA_MULTIPATH");
    route.links.push_back(static_cast<std::uint32_t>(hop->rtnh_ifindex));
    hops = hops.subspan(std::min<std::size_t>(RTNH_ALIGN(std::size_t{hop->rtnh_len}), hops.size()));
  }
  return {};
}

RuleAction action_of(std::uint8_t action) {
  switch (action) {
    case FR_ACT_TO_TBL: return RuleAction::kTable;
    case FR_ACT_GOTO: return RuleAction::kGoto;
    case FR_ACT_NOP: return RuleAction::kNop;
    case FR_ACT_BLACKHOLE: case FR_ACT_UNREACHABLE: case FR_ACT_PROHIBIT: return RuleAction::kDrop;
    default: return RuleAction::kOther;
  }
}

}  // namespace

Result<Link> decode_link(Bytes body) {
  const auto info = net::read_value<ifinfomsg>(body);
  if (!info || info->ifi_index <= 0) return malformed("ifinfomsg");
  Link link;
  link.index = static_cast<std::uint32_t>(info->ifi_index);
  link.flags = info->ifi_flags;
  const Status read = each(body.subspan(sizeof(ifinfomsg)), "RTM_NEWLINK", [&](std::uint16_t type, Bytes value) -> Status {
    switch (type) {
      case IFLA_IFNAME: link.name = clean(value); break;
      case IFLA_MASTER: link.master = host32(value); break;
      case IFLA_LINK: link.lower = host32(value) == link.index ? 0 : host32(value); break;
      case IFLA_LINK_NETNSID: link.lower_elsewhere = true; break;
      case IFLA_GROUP: link.group = host32(value); break;
      case IFLA_ADDRESS: link.mac = net::read_value<Mac>(value).value_or(link.mac); break;
      case IFLA_XDP: return read_xdp(value, link);
      case IFLA_LINKINFO: return read_info(value, link);
      default: break;
    }
    return {};
  });
  if (!read) return forward(read.error());
  if (link.name.empty()) return malformed("a link without a name");
  return link;
}

Result<Address> decode_address(Bytes body) {
  const auto header = net::read_value<ifaddrmsg>(body);
  if (!header) return malformed("ifaddrmsg");
  Address address{header->ifa_index, header->ifa_family != AF_INET, 0, header->ifa_prefixlen};
  bool local = false;
  const Status read = each(body.subspan(sizeof(ifaddrmsg)), "RTM_NEWADDR", [&](std::uint16_t type, Bytes value) -> Status {
    // IFA_ADDRESS is the other end's of a point-to-point link, where the two differ.
    if (address.ipv6 || (type != IFA_LOCAL && (type != IFA_ADDRESS || local))) return {};
    address.ipv4 = big32(value);
    local = type == IFA_LOCAL;
    return {};
  });
  if (!read) return forward(read.error());
  return address;
}

Result<std::optional<Route>> decode_route(Bytes body) {
  const auto header = net::read_value<rtmsg>(body);
  if (!header) return malformed("rtmsg");
  if (header->rtm_family != AF_INET || (header->rtm_flags & RTM_F_CLONED) != 0) return std::optional<Route>{};
  if (header->rtm_dst_len > 32) return malformed("the length of a route's prefix");
  Route route;
  route.table = header->rtm_table;
  route.type = type_of(header->rtm_type);
  route.prefix = header->rtm_dst_len;
  route.tos = header->rtm_tos;
  route.unknown = header->rtm_src_len != 0;
  const Status read = each(body.subspan(sizeof(rtmsg)), "RTM_NEWROUTE", [&](std::uint16_t type, Bytes value) -> Status {
    switch (type) {
      case RTA_DST: route.base = big32(value); break;
      case RTA_OIF: route.links.push_back(host32(value)); break;
      case RTA_TABLE: route.table = host32(value); break;
      case RTA_PRIORITY: route.metric = host32(value); break;
      case RTA_MULTIPATH: return read_multipath(value, route);
      case RTA_NH_ID: case RTA_ENCAP: case RTA_ENCAP_TYPE: route.unknown = true; break;
      default: break;
    }
    return {};
  });
  if (!read) return forward(read.error());
  return std::optional(std::move(route));
}

Result<RoutingRule> decode_rule(Bytes body) {
  const auto header = net::read_value<fib_rule_hdr>(body);
  if (!header) return malformed("fib_rule_hdr");
  if (header->src_len > 32 || header->dst_len > 32) return malformed("the length of a rule's prefix");
  RoutingRule rule;
  rule.action = action_of(header->action);
  rule.table = header->table;
  rule.invert = (header->flags & FIB_RULE_INVERT) != 0;
  rule.from.length = header->src_len;
  rule.to.length = header->dst_len;
  rule.unknown = header->tos != 0;
  const Status read = each(body.subspan(sizeof(fib_rule_hdr)), "RTM_NEWRULE", [&](std::uint16_t type, Bytes value) -> Status {
    switch (type) {
      case FRA_PRIORITY: rule.priority = host32(value); break;
      case FRA_TABLE: rule.table = host32(value); break;
      case FRA_GOTO: rule.target = host32(value); break;
      case FRA_IIFNAME: rule.iif = clean(value); break;
      case FRA_OIFNAME: rule.oif = clean(value); break;
      case FRA_SRC: rule.from.base = big32(value); break;
      case FRA_DST: rule.to.base = big32(value); break;
      case FRA_FWMARK: rule.mark = host32(value); break;
      case FRA_FWMASK: rule.mark_mask = host32(value); break;
      case FRA_IP_PROTO: rule.protocol = net::read_value<std::uint8_t>(value); break;
      case FRA_SUPPRESS_PREFIXLEN: rule.suppress_prefix = static_cast<std::int32_t>(host32(value)); break;
      case FRA_SUPPRESS_IFGROUP: rule.unknown = rule.unknown || host32(value) != 0xffff'ffff; break;
      case FRA_L3MDEV: if (net::read_value<std::uint8_t>(value).value_or(0) != 0) rule.action = RuleAction::kOther; break;
      case FRA_PROTOCOL: case FRA_UNSPEC: break;
      case FRA_TUN_ID: rule.unknown = rule.unknown || big64(value) != 0; break;
      default: rule.unknown = true; break;
    }
    return {};
  });
  if (!read) return forward(read.error());
  if (rule.mark_mask == 0 && rule.mark != 0) rule.mark_mask = ~0U;
  return rule;
}

Result<Qdisc> decode_qdisc(Bytes body) {
  const auto header = net::read_value<tcmsg>(body);
  if (!header) return malformed("tcmsg");
  Qdisc qdisc{static_cast<std::uint32_t>(header->tcm_ifindex), {}};
  const Status read = each(body.subspan(sizeof(tcmsg)), "RTM_NEWQDISC", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == TCA_KIND) qdisc.kind = clean(value);
    return {};
  });
  if (!read) return forward(read.error());
  return qdisc;
}

}  // namespace mvm::verify
