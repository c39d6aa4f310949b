// The kernel's messages as the decoders read them, and what they do with messages that are cut.
#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink_hook.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>

#include "net-verify/read/decode.h"
#include "net-verify/read/decode_expr.h"

namespace mvm::verify {
namespace {

using Message = std::vector<std::uint8_t>;

Message attribute(std::uint16_t type, const Message& value) {
  const auto length = static_cast<std::uint16_t>(value.size() + 4);
  Message made(4);
  std::memcpy(made.data(), &length, 2);
  std::memcpy(made.data() + 2, &type, 2);
  made.insert(made.end(), value.begin(), value.end());
  made.resize((made.size() + 3) / 4 * 4);
  return made;
}

Message text(const std::string& value) {
  Message made(value.begin(), value.end());
  made.push_back(0);
  return made;
}

Message big(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

Message host(std::uint32_t value) {
  Message made(4);
  std::memcpy(made.data(), &value, 4);
  return made;
}

template <class... Parts>
Message join(const Parts&... parts) {
  Message all;
  (all.insert(all.end(), parts.begin(), parts.end()), ...);
  return all;
}

Message a_route() {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 24;
  header.rtm_type = RTN_UNICAST;
  Message head(sizeof header);
  std::memcpy(head.data(), &header, sizeof header);
  return join(head, attribute(RTA_TABLE, host(7170003)), attribute(RTA_DST, big(10U << 24 | 240U << 16 | 3U << 8)), attribute(RTA_OIF, host(4)));
}

Message an_expression(const char* name, const Message& data) {
  return join(attribute(NFTA_EXPR_NAME, text(name)), attribute(NFTA_EXPR_DATA, data));
}

Message a_rule() {
  const Message compare = an_expression("cmp", join(attribute(NFTA_CMP_SREG, big(1)), attribute(NFTA_CMP_OP, big(NFT_CMP_NEQ)),
                                                    attribute(NFTA_CMP_DATA, attribute(NFTA_DATA_VALUE, {0x08, 0x00}))));
  const Message jump = attribute(NFTA_DATA_VERDICT, join(attribute(NFTA_VERDICT_CODE, big(static_cast<std::uint32_t>(NFT_JUMP))), attribute(NFTA_VERDICT_CHAIN, text("guard"))));
  const Message verdict = an_expression("immediate", join(attribute(NFTA_IMMEDIATE_DREG, big(0)), attribute(NFTA_IMMEDIATE_DATA, jump)));
  return join(Message{7, 0, 0, 0}, attribute(NFTA_RULE_TABLE, text("mvm")), attribute(NFTA_RULE_CHAIN, text("prerouting")),
              attribute(NFTA_RULE_HANDLE, join(big(0), big(9))),
              attribute(NFTA_RULE_EXPRESSIONS, join(attribute(NFTA_LIST_ELEM, compare), attribute(NFTA_LIST_ELEM, verdict))),
              attribute(NFTA_RULE_USERDATA, {0, 4, 'w', 'h', 'y', 0}));
}

TEST(Decode, ReadsARoute) {
  const Message message = a_route();
  const auto route = decode_route(message);
  ASSERT_TRUE(route && *route);
  EXPECT_EQ(7170003U, (*route)->table);
  EXPECT_EQ(10U << 24 | 240U << 16 | 3U << 8, (*route)->base);
  EXPECT_EQ(24, (*route)->prefix);
  EXPECT_EQ(std::vector<std::uint32_t>{4}, (*route)->links);
  EXPECT_FALSE((*route)->unknown);
}

TEST(Decode, KeepsThatARouteIsMoreThanIsModelled) {
  for (const std::uint16_t type : {RTA_NH_ID, RTA_ENCAP, RTA_ENCAP_TYPE}) {
    const Message message = join(a_route(), attribute(type, host(1)));
    EXPECT_TRUE(decode_route(message).value()->unknown) << type;
  }
}

TEST(Decode, ReadsARule) {
  const Message message = a_rule();
  const auto rule = decode_nft_rule(message);
  ASSERT_TRUE(rule);
  EXPECT_EQ(7, rule->family);
  EXPECT_EQ("mvm", rule->table);
  EXPECT_EQ("prerouting", rule->chain);
  EXPECT_EQ(9U, rule->rule.handle);
  EXPECT_EQ("why", rule->rule.comment);
  ASSERT_EQ(2U, rule->rule.exprs.size());
  EXPECT_EQ(ExprKind::kCompare, rule->rule.exprs[0].kind);
  EXPECT_EQ(CompareOp::kNotEqual, rule->rule.exprs[0].op);
  EXPECT_EQ((Data{0x08, 0x00}), rule->rule.exprs[0].data);
  ASSERT_TRUE(rule->rule.exprs[1].verdict);
  EXPECT_EQ(NFT_JUMP, rule->rule.exprs[1].verdict->code);
  EXPECT_EQ("guard", rule->rule.exprs[1].verdict->chain);
}

TEST(Decode, KnowsNothingOfAnExpressionWithANewName) {
  for (const char* name : {"fwd", "dup", "tproxy", "target", "match", "flow_offload", "queue", "of-tomorrow"}) {
    const Message message = an_expression(name, {});
    EXPECT_EQ(ExprKind::kUnknown, decode_expr(message)->kind) << name;
  }
}

TEST(Decode, RefusesAMessageThatIsCutAnywhere) {
  for (const Message& whole : {a_route(), a_rule()}) {
    const bool is_route = whole == a_route();
    int refused = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Message cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      refused += is_route ? !decode_route(cut).has_value() : !decode_nft_rule(cut).has_value();
    }
    // Between two attributes a message may end: only there is a shorter one as good.
    EXPECT_GE(refused, static_cast<int>(whole.size()) - 20);
  }
}

Message a_hook(const char* function) {
  return join(Message{2, 0, 0, 0}, attribute(NFNLA_HOOK_HOOKNUM, big(2)), attribute(NFNLA_HOOK_FUNCTION_NAME, text(function)));
}

Message chain_of(const char* name) {
  const Message chain = join(attribute(NFNLA_CHAIN_TABLE, text("mvm")), attribute(NFNLA_CHAIN_NAME, text(name)), attribute(NFNLA_CHAIN_FAMILY, {1}));
  return attribute(NFNLA_HOOK_CHAIN_INFO, join(attribute(NFNLA_HOOK_INFO_TYPE, big(NFNL_HOOK_TYPE_NFTABLES)), attribute(NFNLA_HOOK_INFO_DESC, chain)));
}

TEST(Decode, ReadsWhatHangsOnAHook) {
  const Message message = join(a_hook("nft_do_chain_inet"), chain_of("from"));
  const auto hook = decode_hook(message);
  ASSERT_TRUE(hook);
  EXPECT_EQ(2, hook->family);
  EXPECT_EQ(2U, hook->number);
  EXPECT_EQ("nft_do_chain_inet", hook->function);
  EXPECT_EQ("mvm", hook->table);
  EXPECT_EQ("from", hook->chain);
  EXPECT_EQ(1, hook->chain_family);
  for (std::size_t size = 0; size < 4; ++size) EXPECT_FALSE(decode_hook(Message(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(size))));
}

// Chains that were read and the kernel's own functions; anything else may do anything.
TEST(Decode, KnowsOfAHookOnlyWhatIsModelled) {
  const std::vector<Chain> chains = {{1, "mvm", "from", Hook{2, 0, "filter", {}, true}, {}}, {1, "mvm", "sub", std::nullopt, {}}};
  const auto modelled = [&](const Message& message) { return is_modelled(*decode_hook(message), chains); };
  EXPECT_TRUE(modelled(join(a_hook("nft_do_chain_inet"), chain_of("from"))));
  EXPECT_FALSE(modelled(join(a_hook("nft_do_chain_inet"), chain_of("sub"))));
  EXPECT_FALSE(modelled(join(a_hook("nft_do_chain_inet"), chain_of("unread"))));
  for (const char* function : {"ipv4_conntrack_in", "ipv4_conntrack_defrag", "nf_nat_ipv4_out", "br_nf_pre_routing", "ip_sabotage_in"})
    EXPECT_TRUE(modelled(a_hook(function))) << function;
  for (const char* function : {"", "nf_hook_run_bpf", "nft_do_chain_inet", "ipt_do_table", "ebt_do_table", "nf_flow_offload_ip_hook", "of_tomorrow"})
    EXPECT_FALSE(modelled(a_hook(function))) << function;
  // Of another kind than nftables', whatever its name is.
  const Message bpf = attribute(NFNLA_HOOK_CHAIN_INFO, attribute(NFNLA_HOOK_INFO_TYPE, big(2)));
  EXPECT_FALSE(modelled(join(a_hook("ipv4_conntrack_in"), bpf)));
}

TEST(Decode, MakesNamesPrintable) {
  const Message message = join(Message{1, 0, 0, 0}, attribute(NFTA_SET_TABLE, text("mvm")), attribute(NFTA_SET_NAME, text("a\033[31m")));
  EXPECT_EQ("a?[31m", decode_set(message)->name);
}

}  // namespace
}  // namespace mvm::verify
