#include <algorithm>
#include <array>
#include <span>

#include "base/derived.h"
#include "broker/net/elements.h"
#include "broker/net/executors.h"
#include "broker/net/links.h"
#include "broker/net/making.h"
#include "broker/net/ruleset.h"
#include "policy-lang/table.h"

namespace mvm::net {
namespace {

// A tenth of a second's worth may come at once, and never less than lets anything through: a few packets, or the largest
// packet that segmentation offload makes (64 KiB) twice.
constexpr std::uint64_t kBurstFraction = 10;
constexpr std::uint64_t kLeastPackets = 5;
constexpr std::uint64_t kLeastBytes = 128 * 1024;

struct Rate {
  const SetShape* map;
  std::uint64_t per_second;
  LimitOf of;
};

std::array<Rate, 3> rates_of(const RuleRates& rates) {
  return {{{&kPackets, rates.packets_per_second, LimitOf::kCount},
           {&kBytes, rates.bytes_per_second, LimitOf::kLength},
           {&kConnections, rates.connections_per_second, LimitOf::kCount}}};
}

std::string limit_name(const SetShape& map, std::string_view bridge) { return std::string(bridge) + "-" + map.name; }

void put_rates(Batch& batch, const std::string& bridge, const RuleRates& rates) {
  for (const Rate& rate : rates_of(rates)) {
    if (rate.per_second == 0) continue;
    const std::uint64_t least = rate.of == LimitOf::kLength ? kLeastBytes : kLeastPackets;
    const auto burst = static_cast<std::uint32_t>(
        std::clamp<std::uint64_t>(rate.per_second / kBurstFraction, least, ~std::uint32_t{0}));
    put_limit(batch, limit_name(*rate.map, bridge), {rate.of, rate.per_second, burst});
    put_object(batch, *rate.map, Key().name(bridge), limit_name(*rate.map, bridge));
  }
}

Verdict verdict_for(std::uint64_t egress) {
  if (egress == lang::kEgressNat) return {NF_ACCEPT};
  if (egress == lang::kEgressListed) return {static_cast<std::uint32_t>(NFT_GOTO), "listed"};
  return {NF_DROP};
}

void put_rule(Batch& batch, const std::string& bridge, const CheckedRule& rule) {
  put_new_verdict(batch, kEgress, Key().name(bridge), verdict_for(rule.egress()));
  if (rule.egress() != lang::kEgressNone) put_element(batch, Change::kAdd, kReplies, Key().name(bridge));
  for (const Subnet& subnet : rule.listed()) put_allowed(batch, Change::kAdd, bridge, subnet);
  put_rates(batch, bridge, rule.rates());
}

// Of tenants that have none: all in one transaction.
Status add_rules(Socket& nft, std::span<const CheckedRule> rules) {
  Batch batch;
  begin_transaction(batch);
  for (const CheckedRule& rule : rules) put_rule(batch, bridge_name(rule.net()), rule);
  end_transaction(batch);
  return nft.run(batch);
}

Status replace_rule(Socket& nft, const std::string& bridge, const CheckedRule& rule) {
  Batch batch;
  begin_transaction(batch);
  if (Status read = put_remove_all(batch, nft, kOfARule, {bridge}); !read) return read;
  put_rule(batch, bridge, rule);
  end_transaction(batch);
  return nft.run(batch);
}

Status lets_out(Socket& route, const CheckedRule& rule) {
  if (rule.egress() == lang::kEgressNone) return {};
  const Result<bool> forwards = forwards_ipv4(route);
  if (!forwards) return forward(forwards.error());
  if (!*forwards) return fail(Errc::kUnsupported, "let " + bridge_name(rule.net()) + " out", "net.ipv4.ip_forward is 0 on this host");
  return {};
}

}  // namespace

Status make_rule(Kernel& kernel, const CheckedRule& rule) {
  const std::string bridge = bridge_name(rule.net());
  const Result<std::optional<Link>> link = find_link(kernel.route, bridge);
  if (!link) return forward(link.error());
  if (!*link || !is_ours(**link)) return fail(Errc::kNotFound, "find the rule's bridge", bridge);
  if (Status out = lets_out(kernel.route, rule); !out) return out;
  // A rule always has its element in `egress`, and the kernel refuses a second one: only then is there a rule to replace.
  Status added = add_rules(kernel.nft, {&rule, 1});
  if (!added && (added.error().code == Errc::kExists || added.error().code == Errc::kBusy))
    return replace_rule(kernel.nft, bridge, rule);
  return added;
}

void make_together(Kernel& kernel, std::span<Making<CheckedRule>> makings) {
  std::vector<std::string> names;
  for (const Making<CheckedRule>& making : makings) names.push_back(bridge_name(making.what.net()));
  const Result<std::vector<std::optional<Link>>> links = find_links(kernel.route, names);
  const auto out = std::ranges::find_if(makings, [](const auto& making) { return making.what.egress() != lang::kEgressNone; });
  if (!links || (out != makings.end() && !lets_out(kernel.route, out->what))) return;
  std::vector<CheckedRule> rules;
  for (std::size_t i = 0; i < makings.size(); ++i)
    if ((*links)[i] && is_ours(*(*links)[i])) rules.push_back(makings[i].what);
  if (rules.empty() || !add_rules(kernel.nft, rules)) return;
  for (std::size_t i = 0; i < makings.size(); ++i) makings[i].made = (*links)[i] && is_ours(*(*links)[i]);
}

Status unmake_rule(Kernel& kernel, const CheckedRemoval& rule) {
  Batch batch;
  begin_transaction(batch);
  const Names bridge = {bridge_name(rule.net())};
  if (Status put = put_remove_all(batch, kernel.nft, kOfARule, bridge); !put) return put;
  if (Status put = put_remove_all(batch, kernel.nft, kCounted, bridge); !put) return put;
  if (batch.count() == 1) return {};
  end_transaction(batch);
  return kernel.nft.run(batch);
}

}  // namespace mvm::net
