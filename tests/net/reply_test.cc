// What the decoders make of answers, right ones and wrong ones. Whether they match the kernel is what the kernel tests show.
#include "broker/net/reply.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/netconf.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cerrno>

namespace mvm::net {
namespace {

using Buffer = std::vector<std::uint8_t>;

template <class T>
void put(Buffer& buffer, const T& value) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
  buffer.insert(buffer.end(), bytes, bytes + sizeof value);
}

void pad(Buffer& buffer) { buffer.resize((buffer.size() + 3) & ~std::size_t{3}); }

Buffer attribute(std::uint16_t type, const Buffer& value) {
  Buffer made;
  put(made, static_cast<std::uint16_t>(value.size() + 4));
  put(made, type);
  made.insert(made.end(), value.begin(), value.end());
  pad(made);
  return made;
}

template <class T>
Buffer attribute_of(std::uint16_t type, T value) {
  Buffer bytes;
  put(bytes, value);
  return attribute(type, bytes);
}

Buffer text(std::uint16_t type, std::string_view value) {
  Buffer bytes(value.begin(), value.end());
  bytes.push_back(0);
  return attribute(type, bytes);
}

Buffer operator+(Buffer left, const Buffer& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Buffer message(std::uint16_t type, std::uint16_t flags, std::uint32_t seq, const Buffer& body) {
  Buffer made;
  put(made, nlmsghdr{static_cast<std::uint32_t>(sizeof(nlmsghdr) + body.size()), type, flags, seq, 0});
  made.insert(made.end(), body.begin(), body.end());
  pad(made);
  return made;
}

Buffer answer(int error, std::uint16_t flags = NLM_F_CAPPED, const Buffer& attributes = {}) {
  Buffer body;
  put(body, nlmsgerr{error, {16, RTM_NEWLINK, 0, 5, 0}});
  return message(NLMSG_ERROR, flags, 5, body + attributes);
}

Buffer link_body(const Buffer& attributes, int index = 7) {
  Buffer body;
  ifinfomsg info{};
  info.ifi_index = index;
  put(body, info);
  return body + attributes;
}

Errc code_of(const Result<std::vector<Reply>>& replies) { return replies ? Errc::kSystem : replies.error().code; }

TEST(Reply, IsAnAcknowledgementOrAnErrorWithItsWords) {
  const auto replies = decode_replies(answer(0) + answer(-EBUSY, NLM_F_CAPPED | NLM_F_ACK_TLVS, text(NLMSGERR_ATTR_MSG, "in\nuse")));
  ASSERT_TRUE(replies);
  ASSERT_EQ(2U, replies->size());
  EXPECT_EQ(ReplyKind::kAnswered, (*replies)[0].kind);
  EXPECT_EQ(0, (*replies)[0].error);
  EXPECT_EQ(5U, (*replies)[0].seq);
  EXPECT_EQ(EBUSY, (*replies)[1].error);
  EXPECT_EQ("in?use", (*replies)[1].text) << "what the kernel says goes to logs: printable ASCII alone";
}

TEST(Reply, FindsTheWordsBehindAMessageThatIsGivenBackWhole) {
  Buffer body;
  put(body, nlmsgerr{-EPERM, {24, RTM_NEWLINK, 0, 5, 0}});
  body.resize(body.size() + 8);
  const auto replies = decode_replies(message(NLMSG_ERROR, NLM_F_ACK_TLVS, 5, body + text(NLMSGERR_ATTR_MSG, "no")));
  ASSERT_TRUE(replies);
  EXPECT_EQ("no", replies->front().text);
}

TEST(Reply, SaysThatADumpWasTorn) {
  const auto replies = decode_replies(message(RTM_NEWLINK, NLM_F_MULTI | NLM_F_DUMP_INTR, 5, {}));
  ASSERT_TRUE(replies);
  EXPECT_TRUE(replies->front().interrupted);
}

TEST(Reply, EndsADumpWithItsError) {
  Buffer body;
  put(body, std::int32_t{-ENOENT});
  const auto replies = decode_replies(message(NLMSG_DONE, NLM_F_MULTI, 5, body));
  ASSERT_TRUE(replies);
  EXPECT_EQ(ReplyKind::kDone, replies->front().kind);
  EXPECT_EQ(ENOENT, replies->front().error);
}

TEST(Reply, IsMalformedWhereALengthDoesNotFit) {
  for (const std::uint32_t length : {0U, 15U, 17U, 4096U, 0xffffffffU}) {
    Buffer bytes = message(RTM_NEWLINK, 0, 5, {});
    std::memcpy(bytes.data(), &length, sizeof length);
    EXPECT_EQ(Errc::kMalformed, code_of(decode_replies(bytes))) << length;
  }
  EXPECT_EQ(Errc::kMalformed, code_of(decode_replies(Buffer(15, 0))));
}

TEST(Reply, IsMalformedWhereAnErrorIsNoErrno) {
  EXPECT_EQ(Errc::kMalformed, code_of(decode_replies(answer(1))));
  EXPECT_EQ(Errc::kMalformed, code_of(decode_replies(answer(-4096))));
  EXPECT_EQ(Errc::kMalformed, code_of(decode_replies(message(NLMSG_ERROR, 0, 5, Buffer(19, 0)))));
}

TEST(Reply, HoldsSoManyMessagesAndNotOneMore) {
  Buffer bytes;
  for (std::size_t i = 0; i < kMaxReplies; ++i) bytes = std::move(bytes) + message(RTM_NEWLINK, 0, 5, {});
  EXPECT_TRUE(decode_replies(bytes));
  EXPECT_EQ(Errc::kLimit, code_of(decode_replies(bytes + message(RTM_NEWLINK, 0, 5, {}))));
}

TEST(Link, HasItsNameMasterGroupAndTun) {
  const Buffer tun = attribute_of(IFLA_TUN_OWNER, std::uint32_t{1000}) + attribute_of(IFLA_TUN_TYPE, std::uint8_t{IFF_TAP}) +
                     attribute_of(IFLA_TUN_VNET_HDR, std::uint8_t{1});
  // The data before the kind, as the kernel does not send it but may.
  const Buffer info = attribute(IFLA_INFO_DATA, tun) + text(IFLA_INFO_KIND, "tun");
  const auto link = decode_link(link_body(text(IFLA_IFNAME, "tn3i5") + attribute_of(IFLA_MASTER, std::uint32_t{9}) +
                                          attribute_of(IFLA_GROUP, std::uint32_t{4}) + text(IFLA_IFALIAS, "mvm") +
                                          attribute(IFLA_LINKINFO | NLA_F_NESTED, info)));
  ASSERT_TRUE(link) << link.error().message();
  EXPECT_EQ(7U, link->index);
  EXPECT_EQ("tn3i5", link->name);
  EXPECT_EQ("mvm", link->alias);
  EXPECT_EQ(9U, link->master);
  EXPECT_EQ(4U, link->group);
  EXPECT_EQ((TunState{true, true, false, true, false, 1000, ~0U}), link->tun);
}

TEST(Replies, HaveTheFramesOfALink) {
  rtnl_link_stats64 stats{};
  stats.rx_packets = 7, stats.tx_packets = 8, stats.tx_dropped = 9;
  const auto link = decode_link(link_body(text(IFLA_IFNAME, "tn3i5") + attribute_of(IFLA_STATS64, stats)));
  ASSERT_TRUE(link);
  EXPECT_EQ(link->received, 7u);
  EXPECT_EQ(link->sent, 8u);
  EXPECT_EQ(link->dropped, 9u);
  const auto cut = decode_link(link_body(text(IFLA_IFNAME, "tn3i5") + attribute_of(IFLA_STATS64, std::uint64_t{5})));
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->received, 0u) << "shorter than the kernel's is none";
}

TEST(Link, IsMalformedWithoutANameOrAnIndexOrWithAnAttributeThatDoesNotFit) {
  EXPECT_FALSE(decode_link(link_body({})));
  EXPECT_FALSE(decode_link(link_body(text(IFLA_IFNAME, "x"), 0)));
  EXPECT_FALSE(decode_link(link_body(text(IFLA_IFNAME, "x"), -1)));
  EXPECT_FALSE(decode_link(Buffer(15, 1)));
  EXPECT_FALSE(decode_link(link_body(text(IFLA_IFNAME, "x") + Buffer{3, 0, 0, 0})));
  EXPECT_FALSE(decode_link(link_body(text(IFLA_IFNAME, "x") + Buffer{200, 0, 0, 0})));
  EXPECT_FALSE(decode_link(link_body(text(IFLA_IFNAME, "x") + attribute(IFLA_LINKINFO, Buffer{9, 0, 0, 0}))));
}

TEST(Elements, HaveKeysRangesVerdictsAndObjects) {
  const auto key = [](std::uint16_t type, std::uint8_t byte) { return attribute(type, attribute(NFTA_DATA_VALUE, Buffer(4, byte))); };
  const Buffer verdict = attribute(NFTA_SET_ELEM_DATA, attribute(NFTA_DATA_VERDICT, attribute_of(NFTA_VERDICT_CODE, htonl(1))));
  const Buffer first = key(NFTA_SET_ELEM_KEY, 1) + key(NFTA_SET_ELEM_KEY_END, 2) + verdict;
  const Buffer second = key(NFTA_SET_ELEM_KEY, 3) + attribute_of(NFTA_SET_ELEM_FLAGS, htonl(NFT_SET_ELEM_INTERVAL_END)) +
                        text(NFTA_SET_ELEM_OBJREF, "limit");
  Buffer body;
  put(body, nfgenmsg{});
  const auto elements = decode_elements(
      body + attribute(NFTA_SET_ELEM_LIST_ELEMENTS, attribute(NFTA_LIST_ELEM, first) + attribute(NFTA_LIST_ELEM, second)));
  ASSERT_TRUE(elements);
  ASSERT_EQ(2U, elements->size());
  EXPECT_EQ(Buffer(4, 1), (*elements)[0].key);
  EXPECT_EQ(Buffer(4, 2), (*elements)[0].key_end);
  EXPECT_EQ(1U, (*elements)[0].verdict);
  EXPECT_FALSE((*elements)[0].interval_end);
  EXPECT_TRUE((*elements)[1].interval_end);
  EXPECT_EQ("limit", (*elements)[1].object);
}

TEST(Elements, AreMalformedWhereOneDoesNotFit) {
  Buffer body;
  put(body, nfgenmsg{});
  const Buffer broken = {50, 0, 1, 0};
  EXPECT_FALSE(decode_elements(Buffer(3, 0)));
  EXPECT_FALSE(decode_elements(body + broken));
  EXPECT_FALSE(decode_elements(body + attribute(NFTA_SET_ELEM_LIST_ELEMENTS, broken)));
  EXPECT_FALSE(decode_elements(body + attribute(NFTA_SET_ELEM_LIST_ELEMENTS, attribute(NFTA_LIST_ELEM, broken))));
  EXPECT_FALSE(decode_elements(body + attribute(NFTA_SET_ELEM_LIST_ELEMENTS,
                                                attribute(NFTA_LIST_ELEM, attribute(NFTA_SET_ELEM_KEY, broken)))));
}

Buffer rule_body(const Buffer& attributes, fib_rule_hdr header = {.family = AF_INET, .dst_len = 12, .src_len = 24, .tos = 0, .table = 254, .res1 = 0, .res2 = 0, .action = FR_ACT_TO_TBL, .flags = FIB_RULE_INVERT | 8}) {
  Buffer body;
  put(body, header);
  return body + attributes;
}

TEST(PolicyRules, HaveTheirSelectorsAndWhereTheyLead) {
  const auto rule = decode_policy_rule(rule_body(
      attribute_of(FRA_PRIORITY, std::uint32_t{73}) + text(FRA_IIFNAME, "br-tenant-3") + attribute_of(FRA_TABLE, std::uint32_t{7'170'003}) +
      attribute_of(FRA_SRC, htonl(0x0af00300)) + attribute_of(FRA_DST, htonl(0x0af00000)) + attribute_of(FRA_PROTOCOL, std::uint8_t{109})));
  ASSERT_TRUE(rule) << rule.error().message();
  EXPECT_EQ((PolicyRule{73, FR_ACT_TO_TBL, 109, true, "br-tenant-3", {0x0af00300, 24}, {0x0af00000, 12}, 7'170'003, 0}), *rule);
  EXPECT_EQ(254U, decode_policy_rule(rule_body({}))->table) << "a table below 256 stands in the header too";
  EXPECT_EQ(75U, decode_policy_rule(rule_body(attribute_of(FRA_GOTO, std::uint32_t{75})))->target);
}

TEST(PolicyRules, AreMalformedWhereAPartDoesNotFit) {
  EXPECT_FALSE(decode_policy_rule(Buffer(11, 2)));
  EXPECT_FALSE(decode_policy_rule(rule_body({}, {.family = AF_INET6, .dst_len = 0, .src_len = 0, .tos = 0, .table = 0, .res1 = 0, .res2 = 0, .action = 0, .flags = 0})));
  EXPECT_FALSE(decode_policy_rule(rule_body({}, {.family = AF_INET, .dst_len = 33, .src_len = 0, .tos = 0, .table = 0, .res1 = 0, .res2 = 0, .action = 0, .flags = 0})));
  EXPECT_FALSE(decode_policy_rule(rule_body({}, {.family = AF_INET, .dst_len = 0, .src_len = 33, .tos = 0, .table = 0, .res1 = 0, .res2 = 0, .action = 0, .flags = 0})));
  EXPECT_FALSE(decode_policy_rule(rule_body(Buffer{200, 0, 0, 0})));
}

Buffer route_body(const Buffer& attributes, std::uint8_t family = AF_INET, std::uint8_t bits = 12) {
  Buffer body;
  put(body, rtmsg{family, bits, 0, 0, 252, 109, 0, RTN_BLACKHOLE, 0});
  return body + attributes;
}

TEST(Routes, HaveTheirTableTypeAndTarget) {
  const auto route = decode_route(route_body(attribute_of(RTA_TABLE, std::uint32_t{7'170'003}) + attribute_of(RTA_DST, htonl(0x0af00000)) +
                                             attribute_of(RTA_OIF, std::uint32_t{9})));
  ASSERT_TRUE(route) << route.error().message();
  EXPECT_EQ((Route{7'170'003, RTN_BLACKHOLE, 109, {0x0af00000, 12}, 9}), *route);
}

TEST(Routes, AreMalformedWhereAPartDoesNotFit) {
  EXPECT_FALSE(decode_route(Buffer(11, 2)));
  EXPECT_FALSE(decode_route(route_body({}, AF_INET6)));
  EXPECT_FALSE(decode_route(route_body({}, AF_INET, 33)));
  EXPECT_FALSE(decode_route(route_body(Buffer{200, 0, 0, 0})));
}

TEST(Forwarding, IsReadAndNotGuessed) {
  const Buffer header(4, 0);
  EXPECT_TRUE(*decode_forwarding(header + attribute_of(NETCONFA_FORWARDING, std::uint32_t{1})));
  EXPECT_FALSE(*decode_forwarding(header + attribute_of(NETCONFA_FORWARDING, std::uint32_t{0})));
  EXPECT_EQ(Errc::kNotFound, decode_forwarding(header).error().code);
  EXPECT_EQ(Errc::kNotFound, decode_forwarding(header + attribute(NETCONFA_FORWARDING, {1})).error().code);
  EXPECT_EQ(Errc::kMalformed, decode_forwarding(Buffer(3, 0)).error().code);
  EXPECT_EQ(2U, *decode_reverse_path(header + attribute_of(NETCONFA_FORWARDING, std::uint32_t{1}) + attribute_of(NETCONFA_RP_FILTER, std::uint32_t{2})));
  EXPECT_EQ(Errc::kNotFound, decode_reverse_path(header + attribute_of(NETCONFA_FORWARDING, std::uint32_t{1})).error().code);
}

}  // namespace
}  // namespace mvm::net
