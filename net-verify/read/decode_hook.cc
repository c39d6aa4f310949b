#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_hook.h>

#include <array>

#include "net-verify/read/attribute_reader.h"

namespace mvm::verify {
namespace {

// What lets a packet go on as it is modelled, or stops it: it never sends it elsewhere and never takes it past other hooks.
// nat's do what nat chains say, which are read; bridge netfilter's meet the chains of IPv4 and IPv6 once more.
constexpr std::array<std::string_view, 37> kKnown = {
    "ipv4_conntrack_defrag", "ipv6_defrag",
    "ipv4_conntrack_in", "ipv4_conntrack_local", "ipv6_conntrack_in", "ipv6_conntrack_local", "nf_confirm", "ipv4_confirm", "ipv6_confirm",
    "nf_ct_bridge_pre", "nf_ct_bridge_in", "nf_ct_bridge_post", "nf_ct_bridge_confirm",
    "nf_nat_ipv4_pre_routing", "nf_nat_ipv4_in", "nf_nat_ipv4_out", "nf_nat_ipv4_local_fn", "nf_nat_ipv4_local_in", "nf_nat_ipv4_fn",
    "nf_nat_ipv6_in", "nf_nat_ipv6_out", "nf_nat_ipv6_local_fn", "nf_nat_ipv6_fn",
    "br_nf_pre_routing", "br_nf_local_in", "br_nf_forward", "br_nf_forward_ip", "br_nf_forward_arp", "br_nf_post_routing", "ip_sabotage_in",
    "selinux_ip_forward", "selinux_ipv4_forward", "selinux_ipv6_forward", "selinux_ip_postroute", "selinux_ipv4_postroute", "selinux_ipv6_postroute",
    "apparmor_ip_postroute"};

Status describe_chain(Bytes bytes, HookEntry& entry) {
  return each(bytes, "a hook's chain", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == NFNLA_CHAIN_TABLE) entry.table = clean(value);
    if (type == NFNLA_CHAIN_NAME) entry.chain = clean(value);
    if (type == NFNLA_CHAIN_FAMILY) entry.chain_family = net::read_value<std::uint8_t>(value).value_or(0);
    return {};
  });
}

Status chain_info(Bytes bytes, HookEntry& entry) {
  return each(bytes, "what a hook is", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == NFNLA_HOOK_INFO_TYPE) entry.type = big32(value);
    return type == NFNLA_HOOK_INFO_DESC ? describe_chain(value, entry) : Status{};
  });
}

}  // namespace

Result<HookEntry> decode_hook(Bytes body) {
  HookEntry entry;
  if (body.size() < sizeof(nfgenmsg)) return malformed("a hook");
  entry.family = body[0];
  const Status read = each(body.subspan(sizeof(nfgenmsg)), "a hook", [&](std::uint16_t type, Bytes value) -> Status {
    if (type == NFNLA_HOOK_HOOKNUM) entry.number = big32(value);
    if (type == NFNLA_HOOK_FUNCTION_NAME) entry.function = clean(value);
    return type == NFNLA_HOOK_CHAIN_INFO ? chain_info(value, entry) : Status{};
  });
  if (!read) return forward(read.error());
  return entry;
}

bool is_modelled(const HookEntry& entry, const std::vector<Chain>& chains) {
  if (entry.type == 0) return std::ranges::find(kKnown, entry.function) != kKnown.end();
  return entry.type == NFNL_HOOK_TYPE_NFTABLES && std::ranges::any_of(chains, [&](const Chain& chain) {
    return chain.hook && chain.family == entry.chain_family && chain.table == entry.table && chain.name == entry.chain;
  });
}

}  // namespace mvm::verify
