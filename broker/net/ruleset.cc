#include "broker/net/ruleset.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>

#include <array>
#include <cstdlib>

#include "base/owned.h"
#include "broker/net/elements.h"
#include "broker/net/links.h"
#include "broker/net/rule_builder.h"

namespace mvm::net {
namespace {

constexpr std::uint8_t kInet = NFPROTO_INET;
constexpr std::uint8_t kBridge = NFPROTO_BRIDGE;
constexpr std::uint16_t kCreate = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

struct Hook {
  std::uint32_t number;
  std::int32_t priority;
  const char* type;
};

void put_table(Batch& batch, std::uint8_t family) {
  const Owned<nftnl_table, &nftnl_table_free> table(nftnl_table_alloc());
  nftnl_table_set_u32(table.get(), NFTNL_TABLE_FAMILY, family);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, kTable);
  nftnl_table_nlmsg_build_payload(add_nft(batch, NFT_MSG_NEWTABLE, family, kCreate, {"add the table", kTable}), table.get());
}

// A chain with a hook accepts what its rules leave: most packets of a host are none of our business.
void put_chain(Batch& batch, std::uint8_t family, const char* name, const Hook* hook = nullptr) {
  const Owned<nftnl_chain, &nftnl_chain_free> chain(nftnl_chain_alloc());
  nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_FAMILY, family);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TABLE, kTable);
  nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_NAME, name);
  if (hook != nullptr) {
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_HOOKNUM, hook->number);
    nftnl_chain_set_s32(chain.get(), NFTNL_CHAIN_PRIO, hook->priority);
    nftnl_chain_set_str(chain.get(), NFTNL_CHAIN_TYPE, hook->type);
    nftnl_chain_set_u32(chain.get(), NFTNL_CHAIN_POLICY, NF_ACCEPT);
  }
  nftnl_chain_nlmsg_build_payload(add_nft(batch, NFT_MSG_NEWCHAIN, family, kCreate, {"add the chain", name}), chain.get());
}

// For nft alone, which otherwise cannot print a lone interface name: the byte order of the key (its enum byteorder).
void put_key_order(nftnl_set* set, const SetShape& shape) {
  constexpr std::uint32_t kNoOrder = 0, kHostOrder = 1, kNetworkOrder = 2;
  const Owned<nftnl_udata_buf, &nftnl_udata_buf_free> data(nftnl_udata_buf_alloc(16));
  const std::uint32_t order =
      shape.key_type == kIfname ? kHostOrder : shape.key_type == kIpv4Address ? kNetworkOrder : kNoOrder;
  nftnl_udata_put_u32(data.get(), NFTNL_UDATA_SET_KEYBYTEORDER, order);
  nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
}

void put_set(Batch& batch, const SetShape& shape, std::uint32_t id) {
  const Owned<nftnl_set, &nftnl_set_free> set(nftnl_set_alloc());
  nftnl_set_set_u32(set.get(), NFTNL_SET_FAMILY, shape.family);
  nftnl_set_set_str(set.get(), NFTNL_SET_TABLE, kTable);
  nftnl_set_set_str(set.get(), NFTNL_SET_NAME, shape.name);
  nftnl_set_set_u32(set.get(), NFTNL_SET_ID, id);
  nftnl_set_set_u32(set.get(), NFTNL_SET_FLAGS, shape.flags);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_TYPE, shape.key_type);
  nftnl_set_set_u32(set.get(), NFTNL_SET_KEY_LEN, shape.key_length);
  if ((shape.flags & NFT_SET_MAP) != 0) {
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
    nftnl_set_set_u32(set.get(), NFTNL_SET_DATA_LEN, 16);
  }
  if ((shape.flags & NFT_SET_OBJECT) != 0) nftnl_set_set_u32(set.get(), NFTNL_SET_OBJ_TYPE, NFT_OBJECT_LIMIT);
  if ((shape.flags & NFT_SET_CONCAT) != 0)
    nftnl_set_set_data(set.get(), NFTNL_SET_DESC_CONCAT, shape.parts.data(), shape.part_count);
  put_key_order(set.get(), shape);
  nftnl_set_nlmsg_build_payload(add_nft(batch, NFT_MSG_NEWSET, shape.family, kCreate, {"add the set", shape.name}), set.get());
}

