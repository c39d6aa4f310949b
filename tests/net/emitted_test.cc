// Each message that the worker sends, decoded again by libmnl and libnftnl from the bytes alone.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/fib_rules.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/derived.h"
#include "base/owned.h"
#include "broker/net/closed.h"
#include "broker/net/elements.h"
#include "broker/net/links.h"
#include "broker/net/routing.h"
#include "broker/net/ruleset.h"

namespace mvm::net {
namespace {

std::vector<const nlmsghdr*> messages(const Batch& batch) {
  std::vector<const nlmsghdr*> found;
  int left = static_cast<int>(batch.bytes().size());
  const auto* at = reinterpret_cast<const nlmsghdr*>(batch.bytes().data());
  for (; mnl_nlmsg_ok(at, left); at = mnl_nlmsg_next(at, &left)) found.push_back(at);
  EXPECT_EQ(0, left) << "bytes that are no message";
  EXPECT_EQ(batch.count(), found.size());
  return found;
}

using Attrs = std::map<std::uint16_t, const nlattr*>;

int collect(const nlattr* attribute, void* data) {
  (*static_cast<Attrs*>(data))[mnl_attr_get_type(attribute)] = attribute;
  return MNL_CB_OK;
}

template <class Header>
Attrs attributes(const nlmsghdr* message) {
  Attrs found;
  EXPECT_GE(mnl_attr_parse(message, sizeof(Header), collect, &found), 0);
  return found;
}

Attrs nested(const nlattr* attribute) {
  Attrs found;
  EXPECT_GE(mnl_attr_parse_nested(attribute, collect, &found), 0);
  return found;
}

template <class Header>
const Header& header(const nlmsghdr* message) {
  return *static_cast<const Header*>(mnl_nlmsg_get_payload(message));
}

TEST(Emitted, CreationOfABridgeIsExclusiveAndInOurGroup) {
  Batch batch;
  put_create_bridge(batch, "br-tenant-3", instance_mac(3, 1));
  const nlmsghdr* message = messages(batch).at(0);
  EXPECT_EQ(RTM_NEWLINK, message->nlmsg_type);
  EXPECT_EQ(NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, message->nlmsg_flags);
  EXPECT_EQ(0U, header<ifinfomsg>(message).ifi_flags) << "not up before it is set up";
  const Attrs found = attributes<ifinfomsg>(message);
  EXPECT_STREQ("br-tenant-3", mnl_attr_get_str(found.at(IFLA_IFNAME)));
  EXPECT_EQ(kLinkGroup, mnl_attr_get_u32(found.at(IFLA_GROUP)));
  EXPECT_EQ(6, mnl_attr_get_payload_len(found.at(IFLA_ADDRESS)));
  const Attrs info = nested(found.at(IFLA_LINKINFO));
  EXPECT_STREQ("bridge", mnl_attr_get_str(info.at(IFLA_INFO_KIND)));
  const Attrs data = nested(info.at(IFLA_INFO_DATA));
  EXPECT_EQ(0U, mnl_attr_get_u32(data.at(IFLA_BR_STP_STATE)));
  EXPECT_EQ(0U, mnl_attr_get_u8(data.at(IFLA_BR_MCAST_SNOOPING)));
}

TEST(Emitted, APortGetsItsGroupAndMasterBeforeItIsUp) {
  Batch batch;
  put_port_settings(batch, "tn3i5", 9);
  put_port_up(batch, "tn3i5");
  const auto both = messages(batch);
  const Attrs settings = attributes<ifinfomsg>(both.at(0));
  EXPECT_EQ(0U, header<ifinfomsg>(both[0]).ifi_change);
  EXPECT_EQ(kLinkGroup, mnl_attr_get_u32(settings.at(IFLA_GROUP)));
  EXPECT_EQ(9U, mnl_attr_get_u32(settings.at(IFLA_MASTER)));
  const Attrs ipv4 = nested(nested(nested(settings.at(IFLA_AF_SPEC)).at(AF_INET)).at(IFLA_INET_CONF));
  EXPECT_EQ(8U, mnl_attr_get_u32(ipv4.at(IPV4_DEVCONF_ARP_IGNORE)));
  EXPECT_EQ(IFF_UP, header<ifinfomsg>(both.at(1)).ifi_flags);
  EXPECT_EQ(unsigned{IFF_UP}, header<ifinfomsg>(both[1]).ifi_change);
  const Attrs info = nested(attributes<ifinfomsg>(both[1]).at(IFLA_LINKINFO));
  EXPECT_STREQ("bridge", mnl_attr_get_str(info.at(IFLA_INFO_SLAVE_KIND)));
  const Attrs port = nested(info.at(IFLA_INFO_SLAVE_DATA));
  EXPECT_EQ(0U, mnl_attr_get_u8(port.at(IFLA_BRPORT_LEARNING)));
  EXPECT_EQ(0U, mnl_attr_get_u8(port.at(IFLA_BRPORT_UNICAST_FLOOD)));
  EXPECT_EQ(1U, mnl_attr_get_u8(port.at(IFLA_BRPORT_GUARD)));
  for (const nlmsghdr* message : both) EXPECT_EQ(NLM_F_REQUEST | NLM_F_ACK, message->nlmsg_flags) << "would create a link";
}

TEST(Emitted, AnAddressIsInNetworkOrderWithItsBroadcast) {
  Batch batch;
  put_address(batch, 7, "br-tenant-3", 0x0af00301, {0x0af00300, 24});
  const nlmsghdr* message = messages(batch).at(0);
  EXPECT_EQ(RTM_NEWADDR, message->nlmsg_type);
  EXPECT_EQ(7U, header<ifaddrmsg>(message).ifa_index);
  EXPECT_EQ(24, header<ifaddrmsg>(message).ifa_prefixlen);
  const Attrs found = attributes<ifaddrmsg>(message);
  EXPECT_EQ(htonl(0x0af00301), mnl_attr_get_u32(found.at(IFA_LOCAL)));
  EXPECT_EQ(htonl(0x0af003ff), mnl_attr_get_u32(found.at(IFA_BROADCAST)));
}

TEST(Emitted, AForwardingEntryIsStaticAndTheBridges) {
  Batch batch;
  put_forwarding_entry(batch, 7, "tn3i5", instance_mac(3, 5));
  const nlmsghdr* message = messages(batch).at(0);
  EXPECT_EQ(RTM_NEWNEIGH, message->nlmsg_type);
  EXPECT_EQ(AF_BRIDGE, header<ndmsg>(message).ndm_family);
  EXPECT_EQ(7, header<ndmsg>(message).ndm_ifindex);
  EXPECT_EQ(NUD_NOARP, header<ndmsg>(message).ndm_state);
  EXPECT_EQ(NTF_MASTER, header<ndmsg>(message).ndm_flags);
  EXPECT_EQ(0, memcmp(instance_mac(3, 5).data(), mnl_attr_get_payload(attributes<ndmsg>(message).at(NDA_LLADDR)), 6));
}

TEST(Emitted, ADeletionNamesTheLinkByIndexAlone) {
  Batch batch;
  put_delete(batch, 7, "tn3i5");
  const nlmsghdr* message = messages(batch).at(0);
  EXPECT_EQ(RTM_DELLINK, message->nlmsg_type);
  EXPECT_EQ(7, header<ifinfomsg>(message).ifi_index) << "0 with a group would delete the whole group";
  EXPECT_TRUE(attributes<ifinfomsg>(message).empty());
}

TEST(Emitted, ARoutingRuleIsExclusiveAndDecodesAsWhatWasMeant) {
  std::vector<PolicyRule> rules = shared_rules({0x0af00000, 12});
  rules.push_back(bridge_rule(4095));
  Batch batch;
  for (const RouteChange change : {RouteChange::kAdd, RouteChange::kRemove})
    for (const PolicyRule& rule : rules) put_policy_rule(batch, change, rule);
  const auto all = messages(batch);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool add = i < rules.size();
    EXPECT_EQ(add ? RTM_NEWRULE : RTM_DELRULE, all[i]->nlmsg_type);
    EXPECT_EQ(NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0), all[i]->nlmsg_flags);
    const auto decoded = decode_policy_rule({static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(all[i])), mnl_nlmsg_get_payload_len(all[i])});
    ASSERT_TRUE(decoded);
    EXPECT_EQ(rules[i % rules.size()], *decoded) << i;
  }
  const Attrs last = attributes<fib_rule_hdr>(all[rules.size() - 1]);
  EXPECT_STREQ("br-tenant-4095", mnl_attr_get_str(last.at(FRA_IIFNAME)));
  EXPECT_EQ(7'174'095U, mnl_attr_get_u32(last.at(FRA_TABLE)));
}

