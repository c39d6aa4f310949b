// What `mvm net verify` reads from the kernel: the body of a message by every decoder, and what was decoded through the evaluator.
#include <cstdint>
#include <span>

#include "fuzz/check.h"
#include "net-verify/read/decode.h"
#include "net-verify/walk/evaluate.h"

namespace {

using namespace mvm::verify;

// A rule of anybody's, met by every packet at a hook.
void walk(const RuleOf& one) {
  Snapshot snapshot;
  snapshot.chains = {{one.family, one.table, one.chain, Hook{0, 0, "filter", {}, true}, {one.rule}}};
  snapshot.sets = {{one.family, one.table, "s", 0, 4, {}, {Element{{1, 2, 3, 4}, {}, false, false, {}, {}}}}};
  const Link link{.index = 1, .name = "tn3i3", .kind = "tun"};
  Evaluator evaluator(snapshot);
  const std::vector<Packets> out = evaluator.run({one.family, 0, &link, nullptr, nullptr, nullptr}, {Packets{}});
  mvm::fuzz::must(out.size() <= kMaxBoxes, "boxes are bounded");
  for (const Packets& packets : out) mvm::fuzz::must(!packets.box.empty(), "no box is empty");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes body(data, size);
  if (const auto link = decode_link(body)) mvm::fuzz::must(link->index != 0 && !link->name.empty(), "a link has an index and a name");
  (void)decode_address(body).has_value();
  if (const auto route = decode_route(body); route && *route) mvm::fuzz::must((*route)->prefix <= 32, "a prefix of IPv4 has at most 32 bits");
  if (const auto rule = decode_rule(body)) mvm::fuzz::must(rule->from.length <= 32 && rule->to.length <= 32, "a prefix of IPv4 has at most 32 bits");
  (void)decode_qdisc(body).has_value();
  (void)decode_chain(body).has_value();
  (void)decode_set(body).has_value();
  (void)decode_flow_table(body).has_value();
  (void)decode_generation(body).has_value();
  if (const auto hook = decode_hook(body); hook && is_modelled(*hook, {})) mvm::fuzz::must(hook->type == 0 && !hook->function.empty(), "what has no name is not known");
  if (const auto elements = decode_set_elements(body))
    for (const Element& element : elements->elements) mvm::fuzz::must(element.key.size() <= size && element.data.size() <= size, "a key lies in its message");
  if (const auto rule = decode_nft_rule(body)) {
    mvm::fuzz::must(rule->rule.comment.size() <= kMaxName, "comments are cut");
    walk(*rule);
  }
  return 0;
}
