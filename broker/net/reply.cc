#include "broker/net/reply.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netconf.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>

namespace mvm::net {
namespace {

static_assert(sizeof(nlmsghdr) == 16 && NLMSG_ALIGNTO == 4, "the header that decode_replies walks");
static_assert(sizeof(nlattr) == kAttributeHeader && (NLA_TYPE_MASK & 0xffff) == kAttributeType);
static_assert(sizeof(ifinfomsg) == 16 && sizeof(netconfmsg) == 1 && sizeof(nfgenmsg) == 4);
static_assert(sizeof(fib_rule_hdr) == 12 && sizeof(rtmsg) == 12);

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read the kernel's reply", what); }

std::string printable(Bytes bytes) {
  const std::string_view text = read_text(bytes).substr(0, kMaxReplyText);
  std::string clean(text);
  std::ranges::replace_if(clean, [](char c) { return c < ' ' || c > '~'; }, '?');
  return clean;
}

// struct nlmsgerr: the errno, the header that is answered (with its body unless NLM_F_CAPPED), attributes if the flags say so.
Status read_error(const nlmsghdr& header, Bytes body, Reply& reply) {
  const auto error = read_value<std::int32_t>(body);
  const auto about = body.size() < 4 ? std::nullopt : read_value<nlmsghdr>(body.subspan(4));
  if (!error || !about || *error > 0 || *error < -4095) return malformed("nlmsgerr");
  reply.error = -*error;
  if ((header.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  std::size_t skip = sizeof(nlmsgerr);
  if ((header.nlmsg_flags & NLM_F_CAPPED) == 0) {
    if (about->nlmsg_len < sizeof(nlmsghdr)) return malformed("nlmsgerr");
    skip += NLMSG_ALIGN(std::size_t{about->nlmsg_len} - sizeof(nlmsghdr));
  }
  if (skip > body.size()) return malformed("nlmsgerr");
  Attributes attributes(body.subspan(skip));
  while (const auto attribute = attributes.next())
    if (attribute->type == NLMSGERR_ATTR_MSG) reply.text = printable(attribute->value);
  return attributes.malformed() ? malformed("nlmsgerr attributes") : Status{};
}

Result<Reply> decode_one(const nlmsghdr& header, Bytes body) {
  Reply reply{ReplyKind::kData, header.nlmsg_seq, header.nlmsg_type, (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0, 0, {}, body};
  if (header.nlmsg_type == NLMSG_ERROR) {
    reply.kind = ReplyKind::kAnswered;
    if (const Status read = read_error(header, body, reply); !read) return forward(read.error());
  } else if (header.nlmsg_type == NLMSG_DONE) {
    reply.kind = ReplyKind::kDone;
    const auto error = read_value<std::int32_t>(body).value_or(0);
    if (error > 0 || error < -4095) return malformed("the end of a dump");
    reply.error = -error;
  }
  return reply;
}

Status read_tun(Bytes bytes, TunState& tun) {
  tun.present = true;
  Attributes attributes(bytes);
  while (const auto attribute = attributes.next()) {
    const auto byte = read_value<std::uint8_t>(attribute->value);
    switch (attribute->type) {
      case IFLA_TUN_OWNER: tun.owner = read_value<std::uint32_t>(attribute->value).value_or(~0U); break;
      case IFLA_TUN_GROUP: tun.group = read_value<std::uint32_t>(attribute->value).value_or(~0U); break;
      case IFLA_TUN_TYPE: tun.tap = byte == IFF_TAP; break;
      case IFLA_TUN_PI: tun.packet_info = byte == 1; break;
      case IFLA_TUN_VNET_HDR: tun.vnet_header = byte == 1; break;
      case IFLA_TUN_PERSIST: tun.persistent = byte == 1; break;
      default: break;
    }
  }
  return attributes.malformed() ? malformed("IFLA_INFO_DATA of a tun device") : Status{};
}

// The data can stand before or after the kind, so it is read when both are known.
Status read_linkinfo(Bytes bytes, Link& link) {
  Bytes data;
  Attributes attributes(bytes);
  while (const auto attribute = attributes.next()) {
    if (attribute->type == IFLA_INFO_KIND) link.kind = printable(attribute->value);
    if (attribute->type == IFLA_INFO_DATA) data = attribute->value;
  }
  if (attributes.malformed()) return malformed("IFLA_LINKINFO");
  return link.kind == "tun" ? read_tun(data, link.tun) : Status{};
}

Status read_verdict(Bytes data, Element& element) {
  Attributes outer(data);
  while (const auto part = outer.next()) {
    if (part->type != NFTA_DATA_VERDICT) continue;
    Attributes inner(part->value);
    while (const auto attribute = inner.next())
      if (attribute->type == NFTA_VERDICT_CODE) element.verdict = ntohl(read_value<std::uint32_t>(attribute->value).value_or(0));
    if (inner.malformed()) return malformed("NFTA_DATA_VERDICT");
  }
  return outer.malformed() ? malformed("NFTA_SET_ELEM_DATA") : Status{};
}

Status read_data_value(Bytes data, std::vector<std::uint8_t>& value) {
  Attributes attributes(data);
  while (const auto attribute = attributes.next())
    if (attribute->type == NFTA_DATA_VALUE) value.assign(attribute->value.begin(), attribute->value.end());
  return attributes.malformed() ? malformed("NFTA_DATA_VALUE") : Status{};
}

Result<Element> decode_element(Bytes bytes) {
  Element element;
  Attributes attributes(bytes);
  while (const auto attribute = attributes.next()) {
    Status read;
    switch (attribute->type) {
      case NFTA_SET_ELEM_KEY: read = read_data_value(attribute->value, element.key); break;
      case NFTA_SET_ELEM_KEY_END: read = read_data_value(attribute->value, element.key_end); break;
      case NFTA_SET_ELEM_DATA: read = read_verdict(attribute->value, element); break;
      case NFTA_SET_ELEM_OBJREF: element.object = printable(attribute->value); break;
      case NFTA_SET_ELEM_FLAGS:
        element.interval_end =
            (ntohl(read_value<std::uint32_t>(attribute->value).value_or(0)) & NFT_SET_ELEM_INTERVAL_END) != 0;
        break;
      default: break;
    }
    if (!read) return forward(read.error());
  }
  if (attributes.malformed()) return malformed("NFTA_LIST_ELEM");
  return element;
}

constexpr std::uint8_t kAddressBits = 32;

// The address of a selector whose header gave the prefix's length.
std::uint32_t read_address(Bytes value) { return ntohl(read_value<std::uint32_t>(value).value_or(0)); }

Result<std::uint32_t> read_netconf(Bytes body, std::uint16_t wanted, const char* what) {
  // Attributes start aligned behind the one byte of netconfmsg.
  constexpr std::size_t kHeader = NLMSG_ALIGN(sizeof(netconfmsg));
  if (body.size() < kHeader) return malformed("netconfmsg");
  Attributes attributes(body.subspan(kHeader));
  std::optional<std::uint32_t> value;
  while (const auto attribute = attributes.next())
    if (attribute->type == wanted) value = read_value<std::uint32_t>(attribute->value);
  if (attributes.malformed()) return malformed("RTM_NEWNETCONF");
  if (!value) return fail(Errc::kNotFound, "read a setting of IPv4", what);
  return *value;
}

}  // namespace

Result<std::vector<Reply>> decode_replies(Bytes datagram) {
  std::vector<Reply> replies;
  while (!datagram.empty()) {
    const auto header = read_value<nlmsghdr>(datagram);
    if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > datagram.size()) return malformed("nlmsghdr");
    if (replies.size() == kMaxReplies) return fail(Errc::kLimit, "read the kernel's reply", "messages in one datagram");
    Result<Reply> reply = decode_one(*header, datagram.subspan(sizeof(nlmsghdr), header->nlmsg_len - sizeof(nlmsghdr)));
    if (!reply) return forward(std::move(reply.error()));
    replies.push_back(std::move(*reply));
    datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(std::size_t{header->nlmsg_len}), datagram.size()));
  }
  return replies;
}

Result<Link> decode_link(Bytes body) {
  const auto info = read_value<ifinfomsg>(body);
  if (!info || info->ifi_index <= 0) return malformed("ifinfomsg");
  Link link;
  link.index = static_cast<std::uint32_t>(info->ifi_index);
  link.flags = info->ifi_flags;
  Attributes attributes(body.subspan(sizeof(ifinfomsg)));
  while (const auto attribute = attributes.next()) {
    const Bytes value = attribute->value;
    switch (attribute->type) {
      case IFLA_IFNAME: link.name = printable(value); break;
      case IFLA_IFALIAS: link.alias = printable(value); break;
      case IFLA_MASTER: link.master = read_value<std::uint32_t>(value).value_or(0); break;
      case IFLA_GROUP: link.group = read_value<std::uint32_t>(value).value_or(0); break;
      case IFLA_ADDRESS: link.mac = read_value<std::array<std::uint8_t, 6>>(value).value_or(link.mac); break;
      case IFLA_STATS64:
        if (const auto stats = read_value<rtnl_link_stats64>(value)) link.received = stats->rx_packets, link.sent = stats->tx_packets, link.dropped = stats->tx_dropped;
        break;
      case IFLA_LINKINFO:
        if (const Status read = read_linkinfo(value, link); !read) return forward(read.error());
        break;
      default: break;
    }
  }
  if (attributes.malformed() || link.name.empty()) return malformed("RTM_NEWLINK");
  return link;
}

Result<std::vector<Element>> decode_elements(Bytes body) {
  if (body.size() < sizeof(nfgenmsg)) return malformed("nfgenmsg");
  std::vector<Element> elements;
  Attributes attributes(body.subspan(sizeof(nfgenmsg)));
  while (const auto attribute = attributes.next()) {
    if (attribute->type != NFTA_SET_ELEM_LIST_ELEMENTS) continue;
    Attributes list(attribute->value);
    while (const auto item = list.next()) {
      if (item->type != NFTA_LIST_ELEM) continue;
      Result<Element> element = decode_element(item->value);
      if (!element) return forward(std::move(element.error()));
      elements.push_back(std::move(*element));
    }
    if (list.malformed()) return malformed("NFTA_SET_ELEM_LIST_ELEMENTS");
  }
  if (attributes.malformed()) return malformed("NFT_MSG_NEWSETELEM");
  return elements;
}

Result<PolicyRule> decode_policy_rule(Bytes body) {
  const auto header = read_value<fib_rule_hdr>(body);
  if (!header || header->family != AF_INET || header->src_len > kAddressBits || header->dst_len > kAddressBits) return malformed("fib_rule_hdr");
  PolicyRule rule;
  rule.action = header->action;
  rule.inverted = (header->flags & FIB_RULE_INVERT) != 0;
  rule.table = header->table;
  rule.from.prefix = header->src_len;
  rule.to.prefix = header->dst_len;
  Attributes attributes(body.subspan(sizeof(fib_rule_hdr)));
  while (const auto attribute = attributes.next()) {
    const Bytes value = attribute->value;
    switch (attribute->type) {
      case FRA_PRIORITY: rule.preference = read_value<std::uint32_t>(value).value_or(0); break;
      case FRA_TABLE: rule.table = read_value<std::uint32_t>(value).value_or(0); break;
      case FRA_GOTO: rule.target = read_value<std::uint32_t>(value).value_or(0); break;
      case FRA_PROTOCOL: rule.protocol = read_value<std::uint8_t>(value).value_or(0); break;
      case FRA_IIFNAME: rule.in = printable(value); break;
      case FRA_SRC: rule.from.base = read_address(value); break;
      case FRA_DST: rule.to.base = read_address(value); break;
      default: break;
    }
  }
  if (attributes.malformed()) return malformed("RTM_NEWRULE");
  return rule;
}

Result<Route> decode_route(Bytes body) {
  const auto header = read_value<rtmsg>(body);
  if (!header || header->rtm_family != AF_INET || header->rtm_dst_len > kAddressBits) return malformed("rtmsg");
  Route route{header->rtm_table, header->rtm_type, header->rtm_protocol, {0, header->rtm_dst_len}, 0};
  Attributes attributes(body.subspan(sizeof(rtmsg)));
  while (const auto attribute = attributes.next()) {
    const Bytes value = attribute->value;
    switch (attribute->type) {
      case RTA_TABLE: route.table = read_value<std::uint32_t>(value).value_or(0); break;
      case RTA_DST: route.to.base = read_address(value); break;
      case RTA_OIF: route.out = read_value<std::uint32_t>(value).value_or(0); break;
      default: break;
    }
  }
  if (attributes.malformed()) return malformed("RTM_NEWROUTE");
  return route;
}

Result<bool> decode_forwarding(Bytes body) {
  const Result<std::uint32_t> forwarding = read_netconf(body, NETCONFA_FORWARDING, "NETCONFA_FORWARDING");
  if (!forwarding) return forward(forwarding.error());
  return *forwarding != 0;
}

Result<std::uint32_t> decode_reverse_path(Bytes body) { return read_netconf(body, NETCONFA_RP_FILTER, "NETCONFA_RP_FILTER"); }

}  // namespace mvm::net