TEST(Emitted, ARouteNamesItsTableAndIsADeadEndOrTheBridges) {
  Batch batch;
  put_route(batch, RouteChange::kAdd, dead_end(3, {0x0af00000, 12}));
  put_route(batch, RouteChange::kAdd, own_subnet(3, {0x0af00300, 24}, 7));
  const auto both = messages(batch);
  for (const nlmsghdr* message : both) {
    EXPECT_EQ(RTM_NEWROUTE, message->nlmsg_type);
    EXPECT_EQ(RT_TABLE_UNSPEC, header<rtmsg>(message).rtm_table) << "too small for ours";
    EXPECT_EQ(7'170'003U, mnl_attr_get_u32(attributes<rtmsg>(message).at(RTA_TABLE)));
  }
  EXPECT_EQ(RTN_BLACKHOLE, header<rtmsg>(both[0]).rtm_type);
  EXPECT_EQ(12, header<rtmsg>(both[0]).rtm_dst_len);
  EXPECT_EQ(htonl(0x0af00000), mnl_attr_get_u32(attributes<rtmsg>(both[0]).at(RTA_DST)));
  EXPECT_FALSE(attributes<rtmsg>(both[0]).contains(RTA_OIF));
  EXPECT_EQ(RTN_UNICAST, header<rtmsg>(both[1]).rtm_type);
  EXPECT_EQ(RT_SCOPE_LINK, header<rtmsg>(both[1]).rtm_scope);
  EXPECT_EQ(7U, mnl_attr_get_u32(attributes<rtmsg>(both[1]).at(RTA_OIF)));
}