RuleBuilder inet(const char* chain, const char* comment) { return {kInet, chain, comment}; }
RuleBuilder bridge(const char* chain, const char* comment) { return {kBridge, chain, comment}; }

constexpr PayloadPart kDestination{Header::kNetwork, 16, 4};  // RFC 791
constexpr unsigned kSecondName = kNamePart / 4;               // register behind one interface name

void put_forwarding_rules(Batch& batch) {
  inet("forward", "from a tap that is being removed").meta(NFT_META_IIFGROUP).compare_u32(Match::kEqual, kLeavingGroup).verdict(NF_DROP).put(batch);
  inet("forward", "from a tenant").meta(NFT_META_IIFGROUP).compare_u32(Match::kEqual, kLinkGroup).verdict(NFT_GOTO, "from").put(batch);
  inet("forward", "to a tenant").meta(NFT_META_OIFGROUP).compare_u32(Match::kEqual, kLinkGroup).verdict(NFT_GOTO, "to").put(batch);

  inet("from", "over so many connections at once").ct_unconfirmed().meta(NFT_META_IIFNAME).more_connections_than(kMostConnections, kFlows.name).verdict(NF_DROP).put(batch);
  inet("from", "within a tenant").meta(NFT_META_IIFNAME).meta(NFT_META_OIFNAME, kSecondName).in_set(kWithin.name).verdict(NF_ACCEPT).put(batch);
  inet("from", "across tenants").meta(NFT_META_OIFGROUP).compare_u32(Match::kEqual, kLinkGroup).verdict(NF_DROP).put(batch);
  inet("from", "IPv4 alone").meta(NFT_META_NFPROTO).compare_u8(Match::kNotEqual, NFPROTO_IPV4).verdict(NF_DROP).put(batch);
  inet("from", "closed: the cluster's, private, nobody's, or by the policy").meta(NFT_META_NFPROTO).compare_u8(Match::kEqual, NFPROTO_IPV4).payload(kDestination).in_set(kClosed.name).verdict(NF_DROP).put(batch);
  inet("from", "of no connection: it would leave unmasked and uncounted").ct_state(NF_CT_STATE_INVALID_BIT).verdict(NF_DROP).put(batch);
  inet("from", "over packets a second").meta(NFT_META_IIFNAME).limit_of(kPackets.name).verdict(NF_DROP).put(batch);
  inet("from", "over bytes a second").meta(NFT_META_IIFNAME).limit_of(kBytes.name).verdict(NF_DROP).put(batch);
  inet("from", "over new connections a second").ct_unconfirmed().meta(NFT_META_IIFNAME).limit_of(kConnections.name).verdict(NF_DROP).put(batch);
  inet("from", "egress").meta(NFT_META_IIFNAME).verdict_of(kEgress.name).put(batch);
  inet("from", "no egress").verdict(NF_DROP).put(batch);

  inet("listed", "egress to the list").meta(NFT_META_NFPROTO).compare_u8(Match::kEqual, NFPROTO_IPV4).meta(NFT_META_IIFNAME).payload(kDestination, kSecondName).in_set(kAllowed.name).verdict(NF_ACCEPT).put(batch);
  inet("listed", "not on the list").verdict(NF_DROP).put(batch);

  inet("to", "answers").meta(NFT_META_OIFNAME).in_set(kReplies.name).ct_state(NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED)).verdict(NF_ACCEPT).put(batch);
  inet("to", "from outside").verdict(NF_DROP).put(batch);
}

