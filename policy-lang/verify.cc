// The order of the rules, and the walk through a plan.
#include "policy-lang/verify.h"

#include "policy-lang/print.h"
#include "policy-lang/verify_rules.h"

namespace mvm::lang {
namespace {

// The state as the plan leaves it, statement by statement.
class Walk {
 public:
  Walk(const Document& plan, const Against& against)
      : index_(against.state, plan.statements), policy_(read_policy(against.policy)), devices_(against.policy), authority_(against.projection, index_) {}

  // What only one may have, claimed by all that stands.
  [[nodiscard]] Checked<void> claim_what_stands(const Document& state) {
    const Subject* last = nullptr;
    for (const Statement& line : state.statements) {
      const Site site = index_.site(line.subject);
      const bool first = site.instance != nullptr && (last == nullptr || *last != line.subject);
      if (auto claimed = claims_.claim({line, site, first}); !claimed) return claimed;
      if (line.word == Word::kVolume) devices_.put(volume_view(line).mib);
      last = &line.subject;
    }
    return {};
  }

  [[nodiscard]] Checked<void> take(const Statement& statement) {
    const Site site = index_.site(statement.subject);
    Step step{statement, site};
    if (auto order = verify_order(step); !order) return order;
    step.first_line = site.instance != nullptr && site.instance->lines.words == 0;
    index_.carry_out(site, statement);
    step.last_line = site.instance != nullptr && site.instance->lines.words == 0;
    if (auto claimed = claim(step); !claimed) return claimed;
    if (auto invariants = verify_invariants(step, policy_); !invariants) return invariants;
    if (auto limits = verify_limits(step, index_, policy_, devices_); !limits) return limits;
    return authority_.check(step);
  }

  [[nodiscard]] StateIndex& index() { return index_; }

 private:
  Checked<void> claim(const Step& step) {
    const bool volume = step.statement.word == Word::kVolume;
    if (volume && step.statement.sign == Sign::kAdd) devices_.put(volume_view(step.statement).mib);
    if (volume && step.statement.sign == Sign::kRemove) devices_.take(volume_view(step.statement).mib);
    if (step.statement.sign == Sign::kAdd) return claims_.claim(step);
    if (step.statement.sign == Sign::kRemove) claims_.release(step);
    return {};
  }

  StateIndex index_;
  NodePolicy policy_;
  Devices devices_;
  Authority authority_;
  Claims claims_;
};

// The state that a plan leads to must be a text again, or its host could not read it.
Checked<void> has_room(std::size_t lines) {
  if (lines <= kMaxStatements) return {};
  return refuse(Rule::kInvariant, say("the state would have ", lines, " lines; the most is ", kMaxStatements), say("remove ", lines - kMaxStatements, " lines first"));
}

Checked<void> stays_a_text(const Document& after) {
  constexpr std::size_t kSurelyFit = kMaxTextBytes / (kMaxLineBytes + 1) - 6;  // 6: the header's lines and `end`
  if (after.statements.size() <= kSurelyFit) return {};
  const std::size_t bytes = text_size(after);
  if (bytes <= kMaxTextBytes) return {};
  return refuse(Rule::kInvariant, say("the state would be a text of ", bytes, " bytes; the most is ", kMaxTextBytes), "remove instances first");
}

Checked<void> verify_surroundings(const Document& plan, const Against& against) {
  if (auto policy = verify_policy(against.policy); !policy) return policy;
  if (auto projection = verify_projection(against.projection, against.policy); !projection) return projection;
  return verify_freshness(plan, against);
}

}  // namespace

std::uint32_t first_statement_line(Kind kind) {
  switch (kind) {
    case Kind::kPlan: return 6;
    case Kind::kState: return 5;
    case Kind::kProjection: return 4;
    case Kind::kPolicy: return 3;
    case Kind::kManifest: return 3;
  }
  return 0;
}

std::unexpected<Refusal> at(const Document& document, std::size_t index, Refusal refusal) {
  refusal.line = first_statement_line(document.kind) + static_cast<std::uint32_t>(index);
  refusal.statement = print(document.statements[index]);
  return std::unexpected(std::move(refusal));
}

Checked<void> verify_state(const Document& state, const Document& policy) {
  const NodePolicy rules = read_policy(policy);
  StateIndex index(state, {});
  Claims claims;
  const Subject* last = nullptr;
  for (std::size_t i = 0; i < state.statements.size(); ++i) {
    Statement make = state.statements[i];
    make.sign = Sign::kAdd;
    const Site site = index.site(make.subject);
    const Step step{make, site, site.instance != nullptr && (last == nullptr || *last != make.subject)};
    if ((row(make.word).needs & ~site.words()) != 0) {
      return at(state, i, {Rule::kInvariant, 0, 0, {}, "something that it needs does not stand", "remove it, or make what it needs"});
    }
    if (auto claimed = claims.claim(step); !claimed) return at(state, i, std::move(claimed.error()));
    if (auto holds = verify_invariants(step, rules); !holds) return at(state, i, std::move(holds.error()));
    last = &state.statements[i].subject;
  }
  return {};
}

Checked<VerifiedPlan> verify(Document plan, const Against& against) {
  if (auto fit = verify_surroundings(plan, against); !fit) return std::unexpected(std::move(fit.error()));
  Walk walk(plan, against);
  if (auto claimed = walk.claim_what_stands(against.state); !claimed) {
    claimed.error().why.insert(0, "the state of the host contradicts itself: ");
    return std::unexpected(std::move(claimed.error()));
  }
  for (std::size_t i = 0; i < plan.statements.size(); ++i) {
    if (auto taken = walk.take(plan.statements[i]); !taken) return at(plan, i, std::move(taken.error()));
  }
  if (auto room = has_room(walk.index().lines()); !room) return std::unexpected(std::move(room.error()));
  Document after{Kind::kState, against.state.header, walk.index().statements()};
  after.header.generation = plan.header.generation;
  after.header.desired = plan.header.desired;
  after.header.has_desired = plan.header.has_desired;
  if (auto text = stays_a_text(after); !text) return std::unexpected(std::move(text.error()));
  return VerifiedPlan(std::move(plan), std::move(after));
}

}  // namespace mvm::lang
