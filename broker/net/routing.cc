#include "broker/net/routing.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>

#include "base/derived.h"
#include "broker/net/links.h"
#include "policy-lang/table.h"

namespace mvm::net {
namespace {

constexpr std::uint16_t kCreateNew = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

std::string name_of(const PolicyRule& rule) { return std::to_string(rule.preference) + (rule.in.empty() ? "" : " iif " + rule.in); }
std::string name_of(const Route& route) { return to_string(route.to) + " table " + std::to_string(route.table); }

void put_prefix(nlmsghdr* message, std::uint16_t type, const Subnet& subnet) {
  if (subnet.prefix != 0) mnl_attr_put_u32(message, type, htonl(subnet.base));
}

bool is_ours(const PolicyRule& rule) { return rule.protocol == kRouteProtocol; }

std::optional<std::uint16_t> net_of_table(std::uint32_t table) {
  if (table < kFirstTable || table > kFirstTable + lang::kMaxNet) return std::nullopt;
  return static_cast<std::uint16_t>(table - kFirstTable);
}

bool is_there(const Error& error) { return error.code == Errc::kExists; }
bool is_gone(const Error& error) { return error.code == Errc::kNotFound || error.sys_errno == ESRCH; }

// The first refusal that is not `fine`.
Status run_tolerant(Socket& route, Batch& batch, bool (*fine)(const Error&)) {
  Result<std::vector<Status>> said = route.run_each(batch);
  if (!said) return forward(std::move(said.error()));
  for (Status& one : *said)
    if (!one && !fine(one.error())) return std::move(one);
  return {};
}

Result<std::vector<PolicyRule>> read_rules(Socket& route) {
  Batch batch;
  nlmsghdr* message = batch.add(RTM_GETRULE, NLM_F_DUMP, {"read rules", "of routing"});
  static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(message, sizeof(fib_rule_hdr)))->family = AF_INET;
  std::vector<PolicyRule> rules;
  const Status read = route.dump(batch, [&] { rules.clear(); }, [&](const Reply& reply) -> Status {
    if (reply.type != RTM_NEWRULE) return {};
    Result<PolicyRule> rule = decode_policy_rule(reply.body);
    if (!rule) return forward(std::move(rule.error()));
    if (is_ours(*rule)) rules.push_back(std::move(*rule));
    return {};
  });
  if (!read) return forward(read.error());
  return rules;
}

// Ours in all tables, or in that one.
Result<std::vector<Route>> read_routes(Socket& route, std::optional<std::uint32_t> table) {
  Batch batch;
  nlmsghdr* message = batch.add(RTM_GETROUTE, NLM_F_DUMP, {"read routes", table ? std::to_string(*table) : "of all tables"});
  auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  header->rtm_family = AF_INET;
  header->rtm_protocol = kRouteProtocol;
  if (table) mnl_attr_put_u32(message, RTA_TABLE, *table);
  std::vector<Route> routes;
  const Status read = route.dump(batch, [&] { routes.clear(); }, [&](const Reply& reply) -> Status {
    if (reply.type != RTM_NEWROUTE) return {};
    Result<Route> found = decode_route(reply.body);
    if (!found) return forward(std::move(found.error()));
    if (found->protocol == kRouteProtocol && net_of_table(found->table)) routes.push_back(*found);
    return {};
  });
  // A table that nothing was ever put in is not there.
  if (!read && read.error().code != Errc::kNotFound) return forward(read.error());
  return routes;
}

bool has(const std::vector<PolicyRule>& rules, const PolicyRule& rule) { return std::ranges::find(rules, rule) != rules.end(); }

}  // namespace

void put_policy_rule(Batch& batch, RouteChange change, const PolicyRule& rule) {
  const bool add = change == RouteChange::kAdd;
  nlmsghdr* message = batch.add(add ? RTM_NEWRULE : RTM_DELRULE, add ? kCreateNew : NLM_F_ACK,
                                {add ? "add the routing rule" : "remove the routing rule", name_of(rule)});
  auto* header = static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(message, sizeof(fib_rule_hdr)));
  header->family = AF_INET;
  header->src_len = rule.from.prefix;
  header->dst_len = rule.to.prefix;
  header->action = rule.action;
  header->flags = rule.inverted ? FIB_RULE_INVERT : 0;
  mnl_attr_put_u32(message, FRA_PRIORITY, rule.preference);
  mnl_attr_put_u8(message, FRA_PROTOCOL, rule.protocol);
  if (!rule.in.empty()) mnl_attr_put_strz(message, FRA_IIFNAME, rule.in.c_str());
  put_prefix(message, FRA_SRC, rule.from);
  put_prefix(message, FRA_DST, rule.to);
  if (rule.action == FR_ACT_TO_TBL) mnl_attr_put_u32(message, FRA_TABLE, rule.table);
  if (rule.action == FR_ACT_GOTO) mnl_attr_put_u32(message, FRA_GOTO, rule.target);
}

void put_route(Batch& batch, RouteChange change, const Route& route) {
  const bool add = change == RouteChange::kAdd;
  nlmsghdr* message = batch.add(add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE : NLM_F_ACK,
                                {add ? "add the route" : "remove the route", name_of(route)});
  auto* header = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  header->rtm_family = AF_INET;
  header->rtm_dst_len = route.to.prefix;
  header->rtm_protocol = route.protocol;
  header->rtm_scope = route.type == RTN_UNICAST ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header->rtm_type = route.type;
  mnl_attr_put_u32(message, RTA_TABLE, route.table);
  put_prefix(message, RTA_DST, route.to);
  if (route.out != 0) mnl_attr_put_u32(message, RTA_OIF, route.out);
}