void put_host_rules(Batch& batch) {
  inet("input", "to the host").meta(NFT_META_IIFGROUP).compare_u32(Match::kEqual, kLinkGroup).verdict(NF_DROP).put(batch);
  inet("input", "from a tap that is being removed").meta(NFT_META_IIFGROUP).compare_u32(Match::kEqual, kLeavingGroup).verdict(NF_DROP).put(batch);
  inet("nat", "egress leaves as the host")
      .meta(NFT_META_NFPROTO).compare_u8(Match::kEqual, NFPROTO_IPV4)
      .meta(NFT_META_OIFGROUP).compare_u32(Match::kNotEqual, kLinkGroup)
      .meta(NFT_META_IIFNAME).in_set(kReplies.name).masquerade().put(batch);
}

constexpr PayloadPart kEtherType{Header::kLink, 12, 2};
constexpr PayloadPart kSourceMac{Header::kLink, 6, 6};
constexpr PayloadPart kSourceAddress{Header::kNetwork, 12, 4};
constexpr PayloadPart kArpStart{Header::kNetwork, 0, 6};  // RFC 826: hardware, protocol, their lengths
constexpr PayloadPart kArpSenderMac{Header::kNetwork, 8, 6};
constexpr PayloadPart kArpSenderAddress{Header::kNetwork, 14, 4};
constexpr PayloadPart kFirstOfHeader{Header::kNetwork, 0, 1};
constexpr PayloadPart kSourcePort{Header::kTransport, 0, 2};
constexpr std::array<std::uint8_t, 1> kHeaderLength = {0x0f};
constexpr std::uint8_t kNoOptions = 5;  // words of 4 bytes
constexpr std::array<std::uint8_t, 2> kDhcpServer = {0, 67};
constexpr unsigned kMacRegister = kSecondName;
constexpr unsigned kAddressRegister = kMacRegister + 2;  // 6 bytes take two registers
constexpr std::array<std::uint8_t, 2> kIpv4 = {0x08, 0x00};
constexpr std::array<std::uint8_t, 2> kArp = {0x08, 0x06};
constexpr std::array<std::uint8_t, 6> kEthernetIpv4 = {0, 1, 0x08, 0x00, 6, 4};
constexpr std::array<std::uint8_t, 6> kReservedMask = {0xff, 0xff, 0xff, 0xff, 0xff, 0xf0};
constexpr std::array<std::uint8_t, 6> kReserved = {0x01, 0x80, 0xc2, 0, 0, 0};  // IEEE 802.1Q table 8-1

// The type is read from the frame, not from the packet's metadata: so a VLAN tag is seen as one even where the driver has
// already taken it out.
void put_frame_rules(Batch& batch) {
  bridge("prerouting", "from a tap").meta(NFT_META_IIFGROUP).compare_u32(Match::kEqual, kLinkGroup).verdict(NFT_GOTO, "guard").put(batch);
  bridge("prerouting", "from a tap that is being removed").meta(NFT_META_IIFGROUP).compare_u32(Match::kEqual, kLeavingGroup).verdict(NF_DROP).put(batch);
  bridge("guard", "IPv4 with options, source routes among them")
      .payload(kEtherType).compare(Match::kEqual, kIpv4)
      .payload(kFirstOfHeader).mask(kHeaderLength).compare_u8(Match::kNotEqual, kNoOptions).verdict(NF_DROP).put(batch);
  bridge("guard", "DHCP served by a guest")
      .payload(kEtherType).compare(Match::kEqual, kIpv4)
      .meta(NFT_META_L4PROTO).compare_u8(Match::kEqual, IPPROTO_UDP)
      .payload(kSourcePort).compare(Match::kEqual, kDhcpServer).verdict(NF_DROP).put(batch);
  bridge("guard", "IPv4 from its own MAC and address")
      .payload(kEtherType).compare(Match::kEqual, kIpv4)
      .meta(NFT_META_IIFNAME).payload(kSourceMac, kMacRegister).payload(kSourceAddress, kAddressRegister)
      .in_set(kSources.name).verdict(NF_ACCEPT).put(batch);
  bridge("guard", "ARP for its own MAC and address")
      .payload(kEtherType).compare(Match::kEqual, kArp)
      .payload(kArpStart).compare(Match::kEqual, kEthernetIpv4)
      .meta(NFT_META_IIFNAME).payload(kSourceMac, kMacRegister).payload(kArpSenderAddress, kAddressRegister).in_set(kSources.name)
      .payload(kArpSenderMac, kMacRegister).in_set(kSources.name).verdict(NF_ACCEPT).put(batch);
  bridge("guard", "all else").verdict(NF_DROP).put(batch);
  bridge("input", "from a tap that is being removed").meta(NFT_META_IIFGROUP).compare_u32(Match::kEqual, kLeavingGroup).verdict(NF_DROP).put(batch);
  // Frames to the reserved addresses go to the host past prerouting (br_handle_frame).
  bridge("input", "bridge protocols from a tap")
      .meta(NFT_META_IIFGROUP).compare_u32(Match::kEqual, kLinkGroup)
      .payload({Header::kLink, 0, 6}).mask(kReservedMask).compare(Match::kEqual, kReserved).verdict(NF_DROP).put(batch);
  bridge("input", "closed, by way of the gateway")
      .meta(NFT_META_IIFGROUP).compare_u32(Match::kEqual, kLinkGroup)
      .payload(kEtherType).compare(Match::kEqual, kIpv4)
      .payload(kDestination).in_set(kClosedAtTaps.name).verdict(NF_DROP).put(batch);
}

