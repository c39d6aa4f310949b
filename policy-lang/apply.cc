// What a plan does to a state, and what undoes it.
#include <algorithm>

#include "policy-lang/diff.h"
#include "policy-lang/print.h"
#include "policy-lang/state_index.h"
#include "policy-lang/verify_rules.h"

namespace mvm::lang {
namespace {

Checked<void> move(StateIndex& index, const Site& site, const Statement& statement) {
  const Row& what = row(statement.word);
  const Word word = moved_word(what);
  if (site.instance == nullptr || !site.lines().has(word)) {
    return refuse(Rule::kOrder, say("there is no ", row(word).name, " to move"), say("make the ", row(word).name, " first"));
  }
  const std::uint64_t now = StateIndex::moved(*site.instance, statement.word);
  if (now != statement.numbers[0]) {
    const auto words = moved_field(what).words;
    const std::string name = words.empty() ? std::to_string(now) : std::string(words[now]);
    return refuse(Rule::kOrder, say("it is ", name), say("move it from ", name));
  }
  index.move(site, statement.word, statement.numbers[1]);
  return {};
}

Checked<void> carry_out(StateIndex& index, const Statement& statement) {
  const Site site = index.site(statement.subject);
  if (statement.sign == Sign::kMove) return move(index, site, statement);
  const bool stands = site.lines().has(statement.word);
  if (statement.sign == Sign::kAdd) {
    if (stands) return refuse(Rule::kOrder, "it exists", "remove it first");
    index.put(site, statement);
    return {};
  }
  if (!stands || StateIndex::line(site, statement.word) != as_line(statement)) {
    return refuse(Rule::kOrder, "there is no such line to remove", "write the line as it is in the state");
  }
  index.drop(site, statement.word);
  return {};
}

Statement inverse(Statement statement) {
  if (statement.sign == Sign::kMove) {
    std::swap(statement.numbers[0], statement.numbers[1]);
  } else {
    statement.sign = statement.sign == Sign::kAdd ? Sign::kRemove : Sign::kAdd;
  }
  return statement;
}

}  // namespace

Checked<Document> apply(const Document& state, const Document& plan) {
  StateIndex index(state, plan.statements);
  for (std::size_t i = 0; i < plan.statements.size(); ++i) {
    if (auto done = carry_out(index, plan.statements[i]); !done) return at(plan, i, std::move(done.error()));
  }
  Document after{Kind::kState, state.header, index.statements()};
  after.header.generation = plan.header.generation;
  after.header.desired = plan.header.desired;
  after.header.has_desired = plan.header.has_desired;
  return after;
}

std::vector<Statement> inverse(const std::vector<Statement>& statements) {
  std::vector<Statement> inverted;
  inverted.reserve(statements.size());
  for (auto statement = statements.rbegin(); statement != statements.rend(); ++statement) inverted.push_back(inverse(*statement));
  return inverted;
}

}  // namespace mvm::lang
