#include "broker/net/rule_builder.h"

#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>

#include <cstdlib>

#include "broker/net/elements.h"
#include "broker/net/ruleset.h"

namespace mvm::net {
namespace {

constexpr std::uint32_t kUserDataBytes = 128;  // the kernel takes at most 256 (NFT_USERDATA_MAXLEN)

std::uint32_t number_of(unsigned reg) { return NFT_REG32_00 + reg; }

// Memory is the only thing that allocating can lack, and without it there is no going on.
template <class T>
T* must(T* object) {
  if (object == nullptr) std::abort();
  return object;
}

std::uint32_t base_of(Header header) {
  switch (header) {
    case Header::kLink: return NFT_PAYLOAD_LL_HEADER;
    case Header::kNetwork: return NFT_PAYLOAD_NETWORK_HEADER;
    case Header::kTransport: break;
  }
  return NFT_PAYLOAD_TRANSPORT_HEADER;
}

nftnl_expr* expression(const char* name) { return must(nftnl_expr_alloc(name)); }

}  // namespace

RuleBuilder::RuleBuilder(std::uint8_t family, const char* chain, const char* comment)
    : family_(family), comment_(comment), rule_(must(nftnl_rule_alloc())) {
  nftnl_rule_set_u32(rule_.get(), NFTNL_RULE_FAMILY, family);
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_TABLE, kTable);
  nftnl_rule_set_str(rule_.get(), NFTNL_RULE_CHAIN, chain);
  const Owned<nftnl_udata_buf, &nftnl_udata_buf_free> data(must(nftnl_udata_buf_alloc(kUserDataBytes)));
  nftnl_udata_put_strz(data.get(), NFTNL_UDATA_RULE_COMMENT, comment);
  nftnl_rule_set_data(rule_.get(), NFTNL_RULE_USERDATA, nftnl_udata_buf_data(data.get()), nftnl_udata_buf_len(data.get()));
}

void RuleBuilder::add(nftnl_expr* expression) { nftnl_rule_add_expr(rule_.get(), expression); }