std::vector<PolicyRule> shared_rules(const Subnet& cidr) {
  return {
      {.preference = kPast, .action = FR_ACT_NOP, .protocol = kRouteProtocol},
      {.preference = kHostItself, .action = FR_ACT_GOTO, .protocol = kRouteProtocol, .in = "lo", .target = kPast},
      {.preference = kNotWithin, .action = FR_ACT_GOTO, .protocol = kRouteProtocol, .inverted = true, .from = cidr, .to = cidr, .target = kPast},
      {.preference = kDeadEnd, .action = FR_ACT_BLACKHOLE, .protocol = kRouteProtocol, .from = cidr, .to = cidr},
  };
}

PolicyRule bridge_rule(std::uint16_t net) {
  return {.preference = kOfBridge, .action = FR_ACT_TO_TBL, .protocol = kRouteProtocol, .in = bridge_name(net), .table = table_of(net)};
}

Route dead_end(std::uint16_t net, const Subnet& cidr) { return {table_of(net), RTN_BLACKHOLE, kRouteProtocol, cidr, 0}; }

Route own_subnet(std::uint16_t net, const Subnet& subnet, std::uint32_t bridge) {
  return {table_of(net), RTN_UNICAST, kRouteProtocol, subnet, bridge};
}

Status make_dead_ends(Socket& route, const std::vector<std::uint16_t>& nets, const Subnet& cidr) {
  const Result<std::vector<PolicyRule>> found = read_rules(route);
  if (!found) return forward(found.error());
  std::vector<PolicyRule> wanted = shared_rules(cidr);
  Batch add, remove;
  for (const std::uint16_t net : nets) {
    const Result<std::vector<Route>> in_table = read_routes(route, table_of(net));
    if (!in_table) return forward(in_table.error());
    const Route end = dead_end(net, cidr);
    put_route(add, RouteChange::kAdd, end);
    wanted.push_back(bridge_rule(net));
    for (const Route& other : *in_table)
      if (other.type == RTN_BLACKHOLE && other != end) put_route(remove, RouteChange::kRemove, other);
  }
  for (const PolicyRule& rule : wanted)
    if (!has(*found, rule)) put_policy_rule(add, RouteChange::kAdd, rule);
  for (const PolicyRule& rule : *found)
    if (rule.preference != kOfBridge && !has(wanted, rule)) put_policy_rule(remove, RouteChange::kRemove, rule);
  if (Status added = run_tolerant(route, add, is_there); !added) return added;
  return run_tolerant(route, remove, is_gone);
}

Status remove_routing(Socket& route, const std::vector<std::uint16_t>& nets) {
  // One table is read as such: without it, all of the host's would be gone through.
  const Result<std::vector<Route>> routes = read_routes(route, nets.size() == 1 ? std::optional(table_of(nets[0])) : std::nullopt);
  if (!routes) return forward(routes.error());
  Batch batch;
  for (const Route& old : *routes)
    if (std::ranges::find(nets, *net_of_table(old.table)) != nets.end()) put_route(batch, RouteChange::kRemove, old);
  for (const std::uint16_t net : nets) put_policy_rule(batch, RouteChange::kRemove, bridge_rule(net));
  return run_tolerant(route, batch, is_gone);
}

Status remove_shared_rules(Socket& route) {
  const Result<std::vector<PolicyRule>> rules = read_rules(route);
  if (!rules) return forward(rules.error());
  Batch batch;
  for (const PolicyRule& rule : *rules)
    if (rule.preference != kOfBridge) put_policy_rule(batch, RouteChange::kRemove, rule);
  return run_tolerant(route, batch, is_gone);
}

bool Routing::whole(std::uint16_t net, std::uint32_t bridge) const {
  const auto in_table = [&](std::uint8_t type) {
    return std::ranges::find_if(routes, [&](const Route& route) { return route.table == table_of(net) && route.type == type; });
  };
  const auto end = in_table(RTN_BLACKHOLE), own = in_table(RTN_UNICAST);
  if (end == routes.end() || own == routes.end() || own->out != bridge || !end->to.contains(own->to)) return false;
  std::vector<PolicyRule> wanted = shared_rules(end->to);
  wanted.push_back(bridge_rule(net));
  return std::ranges::all_of(wanted, [&](const PolicyRule& rule) { return has(rules, rule); });
}

std::vector<std::uint16_t> Routing::nets() const {
  std::vector<std::uint16_t> found;
  for (const PolicyRule& rule : rules)
    if (const auto net = net_of_table(rule.table)) found.push_back(*net);
  for (const Route& route : routes) found.push_back(*net_of_table(route.table));
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

Result<Routing> read_routing(Socket& route) {
  Result<std::vector<PolicyRule>> rules = read_rules(route);
  if (!rules) return forward(std::move(rules.error()));
  Result<std::vector<Route>> routes = read_routes(route, std::nullopt);
  if (!routes) return forward(std::move(routes.error()));
  return Routing{std::move(*rules), std::move(*routes)};
}

}  // namespace mvm::net
