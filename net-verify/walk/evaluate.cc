#include "net-verify/walk/evaluate.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_bridge.h>

#include <algorithm>

#include "net-verify/walk/rule_run.h"

namespace mvm::verify {
namespace {

bool translating(const Chain& chain) {
  return std::ranges::any_of(chain.rules, [](const Rule& rule) {
    return std::ranges::any_of(rule.exprs, [](const Expr& expr) {
      return expr.kind == ExprKind::kSourceNat || expr.kind == ExprKind::kDestinationNat || expr.kind == ExprKind::kRedirect;
    });
  });
}

void append(std::vector<Packets>& to, std::vector<Packets> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

constexpr std::uint8_t kIp = 2, kArp = 3, kNetdev = 5, kBridge = 7, kIp6 = 10, kInet = 1;  // NFPROTO_*
constexpr std::uint32_t kInetIngress = 5;                                                    // NF_INET_INGRESS

}  // namespace

Evaluator::Evaluator(const Snapshot& snapshot, std::uint64_t most) : snapshot_(snapshot), work_(most) {
  for (const Chain& chain : snapshot.chains) {
    chains_[{chain.family, chain.table, chain.name}] = &chain;
    if (chain.hook) bases_.push_back(&chain);
    translates_ = translates_ || translating(chain);
  }
  for (const Set& set : snapshot.sets) sets_[{set.family, set.table, set.name}] = &set;
  std::ranges::stable_sort(bases_, {}, [](const Chain* chain) { return chain->hook->priority; });
}

const Set* Evaluator::set(const Chain& chain, const std::string& name) const {
  const auto found = sets_.find({chain.family, chain.table, name});
  return found == sets_.end() ? nullptr : found->second;
}

std::vector<const Chain*> Evaluator::chains_at(const Place& place) const {
  std::vector<const Chain*> here;
  for (const Chain* chain : bases_) {
    const Hook& hook = *chain->hook;
    const Link* device = place.hook == 0 ? place.in : place.out;  // NF_NETDEV_INGRESS, NF_NETDEV_EGRESS
    const bool on_device = device != nullptr && std::ranges::find(hook.devices, device->name) != hook.devices.end();
    bool meets = false;
    switch (place.protocol) {
      case kNetdev:
        meets = on_device && ((chain->family == kNetdev && hook.number == place.hook) ||
                              (chain->family == kInet && hook.number == kInetIngress && place.hook == 0));
        break;
      case kIp: meets = (chain->family == kIp || chain->family == kInet) && hook.number == place.hook; break;
      case kIp6: meets = (chain->family == kIp6 || chain->family == kInet) && hook.number == place.hook; break;
      case kArp:
      case kBridge: meets = chain->family == place.protocol && hook.number == place.hook; break;
      default: break;
    }
    if (meets) here.push_back(chain);
  }
  return here;
}

void Evaluator::cannot_tell(const std::string& why) {
  const auto [known, fresh] = cannot_tell_.try_emplace(why);
  if (about_ && (fresh || !known->second.empty())) known->second.insert(*about_);
}

// Functions and programs beside the chains: they may do anything with a packet that comes by.
void Evaluator::check_hooks(const Place& place) {
  const Link* device = place.protocol != kNetdev ? nullptr : place.hook == 0 ? place.in : place.out;
  for (const ForeignHook& hook : snapshot_.hooks)
    if (hook.family == place.protocol && hook.number == place.hook && (device == nullptr || device->name == hook.device))
      cannot_tell(hook.what + " hangs on hook " + std::to_string(hook.number) + " of " + family_name(hook.family) + (device == nullptr ? "" : " of " + device->name) + ", and is not modelled");
}

bool Evaluator::given_up() {
  if (work_.spent()) cannot_tell_["the rules ask for more work than is done for one question"].clear();
  return work_.spent();
}

void Evaluator::bound(std::vector<Packets>& packets) {
  if (packets.size() <= kMaxBoxes) {
    if (packets.size() > kMaxMerged) return;
    work_.spend_comparisons(packets.size() * packets.size());
    return merge(packets);
  }
  if (packets.size() <= kMaxBoxes) return;
  Packets around = packets.front();
  for (const Packets& one : packets) around.box = around.box.hull(one.box);
  packets = {around.doubted("more kinds of packets than are told apart")};
}

Evaluator::Ended Evaluator::run_chain(const Chain& chain, const Place& place, std::vector<Packets> packets, int depth) {
  Ended ended;
  if (depth > kMaxJumps) {
    cannot_tell(name_of(chain, nullptr) + ": jumps too deep");
    return {packets, packets};
  }
  for (const Rule& rule : chain.rules) {
    const std::size_t accepted = ended.accepted.size(), passed = ended.passed.size();
    bool cut = false;  // else what goes on is what came, and merged already
    std::vector<Packets> next;
    std::map<std::pair<std::int32_t, std::string>, std::vector<Packets>> away;  // jumps and gotos: a chain is walked once for all
    for (const Packets& one : packets) {
      if (given_up()) return {};
      RuleResult result = RuleRun(*this, chain, rule, place).run(one);
      cut = cut || !result.decided.empty() || result.on.size() != 1 || result.on[0].box != one.box || result.on[0].doubt != one.doubt;
      append(next, std::move(result.on));
      for (Decided& decided : result.decided) {
        const std::int32_t code = decided.verdict.code;
        if (code == NF_DROP || code == NF_STOLEN) continue;
        if (code == NF_ACCEPT) {
          ended.accepted.push_back(decided.packets.then("accept", &chain, &rule));
        } else if (code == NFT_RETURN) {
          ended.passed.push_back(decided.packets.then("return", &chain, &rule));
        } else if (code == NFT_JUMP || code == NFT_GOTO) {
          const char* verb = code == NFT_JUMP ? "jump " : "goto ";
          away[{code, decided.verdict.chain}].push_back(decided.packets.then(verb + decided.verdict.chain, &chain, &rule));
        } else if (code == NFT_BREAK) {
          next.push_back(decided.packets);
        } else {  // a queue: user space decides
          ended.accepted.push_back(decided.packets.doubted(name_of(chain, &rule) + ": a program decides").then("queue", &chain, &rule));
        }
      }
    }
    for (auto& [where, gone] : away) {
      const auto& [code, name] = where;
      const auto target = chains_.find({chain.family, chain.table, name});
      if (target == chains_.end()) {
        cannot_tell(name_of(chain, &rule) + ": it jumps to \"" + name + "\", which is not there");
        continue;
      }
      bound(gone);
      Ended below = run_chain(*target->second, place, std::move(gone), depth + 1);
      append(ended.accepted, std::move(below.accepted));
      append(code == NFT_JUMP ? next : ended.passed, std::move(below.passed));
    }
    if (cut) bound(next);
    if (ended.accepted.size() != accepted) bound(ended.accepted);
    if (ended.passed.size() != passed) bound(ended.passed);
    packets = std::move(next);
    if (packets.empty()) return ended;
  }
  append(ended.passed, std::move(packets));
  return ended;
}

std::vector<Packets> Evaluator::run_base(const Chain& chain, const Place& place, std::vector<Packets> packets) {
  std::vector<Packets> untouched;
  // Only a connection's first packet meets a nat chain; the others are turned as it was, or not at all.
  if (chain.hook->type == "nat")
    for (const Packets& one : packets)
      for (const Box& box : without(one.box, {Box().with(Field::kState, kNew)})) untouched.push_back(one.in(box));
  Ended ended = run_chain(chain, place, std::move(packets), 0);
  if (chain.hook->accept)
    for (const Packets& one : ended.passed) ended.accepted.push_back(one.then("policy accept", &chain));
  append(ended.accepted, std::move(untouched));
  return std::move(ended.accepted);
}

std::vector<Packets> Evaluator::run(const Place& place, std::vector<Packets> packets) {
  if (!packets.empty()) check_hooks(place);
  for (const Chain* chain : chains_at(place)) {
    if (packets.empty()) return packets;
    if (given_up()) return {};
    packets = run_base(*chain, place, std::move(packets));
    bound(packets);
  }
  return given_up() ? std::vector<Packets>{} : packets;
}

}  // namespace mvm::verify
