// V6: the plan is for this node, this state and this projection, and nothing newer was applied. A refusal names the line of
// the plan's header that does not agree.
#include "policy-lang/print.h"
#include "policy-lang/verify_rules.h"

namespace mvm::lang {
namespace {

enum HeaderLine : std::uint32_t { kNodeLine = 2, kGenerationLine = 3, kDesiredLine = 4, kBaseLine = 5 };

std::unexpected<Refusal> stale(HeaderLine line, std::string statement, std::string why, std::string remedy) {
  return std::unexpected(Refusal{.rule = Rule::kFreshness, .line = line, .statement = std::move(statement), .why = std::move(why), .remedy = std::move(remedy)});
}

Checked<void> names_one_node(const Header& plan, std::string_view text, const Name& node) {
  if (plan.node == node) return {};
  return stale(kNodeLine, say("node ", plan.node.view()), say("the ", text, " is of node ", node.view()), "use plan, projection, state and policy of one node");
}

Checked<void> is_not_older(const Header& plan, const Header& state) {
  const std::string line = say("generation ", plan.generation);
  if (plan.generation < state.generation) {
    return stale(kGenerationLine, line, say("generation ", state.generation, " has been applied"), say("plan from a projection of generation ", state.generation, " or later"));
  }
  if (plan.generation > state.generation || !state.has_desired || plan.desired == state.desired) return {};
  return stale(kGenerationLine, line, say("that generation was applied from another projection, ", to_string(state.desired)), "have the coordinator sign a projection of a later generation");
}

}  // namespace

Checked<void> verify_freshness(const Document& plan, const Against& against) {
  const Header& header = plan.header;
  if (auto node = names_one_node(header, "policy", against.policy.header.node); !node) return node;
  if (auto node = names_one_node(header, "state", against.state.header.node); !node) return node;
  if (auto node = names_one_node(header, "projection", against.projection.header.node); !node) return node;
  if (const Digest base = text_digest(against.state); header.base != base) {
    return stale(kBaseLine, say("base ", to_string(header.base)), say("the state of the host is ", to_string(base)), "plan again from the state as it is now");
  }
  if (const Digest desired = text_digest(against.projection); header.desired != desired) {
    return stale(kDesiredLine, say("desired ", to_string(header.desired)), say("the projection is ", to_string(desired)), "submit the plan with the projection that it was made from");
  }
  if (const std::uint64_t signed_for = against.projection.header.generation; header.generation != signed_for) {
    return stale(kGenerationLine, say("generation ", header.generation), say("the projection is of generation ", signed_for), say("write generation ", signed_for));
  }
  return is_not_older(header, against.state.header);
}

}  // namespace mvm::lang