RuleBuilder& RuleBuilder::meta(std::uint32_t key, unsigned reg) {
  nftnl_expr* made = expression("meta");
  nftnl_expr_set_u32(made, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(made, NFTNL_EXPR_META_DREG, number_of(reg));
  add(made);
  return *this;
}

RuleBuilder& RuleBuilder::payload(PayloadPart part, unsigned reg) {
  nftnl_expr* made = expression("payload");
  nftnl_expr_set_u32(made, NFTNL_EXPR_PAYLOAD_BASE, base_of(part.header));
  nftnl_expr_set_u32(made, NFTNL_EXPR_PAYLOAD_OFFSET, part.offset);
  nftnl_expr_set_u32(made, NFTNL_EXPR_PAYLOAD_LEN, part.length);
  nftnl_expr_set_u32(made, NFTNL_EXPR_PAYLOAD_DREG, number_of(reg));
  add(made);
  return *this;
}

RuleBuilder& RuleBuilder::ct_state(std::uint32_t any_of) {
  nftnl_expr* made = expression("ct");
  nftnl_expr_set_u32(made, NFTNL_EXPR_CT_KEY, NFT_CT_STATE);
  nftnl_expr_set_u32(made, NFTNL_EXPR_CT_DREG, number_of(0));
  add(made);
  return mask({reinterpret_cast<const std::uint8_t*>(&any_of), sizeof any_of}).compare_u32(Match::kNotEqual, 0);
}

RuleBuilder& RuleBuilder::ct_unconfirmed() {
  constexpr std::uint32_t kConfirmed = IPS_CONFIRMED;
  nftnl_expr* made = expression("ct");
  nftnl_expr_set_u32(made, NFTNL_EXPR_CT_KEY, NFT_CT_STATUS);
  nftnl_expr_set_u32(made, NFTNL_EXPR_CT_DREG, number_of(0));
  add(made);
  return mask({reinterpret_cast<const std::uint8_t*>(&kConfirmed), sizeof kConfirmed}).compare_u32(Match::kEqual, 0);
}

RuleBuilder& RuleBuilder::mask(Bytes bits) {
  constexpr std::array<std::uint8_t, 16> kNothing{};
  if (bits.size() > kNothing.size()) std::abort();
  const auto size = static_cast<std::uint32_t>(bits.size());
  nftnl_expr* made = expression("bitwise");
  nftnl_expr_set_u32(made, NFTNL_EXPR_BITWISE_SREG, number_of(0));
  nftnl_expr_set_u32(made, NFTNL_EXPR_BITWISE_DREG, number_of(0));
  nftnl_expr_set_u32(made, NFTNL_EXPR_BITWISE_LEN, size);
  nftnl_expr_set(made, NFTNL_EXPR_BITWISE_MASK, bits.data(), size);
  nftnl_expr_set(made, NFTNL_EXPR_BITWISE_XOR, kNothing.data(), size);
  add(made);
  return *this;
}

RuleBuilder& RuleBuilder::compare(Match match, Bytes value) {
  nftnl_expr* made = expression("cmp");
  nftnl_expr_set_u32(made, NFTNL_EXPR_CMP_SREG, number_of(0));
  nftnl_expr_set_u32(made, NFTNL_EXPR_CMP_OP, match == Match::kEqual ? NFT_CMP_EQ : NFT_CMP_NEQ);
  nftnl_expr_set(made, NFTNL_EXPR_CMP_DATA, value.data(), static_cast<std::uint32_t>(value.size()));
  add(made);
  return *this;
}

RuleBuilder& RuleBuilder::compare_u32(Match match, std::uint32_t value) {
  return compare(match, {reinterpret_cast<const std::uint8_t*>(&value), sizeof value});
}

RuleBuilder& RuleBuilder::compare_u8(Match match, std::uint8_t value) { return compare(match, {&value, 1}); }

RuleBuilder& RuleBuilder::in_set(const char* set, unsigned reg) {
  nftnl_expr* made = expression("lookup");
  nftnl_expr_set_u32(made, NFTNL_EXPR_LOOKUP_SREG, number_of(reg));
  nftnl_expr_set_str(made, NFTNL_EXPR_LOOKUP_SET, set);
  add(made);
  return *this;
}

RuleBuilder& RuleBuilder::verdict_of(const char* map) {
  nftnl_expr* made = expression("lookup");
  nftnl_expr_set_u32(made, NFTNL_EXPR_LOOKUP_SREG, number_of(0));
  nftnl_expr_set_u32(made, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_str(made, NFTNL_EXPR_LOOKUP_SET, map);
  add(made);
  return *this;
}

RuleBuilder& RuleBuilder::limit_of(const char* map) {
  nftnl_expr* made = expression("objref");
  nftnl_expr_set_u32(made, NFTNL_EXPR_OBJREF_SET_SREG, number_of(0));
  nftnl_expr_set_str(made, NFTNL_EXPR_OBJREF_SET_NAME, map);
  add(made);
  return *this;
}

RuleBuilder& RuleBuilder::more_connections_than(std::uint32_t most, const char* set) {
  nftnl_expr* count = expression("connlimit");
  nftnl_expr_set_u32(count, NFTNL_EXPR_CONNLIMIT_COUNT, most);
  nftnl_expr_set_u32(count, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV);
  nftnl_expr* made = expression("dynset");
  nftnl_expr_set_u32(made, NFTNL_EXPR_DYNSET_SREG_KEY, number_of(0));
  nftnl_expr_set_u32(made, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_ADD);
  nftnl_expr_set_str(made, NFTNL_EXPR_DYNSET_SET_NAME, set);
  nftnl_expr_set(made, NFTNL_EXPR_DYNSET_EXPR, count, 0);
  add(made);
  return *this;
}

RuleBuilder& RuleBuilder::masquerade() {
  add(expression("masq"));
  return *this;
}

RuleBuilder& RuleBuilder::verdict(std::uint32_t code, const char* chain) {
  nftnl_expr* made = expression("immediate");
  nftnl_expr_set_u32(made, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(made, NFTNL_EXPR_IMM_VERDICT, code);
  if (chain != nullptr) nftnl_expr_set_str(made, NFTNL_EXPR_IMM_CHAIN, chain);
  add(made);
  return *this;
}

void RuleBuilder::put(Batch& batch) {
  nlmsghdr* message =
      add_nft(batch, NFT_MSG_NEWRULE, family_, NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND, {"add the rule", comment_});
  nftnl_rule_nlmsg_build_payload(message, rule_.get());
}

}  // namespace mvm::net
