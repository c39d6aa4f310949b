// The rules, the same for every tenant: made with the first bridge, removed with the last. What differs between tenants is in
// sets and maps (elements.h). As `nft list ruleset` shows it, see docs/net-rules.md.
//
// table inet mvm: what comes in by a link of ours, or would leave by one, is dropped unless a set or map says otherwise.
//   within   (in . out)       the tenant's own bridge twice: bridged frames seen here by br_netfilter
//   closed   (address)        never reached from a tenant (closed.h); with each bridge, to be what the policy says
//   egress   (in : verdict)   drop, accept (NAT), or go to `listed`; a tenant without an element is dropped
//   allowed  (in . address)   what egress=listed may reach
//   replies  (bridge)         tenants with egress: their connections are answered, and masqueraded
//   flows    (in)             counts the tenant's connections; made by the first of them
//   packets, bytes, connections (in : limit)   the tenant's rates
// table bridge mvm: a frame comes in by a tap of ours only with its slot's MAC and IPv4 address, as IPv4 without options or as
// ARP, and is not handed to the host's stack for an address that is closed.
//   sources  (tap . MAC . address)
//   closed   (address)        as above
// Proven by: tests/net/packets_test.cc (each rule taken away is seen), tests/net/rule_test.cc.
#pragma once

#include <cstdint>

#include "broker/net/batch.h"

namespace mvm::net {

inline constexpr const char* kTable = "mvm";
// Connections of one tenant at once, so that none fills the host's table (net.netfilter.nf_conntrack_max). The kernel walks a
// tenant's list up to once a tick, which is what keeps this from being larger.
inline constexpr std::uint32_t kMostConnections = 8192;

// nftables works in one transaction from begin to end: all of it or nothing.
void begin_transaction(Batch& batch);
void end_transaction(Batch& batch);

// nfgenmsg and type of an nftables message; `family` is NFPROTO_*, `what` an NFT_MSG_*.
nlmsghdr* add_nft(Batch& batch, std::uint16_t what, std::uint8_t family, std::uint16_t flags, Label label);

// Both tables with their sets, chains and rules. The kernel refuses with EEXIST where they are there.
void put_tables(Batch& batch);
// kNotFound where they are not there.
void put_delete_tables(Batch& batch);

}  // namespace mvm::net
