// The kernel's netlink messages, decoded into the model: bodies behind their nlmsghdr, every length checked, and whatever does
// not fit is kMalformed. What is well formed and means something that is not modelled is kept as unknown. Pure.
// Formats: uapi linux/{rtnetlink,if_link,if_addr,fib_rules,netfilter/nf_tables}.h.
// Proven by: tests/net-verify/decode_test.cc, fuzz/net_verify_decode_fuzz.cc.
#pragma once

#include "base/error.h"
#include "broker/net/attributes.h"
#include "net-verify/model/snapshot.h"

namespace mvm::verify {

using net::Bytes;

inline constexpr std::size_t kMaxName = 256;  // of a table, chain, set: NFT_NAME_MAXLEN

[[nodiscard]] Result<Link> decode_link(Bytes body);              // RTM_NEWLINK
[[nodiscard]] Result<Address> decode_address(Bytes body);        // RTM_NEWADDR
[[nodiscard]] Result<std::optional<Route>> decode_route(Bytes body);  // RTM_NEWROUTE; nothing: not IPv4
[[nodiscard]] Result<RoutingRule> decode_rule(Bytes body);       // RTM_NEWRULE
struct Qdisc {
  std::uint32_t link = 0;
  std::string kind;
};
[[nodiscard]] Result<Qdisc> decode_qdisc(Bytes body);  // RTM_NEWQDISC

[[nodiscard]] Result<Chain> decode_chain(Bytes body);  // NFT_MSG_NEWCHAIN
struct RuleOf {
  std::uint8_t family = 0;
  std::string table, chain;
  Rule rule;
};
[[nodiscard]] Result<RuleOf> decode_nft_rule(Bytes body);  // NFT_MSG_NEWRULE
[[nodiscard]] Result<Set> decode_set(Bytes body);          // NFT_MSG_NEWSET
struct ElementsOf {
  std::uint8_t family = 0;
  std::string table, set;
  std::vector<Element> elements;
};
[[nodiscard]] Result<ElementsOf> decode_set_elements(Bytes body);  // NFT_MSG_NEWSETELEM
[[nodiscard]] Result<FlowTable> decode_flow_table(Bytes body);     // NFT_MSG_NEWFLOWTABLE

// One that hangs on a hook of netfilter's (uapi linux/netfilter/nfnetlink_hook.h).
struct HookEntry {
  std::uint8_t family = 0;
  std::uint32_t number = 0;
  std::string function;  // in the kernel; empty: it does not say
  std::uint32_t type = 0;  // NFNL_HOOK_TYPE_*; 0: neither nftables' nor of another kind that the kernel tells
  std::uint8_t chain_family = 0;
  std::string table, chain;  // of nftables
};
[[nodiscard]] Result<HookEntry> decode_hook(Bytes body);  // NFNL_MSG_HOOK_GET
// A base chain that was read, or a function of the kernel's own that opens nothing. What is not known is not modelled.
[[nodiscard]] bool is_modelled(const HookEntry& entry, const std::vector<Chain>& chains);
[[nodiscard]] Result<std::uint32_t> decode_generation(Bytes body);  // NFT_MSG_NEWGEN

}  // namespace mvm::verify
