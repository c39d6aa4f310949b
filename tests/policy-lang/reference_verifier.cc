#include "tests/policy-lang/reference_verifier.h"

namespace mvm::lang::reference {
namespace {

constexpr std::uint32_t kFirstLineOfProjection = 4;
constexpr std::uint32_t kFirstLineOfPlan = 6;

}  // namespace

const Clause* first_broken(std::span<const Clause> clauses, const Moment& moment) {
  for (const Clause& clause : clauses) {
    if (!clause.holds(moment)) return &clause;
  }
  return nullptr;
}

Statement standing(Statement statement) {
  statement.sign = Sign::kNone;
  return statement;
}

Statements carried_out(const Statements& before, const Statement& said) {
  Statements after = before;
  switch (said.sign) {
    case Sign::kAdd: after.push_back(standing(said)); break;
    case Sign::kRemove: std::erase(after, standing(said)); break;
    default:
      for (Statement& s : after) {
        if (s.word != (said.word == Word::kVolume ? Word::kVolume : Word::kJail) || s.subject != said.subject) continue;
        const std::string_view field = said.word == Word::kVolume ? "key" : said.word == Word::kJail ? "state" : "guest";
        s.numbers[field_index(s.word, field)] = said.numbers[1];
      }
  }
  return after;
}

Verdict verify_policy(const Moment& moment) { return {first_broken(policy_by_itself(), moment), 0}; }

// After each of its lines, of the lines so far.
Verdict verify_projection(Moment moment) {
  const Statements& lines = moment.against.projection.statements;
  moment.after.clear();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    moment.said = &lines[i];
    moment.before = moment.after;
    moment.after.push_back(lines[i]);
    if (const Clause* broken = first_broken(projection_by_itself(), moment)) {
      return {broken, kFirstLineOfProjection + static_cast<std::uint32_t>(i)};
    }
  }
  return {};
}

const Clause* verify_statement(const Statement& said, Moment& moment) {
  moment.said = &said;
  moment.before = moment.after;
  if (const Clause* broken = first_broken(order(), moment)) return broken;
  moment.after = carried_out(moment.before, said);
  for (const auto clauses : {invariants(), node_policy(), authority()}) {
    if (const Clause* broken = first_broken(clauses, moment)) return broken;
  }
  return nullptr;
}

// "Rules are checked in the order V1; the policy by itself, the projection by itself (below); V6; then for each statement, in
// order, V2, V3, V4, V5; then the state that the plan leads to."
Verdict verify(const Document& plan, const Against& against) {
  Moment moment{plan, against};
  if (const Verdict verdict = verify_policy(moment); verdict.refused_by != nullptr) return verdict;
  if (const Verdict verdict = verify_projection(moment); verdict.refused_by != nullptr) return verdict;
  if (const Clause* broken = first_broken(freshness(), moment)) return {broken, broken->line};
  moment.after = against.state.statements;
  if (const Clause* broken = first_broken(standing_state(), moment)) return {broken, 0};
  for (std::size_t i = 0; i < plan.statements.size(); ++i) {
    const Clause* broken = verify_statement(plan.statements[i], moment);
    if (broken != nullptr) return {broken, kFirstLineOfPlan + static_cast<std::uint32_t>(i)};
  }
  if (const Clause* broken = first_broken(state_led_to(), moment)) return {broken, 0};

  Verdict accepted;
  accepted.after = against.state;
  accepted.after.header.generation = plan.header.generation;
  accepted.after.header.has_desired = true;
  accepted.after.header.desired = plan.header.desired;
  accepted.after.statements = moment.after;
  std::ranges::sort(accepted.after.statements, canonical_less);
  return accepted;
}

std::vector<const Clause*> all_clauses() {
  std::vector<const Clause*> all;
  for (const auto clauses : {policy_by_itself(), projection_by_itself(), freshness(), standing_state(), order(), invariants(),
                             node_policy(), authority(), state_led_to()}) {
    for (const Clause& clause : clauses) all.push_back(&clause);
  }
  return all;
}

// ---- looking things up

const Statement* find(const Statements& list, Word word, const Subject& subject) {
  const auto found = std::ranges::find_if(list, [&](const Statement& s) { return s.word == word && s.subject == subject; });
  return found == list.end() ? nullptr : &*found;
}

bool of_instance(const Statement& statement) { return statement.subject.kind == SubjectKind::kInstance; }

bool same_pool(const Statement& statement, const Subject& subject) {
  return statement.subject.tenant == subject.tenant && statement.subject.pool == subject.pool;
}

std::vector<Subject> living(const Statements& list) {
  std::vector<Subject> subjects;
  for (const Statement& s : list) {
    if (of_instance(s) && std::ranges::find(subjects, s.subject) == subjects.end()) subjects.push_back(s.subject);
  }
  return subjects;
}

bool makes(const Moment& moment, Word word) { return moment.said->sign == Sign::kAdd && moment.said->word == word; }
bool removes(const Moment& moment, Word word) { return moment.said->sign == Sign::kRemove && moment.said->word == word; }
bool moves(const Moment& moment, Word word, std::uint64_t from, std::uint64_t to) {
  const Statement& said = *moment.said;
  return said.sign == Sign::kMove && said.word == word && said.numbers[0] == from && said.numbers[1] == to;
}

Subnet subnet_of(const Statement& statement) { return Subnet::unpack(statement.number("subnet")); }

const Statement& policy_line(const Moment& moment, Word word) {
  return *find(moment.against.policy.statements, word, Subject{});
}

const Statement* wanted_tenant(const Moment& moment) {
  return find(moment.against.projection.statements, Word::kTenant, tenant_subject(moment.said->subject.tenant));
}

const Statement* wanted_pool(const Moment& moment) {
  const Subject& subject = moment.said->subject;
  return find(moment.against.projection.statements, Word::kPool, pool_subject(subject.tenant, subject.pool));
}

}  // namespace mvm::lang::reference
