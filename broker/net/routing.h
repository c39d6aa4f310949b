// The routing that makes the cluster's subnet a dead end for its tenants, whatever nftables says. Made with a bridge, removed
// with it; none of it looks at nftables, and nftables looks at none of it. As `ip rule` shows it, with the cluster 10.240.0.0/12:
//
//   71: from all iif lo goto 75                               the host itself, and the check of the reverse path
//   72: not from 10.240.0.0/12 to 10.240.0.0/12 goto 75       not from a tenant to a tenant
//   73: from all iif br-tenant-3 lookup 7170003               one for each bridge
//   74: from 10.240.0.0/12 to 10.240.0.0/12 blackhole         in by no bridge of ours
//   75: from all nop                                          and on to the host's own rules
//
// and in the table of a bridge its own subnet and `blackhole 10.240.0.0/12`. Rules are looked at one after the other, so 71 and
// 72 take everything past 73 that is not from the cluster to the cluster: what a packet costs does not grow with the
// tenants. A tenant cannot send from outside of its subnet: the bridges check the reverse path (rp_filter 1).
// Every part of it alone does no harm to the host's other traffic, in whatever order the parts come and go.
// Proven by: tests/net/routing_test.cc, tests/net/emitted_test.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "broker/net/batch.h"
#include "broker/net/reply.h"
#include "broker/net/socket.h"

namespace mvm::net {

inline constexpr std::uint32_t kFirstTable = 7'170'000;  // a bridge's table is this and its net id
inline constexpr std::uint8_t kRouteProtocol = 109;      // 'm': whose a rule or route is (ip route show proto 109)

enum Preference : std::uint32_t { kHostItself = 71, kNotWithin = 72, kOfBridge = 73, kDeadEnd = 74, kPast = 75 };

[[nodiscard]] constexpr std::uint32_t table_of(std::uint16_t net) { return kFirstTable + net; }

enum class RouteChange : std::uint8_t { kAdd, kRemove };

// One message each. Adding a rule that is there is kExists; removing what is not there kNotFound (a rule) or ESRCH (a route).
void put_policy_rule(Batch& batch, RouteChange change, const PolicyRule& rule);
void put_route(Batch& batch, RouteChange change, const Route& route);

// What there should be: the rules that all bridges share, and the one of a bridge.
[[nodiscard]] std::vector<PolicyRule> shared_rules(const Subnet& cidr);
[[nodiscard]] PolicyRule bridge_rule(std::uint16_t net);
[[nodiscard]] Route dead_end(std::uint16_t net, const Subnet& cidr);
[[nodiscard]] Route own_subnet(std::uint16_t net, const Subnet& subnet, std::uint32_t bridge);

// The rules and the dead ends of those bridges, before they are there. Rules for another cluster subnet are replaced.
[[nodiscard]] Status make_dead_ends(Socket& route, const std::vector<std::uint16_t>& nets, const Subnet& cidr);
// The rules of those bridges and all of their tables. What is gone already is success.
[[nodiscard]] Status remove_routing(Socket& route, const std::vector<std::uint16_t>& nets);
// The shared rules, once there is no bridge left.
[[nodiscard]] Status remove_shared_rules(Socket& route);

// All of ours that is there.
struct Routing {
  std::vector<PolicyRule> rules;
  std::vector<Route> routes;
  // The net's rule, its dead end, the way to its own subnet by that link, and the shared rules for the same cluster subnet.
  [[nodiscard]] bool whole(std::uint16_t net, std::uint32_t bridge) const;
  // The nets that any of it belongs to, sorted.
  [[nodiscard]] std::vector<std::uint16_t> nets() const;
};
[[nodiscard]] Result<Routing> read_routing(Socket& route);

}  // namespace mvm::net