TEST(Emitted, ADeletionOfAGroupNamesTheLeavingOneAlone) {
  Batch batch;
  put_leaving(batch, 7, "tn3i5");
  put_delete_leaving(batch);
  const auto both = messages(batch);
  EXPECT_EQ(RTM_NEWLINK, both[0]->nlmsg_type);
  EXPECT_EQ(7, header<ifinfomsg>(both[0]).ifi_index);
  EXPECT_EQ(RTM_DELLINK, both[1]->nlmsg_type);
  EXPECT_EQ(0, header<ifinfomsg>(both[1]).ifi_index);
  for (const nlmsghdr* message : both) EXPECT_EQ(kLeavingGroup, mnl_attr_get_u32(attributes<ifinfomsg>(message).at(IFLA_GROUP)));
  EXPECT_NE(kLinkGroup, kLeavingGroup);
}

std::string_view payload(const nlattr* attribute) {
  return {static_cast<const char*>(mnl_attr_get_payload(attribute)), mnl_attr_get_payload_len(attribute)};
}

// The one element of a message, its key and the rest.
Attrs element(const nlmsghdr* message) {
  const Attrs found = attributes<nfgenmsg>(message);
  EXPECT_STREQ(kTable, mnl_attr_get_str(found.at(NFTA_SET_ELEM_LIST_TABLE)));
  return nested(nested(found.at(NFTA_SET_ELEM_LIST_ELEMENTS)).at(NFTA_LIST_ELEM));
}