void put_chains(Batch& batch) {
  constexpr Hook kForward{NF_INET_FORWARD, NF_IP_PRI_FILTER, "filter"};
  constexpr Hook kInput{NF_INET_LOCAL_IN, NF_IP_PRI_FILTER, "filter"};
  constexpr Hook kNat{NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, "nat"};
  constexpr Hook kFrames{NF_BR_PRE_ROUTING, NF_BR_PRI_FILTER_BRIDGED, "filter"};
  constexpr Hook kFramesIn{NF_BR_LOCAL_IN, NF_BR_PRI_FILTER_BRIDGED, "filter"};
  put_chain(batch, kInet, "from");
  put_chain(batch, kInet, "listed");
  put_chain(batch, kInet, "to");
  put_chain(batch, kInet, "forward", &kForward);
  put_chain(batch, kInet, "input", &kInput);
  put_chain(batch, kInet, "nat", &kNat);
  put_chain(batch, kBridge, "guard");
  put_chain(batch, kBridge, "prerouting", &kFrames);
  put_chain(batch, kBridge, "input", &kFramesIn);
}

void put_bare(Batch& batch, std::uint16_t type) {
  nlmsghdr* message = batch.add(type, 0, {"change the rules", kTable});
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->version = NFNETLINK_V0;
  header->res_id = htons(NFNL_SUBSYS_NFTABLES);
}

}  // namespace

void begin_transaction(Batch& batch) { put_bare(batch, NFNL_MSG_BATCH_BEGIN); }
void end_transaction(Batch& batch) { put_bare(batch, NFNL_MSG_BATCH_END); }

nlmsghdr* add_nft(Batch& batch, std::uint16_t what, std::uint8_t family, std::uint16_t flags, Label label) {
  nlmsghdr* message = batch.add(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | what), flags, std::move(label));
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  header->nfgen_family = family;
  header->version = NFNETLINK_V0;
  return message;
}

void put_tables(Batch& batch) {
  put_table(batch, kInet);
  put_table(batch, kBridge);
  std::uint32_t id = 1;
  for (const SetShape* shape : kShapes) put_set(batch, *shape, id++);
  put_chains(batch);
  put_forwarding_rules(batch);
  put_host_rules(batch);
  put_frame_rules(batch);
}

void put_delete_tables(Batch& batch) {
  for (const std::uint8_t family : {kInet, kBridge})
    mnl_attr_put_strz(add_nft(batch, NFT_MSG_DELTABLE, family, NLM_F_ACK, {"delete the table", kTable}), NFTA_TABLE_NAME, kTable);
}

}  // namespace mvm::net
