// Plans: walks of statements, and differences of states.
#include <algorithm>
#include <optional>

#include "policy-lang/diff.h"
#include "policy-lang/print.h"
#include "tests/policy-lang/generate_lines.h"

namespace mvm::lang::test {
namespace {

using reference::Statements;
using reference::find;

// What could be said of the subject next: of each word the removal of what exists, or the line that would be right.
std::vector<Statement> candidates(const World& world, const Statements& now, const Subject& subject, Random& random) {
  std::vector<Statement> all;
  for (const Row& each : table()) {
    if (each.word < kFirstPrimitive || each.subject != subject.kind) continue;
    const Statement* there = find(now, each.word, subject);
    if (!each.moves.empty()) {
      const Statement* moved = find(now, moved_word(each), subject);
      const std::uint64_t state = moved != nullptr ? moved->number(each.moves) : below(2, random);
      const bool key = moved_field(each).kind == FieldKind::kKeyOrNone;
      Statement move = line(each.word, subject, {key ? std::max<std::uint64_t>(state, 1) : state, key ? 1 + below(3, random) : 1 - state});
      move.sign = Sign::kMove;
      all.push_back(move);
    }
    if (!has_sign(each.signs, Sign::kAdd)) continue;
    Statement s = there != nullptr ? *there : right_line(world, now, each.word, subject, random);
    s.sign = there != nullptr ? Sign::kRemove : Sign::kAdd;
    all.push_back(s);
  }
  return all;
}

enum class Goal : std::uint8_t { kUp, kDown, kSleep, kAnything };

// How early a statement is tried on the way to the goal: smaller first.
int rank(const Statement& s, Goal goal, Random& random) {
  const int place = static_cast<int>(s.word);
  if (goal == Goal::kAnything || chance(4, random)) return static_cast<int>(below(100, random)) - 50;
  const bool sleeps = s.sign == Sign::kMove ? s.numbers[1] == 1 : s.word == Word::kSnapshot && s.sign == Sign::kAdd;
  if (goal == Goal::kSleep && sleeps) return -100 + place;
  if (goal == Goal::kUp) return s.sign == Sign::kAdd && s.word != Word::kSnapshot ? place : s.sign == Sign::kMove && s.numbers[1] == 0 ? 40 : 100;
  return s.sign == Sign::kRemove && s.word != Word::kVolume ? -place : 100;
}

Subject any_subject(const World& world, const Statements& now, Random& random) {
  const auto living = reference::living(now);
  if (!living.empty() && chance(60, random)) return any_of(living, random);
  const Subject pool = any_of(pools_of(world, random), random);
  return instance_subject(pool.tenant, pool.pool, InstanceId{static_cast<std::uint32_t>(0x10 + below(12, random))});
}

// The next statement on the way, and carried out; nothing where no candidate is allowed.
std::optional<Statement> next_statement(const World& world, reference::Moment& host, const Subject& subject, Goal goal, Random& random) {
  auto all = candidates(world, host.after, subject, random);
  std::vector<std::pair<int, std::size_t>> order;
  for (std::size_t i = 0; i < all.size(); ++i) order.emplace_back(rank(all[i], goal, random), i);
  std::ranges::sort(order);
  for (const auto& [rank_of, i] : order) {
    if (rank_of >= 100) break;
    Statement s = all[i];
    if (chance(2, random) && s.sign == Sign::kAdd) perturb(s, random);
    reference::Moment trial = host;
    const bool allowed = reference::verify_statement(s, trial) == nullptr;
    if (!allowed && !chance(2, random)) continue;
    if (allowed) host.after = trial.after;
    return s;
  }
  return std::nullopt;
}

}  // namespace

Document random_plan(const World& world, const Document& state, Random& random) {
  Document plan;
  const Against against{state, world.projection, world.policy};
  reference::Moment host{.plan = plan, .against = against, .after = state.statements};
  for (std::uint64_t instances = 1 + below(3, random); instances > 0; --instances) {
    const Subject subject = any_subject(world, host.after, random);
    const auto goal = static_cast<Goal>(below(4, random));
    const Subject tenant = tenant_subject(subject.tenant);
    for (std::uint64_t n = below(3, random); n > 0; --n) {
      if (const auto s = next_statement(world, host, tenant, goal == Goal::kDown ? Goal::kAnything : Goal::kUp, random)) plan.statements.push_back(*s);
    }
    if (chance(25, random)) {
      if (const auto s = next_statement(world, host, pool_subject(subject.tenant, subject.pool), Goal::kAnything, random)) plan.statements.push_back(*s);
    }
    for (std::uint64_t n = 1 + below(12, random); n > 0; --n) {
      const auto s = next_statement(world, host, subject, goal, random);
      if (!s) break;
      plan.statements.push_back(*s);
    }
  }
  set_headers(world, state, plan);
  return plan;
}

std::string Case::text() const { return print(world.policy) + print(world.projection) + print(state) + print(plan); }

namespace {

Case case_from(States states, Random& random) {
  Case one;
  one.world = random_world(random);
  one.state = random_state(one.world, states, random);
  if (chance(30, random)) {
    for (int tries = 0; tries < 4 && one.plan.statements.empty(); ++tries) {  // most pairs of states that have a base have no order
      if (auto plan = diff(one.state, random_state(one.world, States::kReachable, random))) one.plan = std::move(*plan);
    }
    set_headers(one.world, one.state, one.plan);
  }
  if (one.plan.statements.empty()) one.plan = random_plan(one.world, one.state, random);
  return one;
}

}  // namespace

Case random_case(Random& random) { return case_from(chance(70, random) ? States::kReachable : States::kAny, random); }
Case reachable_case(Random& random) { return case_from(States::kReachable, random); }

}  // namespace mvm::lang::test