TEST(Emitted, AKeyIsNameMacAndAddressInWholeRegisters) {
  Batch batch;
  put_element(batch, Change::kAdd, kSources, Key().name("tn3i5").mac(instance_mac(3, 5)).address(0x0af00305));
  const nlmsghdr* message = messages(batch).at(0);
  EXPECT_EQ(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM, message->nlmsg_type);
  EXPECT_EQ(NFPROTO_BRIDGE, header<nfgenmsg>(message).nfgen_family);
  const std::string_view key = payload(nested(element(message).at(NFTA_SET_ELEM_KEY)).at(NFTA_DATA_VALUE));
  EXPECT_EQ((std::string_view{"tn3i5\0\0\0\0\0\0\0\0\0\0\0\x06\x6d\0\x30\0\x05\0\0\x0a\xf0\x03\x05", 28}), key);
}

TEST(Emitted, ManyElementsAreInFewMessagesEachOfThemOnce) {
  std::vector<Key> keys;
  for (std::uint32_t slot = 3; slot < 303; ++slot) keys.push_back(source_of(3, slot, 0x0af00000 + slot));
  Batch batch;
  put_elements(batch, Change::kRemove, kSources, keys);
  std::vector<std::vector<std::uint8_t>> found;
  for (const nlmsghdr* message : messages(batch)) {
    EXPECT_EQ(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELSETELEM, message->nlmsg_type);
    const Attrs of_message = attributes<nfgenmsg>(message);
    EXPECT_STREQ("sources", mnl_attr_get_str(of_message.at(NFTA_SET_ELEM_LIST_SET)));
    const std::string_view list = payload(of_message.at(NFTA_SET_ELEM_LIST_ELEMENTS));
    Attributes elements({reinterpret_cast<const std::uint8_t*>(list.data()), list.size()});
    while (const auto element = elements.next()) {
      Attributes parts(element->value);
      const auto key = parts.next();
      ASSERT_TRUE(key && key->type == NFTA_SET_ELEM_KEY && !parts.next());
      found.emplace_back(key->value.subspan(kAttributeHeader).begin(), key->value.end());
    }
    EXPECT_FALSE(elements.malformed());
  }
  EXPECT_EQ(3U, batch.count());
  ASSERT_EQ(keys.size(), found.size());
  for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_TRUE(std::ranges::equal(keys[i].bytes(), found[i])) << i;
}

TEST(Emitted, AVerdictIsRefusedWhereTheMapHasTheKey) {
  Batch batch;
  put_new_verdict(batch, kEgress, Key().name("br-tenant-3"), {static_cast<std::uint32_t>(NFT_GOTO), "listed"});
  const nlmsghdr* message = messages(batch).at(0);
  EXPECT_NE(0, message->nlmsg_flags & NLM_F_EXCL);
  const Attrs verdict = nested(nested(element(message).at(NFTA_SET_ELEM_DATA)).at(NFTA_DATA_VERDICT));
  EXPECT_EQ(static_cast<std::uint32_t>(NFT_GOTO), ntohl(mnl_attr_get_u32(verdict.at(NFTA_VERDICT_CODE))));
  EXPECT_STREQ("listed", mnl_attr_get_str(verdict.at(NFTA_VERDICT_CHAIN)));
}

TEST(Emitted, ARangeInAConcatenationHasBothEnds) {
  Batch batch;
  put_allowed(batch, Change::kRemove, "br-tenant-3", {0x0a000000, 8});
  const nlmsghdr* message = messages(batch).at(0);
  EXPECT_EQ(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELSETELEM, message->nlmsg_type);
  const auto last = [&](std::uint16_t type) { return payload(nested(element(message).at(type)).at(NFTA_DATA_VALUE)).substr(16); };
  EXPECT_EQ((std::string_view{"\x0a\0\0\0", 4}), last(NFTA_SET_ELEM_KEY));
  EXPECT_EQ((std::string_view{"\x0a\xff\xff\xff", 4}), last(NFTA_SET_ELEM_KEY_END));
}

TEST(Emitted, ARangeOfAddressesIsAFirstOneAndTheOneBehindUnlessThereIsNone) {
  Batch batch;
  put_closed(batch, {{0x0a000000, 0x0affffff}, {0xe0000000, 0xffffffff}});
  const auto all = messages(batch);
  ASSERT_EQ(4U, all.size()) << "of each set, all that it had goes, and all that it is to have comes";
  EXPECT_EQ(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_DELSETELEM, all[0]->nlmsg_type);
  EXPECT_FALSE(attributes<nfgenmsg>(all[0]).contains(NFTA_SET_ELEM_LIST_ELEMENTS));
  const auto elements = decode_elements({static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(all[1])), mnl_nlmsg_get_payload_len(all[1])});
  ASSERT_TRUE(elements);
  std::vector<std::pair<std::vector<std::uint8_t>, bool>> ends;
  for (const Element& end : *elements) ends.emplace_back(end.key, end.interval_end);
  EXPECT_EQ((std::vector<std::pair<std::vector<std::uint8_t>, bool>>{{{0x0a, 0, 0, 0}, false}, {{0x0b, 0, 0, 0}, true}, {{0xe0, 0, 0, 0}, false}}), ends);
}

TEST(Emitted, ATransactionIsOneFromBeginToEndAndAllInItAsksToBeAnswered) {
  Batch batch;
  begin_transaction(batch);
  put_tables(batch);
  end_transaction(batch);
  batch.number(100);
  const auto all = messages(batch);
  EXPECT_EQ(NFNL_MSG_BATCH_BEGIN, all.front()->nlmsg_type);
  EXPECT_EQ(NFNL_MSG_BATCH_END, all.back()->nlmsg_type);
  for (const nlmsghdr* end : {all.front(), all.back()}) EXPECT_EQ(NFNL_SUBSYS_NFTABLES, ntohs(header<nfgenmsg>(end).res_id));
  std::uint32_t seq = 100;
  for (const nlmsghdr* message : all) EXPECT_EQ(seq++, message->nlmsg_seq);
  for (std::size_t i = 1; i + 1 < all.size(); ++i) EXPECT_NE(0, all[i]->nlmsg_flags & NLM_F_ACK) << i;
}

TEST(Emitted, TheTablesAreExclusiveAndTheSetsHaveTheShapesOfTheirKeys) {
  Batch batch;
  put_tables(batch);
  std::map<int, int> count;
  for (const nlmsghdr* message : messages(batch)) {
    const int what = message->nlmsg_type & 0xff;
    ++count[what];
    if (what == NFT_MSG_NEWTABLE) {
      EXPECT_NE(0, message->nlmsg_flags & NLM_F_EXCL) << "two workers would double the rules";
    }
    if (what == NFT_MSG_NEWSET) {
      const Owned<nftnl_set, &nftnl_set_free> set(nftnl_set_alloc());
      ASSERT_EQ(0, nftnl_set_nlmsg_parse(message, set.get()));
      const std::string name = nftnl_set_get_str(set.get(), NFTNL_SET_NAME);
      const auto* shape = *std::ranges::find_if(kShapes, [&](const SetShape* one) {
        return name == one->name && one->family == header<nfgenmsg>(message).nfgen_family;
      });
      EXPECT_EQ(shape->key_length, nftnl_set_get_u32(set.get(), NFTNL_SET_KEY_LEN)) << name;
      EXPECT_EQ(shape->flags, nftnl_set_get_u32(set.get(), NFTNL_SET_FLAGS)) << name;
    }
    if (what == NFT_MSG_NEWRULE) {
      const Owned<nftnl_rule, &nftnl_rule_free> rule(nftnl_rule_alloc());
      EXPECT_EQ(0, nftnl_rule_nlmsg_parse(message, rule.get()));
    }
  }
  EXPECT_EQ(2, count[NFT_MSG_NEWTABLE]);
  EXPECT_EQ(static_cast<int>(kShapes.size()), count[NFT_MSG_NEWSET]);
}

}  // namespace
}  // namespace mvm::net
