// The second verifier: docs/language.md, "What is verified", written once more, from that page alone. Slow and obvious: it
// keeps a plain list of statements, and after every statement asks every clause of the page again, from scratch. Each clause is
// one entry: the sentence that it stands for, word for word (reference_clauses_test.cc looks for it on the page), and a function that says
// whether it holds. verify() is compared with it in reference_test.cc and fuzz/verify_fuzz.cc; it shares with verify() the
// types, the table and print(), and none of its code. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"
#include "policy-lang/verify.h"

namespace mvm::lang::reference {

using Statements = std::vector<Statement>;

// What a clause may look at. Of the plan as a whole, only plan and against are set.
struct Moment {
  const Document& plan;
  const Against& against;
  const Statement* said = nullptr;  // a statement of the plan, or a line of the projection
  Statements before = {};           // what stands before it; of a projection, its lines above
  Statements after = {};            // what stands after it; of a projection, with this line
};

struct Clause {
  Rule rule;
  std::string_view sentence;  // of docs/language.md
  bool (*holds)(const Moment& moment);
  std::uint32_t line = 0;  // of V6: the header's line that does not agree
};

struct Verdict {
  const Clause* refused_by = nullptr;  // the first clause that does not hold; null: accepted
  std::uint32_t line = 0;
  Document after = {};  // where accepted: the state that the plan leads to
};

[[nodiscard]] Verdict verify(const Document& plan, const Against& against);
// "the policy by itself, the projection by itself".
[[nodiscard]] Verdict verify_policy(const Moment& moment);
[[nodiscard]] Verdict verify_projection(Moment moment);
// V2 to V5 of one statement after what stands in moment.after, which is then what stands after it. The first clause that does
// not hold, or null.
[[nodiscard]] const Clause* verify_statement(const Statement& said, Moment& moment);

// The clauses by the rule that they belong to, in the order in which they are asked.
[[nodiscard]] std::span<const Clause> policy_by_itself();
[[nodiscard]] std::span<const Clause> projection_by_itself();  // after each of its lines
[[nodiscard]] std::span<const Clause> freshness();
[[nodiscard]] std::span<const Clause> standing_state();
[[nodiscard]] std::span<const Clause> order();       // before each statement of the plan
[[nodiscard]] std::span<const Clause> invariants();  // after it, as are the next two
[[nodiscard]] std::span<const Clause> node_policy();
[[nodiscard]] std::span<const Clause> authority();
[[nodiscard]] std::span<const Clause> state_led_to();
[[nodiscard]] std::vector<const Clause*> all_clauses();

// The first of `clauses` that does not hold, or null.
[[nodiscard]] const Clause* first_broken(std::span<const Clause> clauses, const Moment& moment);
// What stands once `said` is carried out on `before`: added, taken away, or moved.
[[nodiscard]] Statements carried_out(const Statements& before, const Statement& said);
// As it stands in a state: without its sign.
[[nodiscard]] Statement standing(Statement statement);

// Two lines that may not both stand: net ids, subnets, slots or ids clash.
[[nodiscard]] bool clash(const Statement& one, const Statement& other);

// ---- looking things up, for the clauses

// The statement with that word about that subject, or null.
[[nodiscard]] const Statement* find(const Statements& list, Word word, const Subject& subject);
template <class Thing, class Wanted>
[[nodiscard]] std::uint64_t count(const std::vector<Thing>& list, Wanted wanted) {
  return static_cast<std::uint64_t>(std::ranges::count_if(list, wanted));
}
// The sum of that field over the statements of `word` for which `wanted` holds.
template <class Wanted>
[[nodiscard]] std::uint64_t sum(const Statements& list, Word word, std::string_view field, Wanted wanted) {
  std::uint64_t total = 0;
  for (const Statement& s : list) {
    if (s.word == word && wanted(s)) total += s.number(field);
  }
  return total;
}
[[nodiscard]] bool of_instance(const Statement& statement);
[[nodiscard]] bool same_pool(const Statement& statement, const Subject& subject);
// The subjects of all instances that have any line, each once.
[[nodiscard]] std::vector<Subject> living(const Statements& list);
[[nodiscard]] bool makes(const Moment& moment, Word word);     // `+ word`
[[nodiscard]] bool removes(const Moment& moment, Word word);   // `- word`
[[nodiscard]] bool moves(const Moment& moment, Word word, std::uint64_t from, std::uint64_t to);  // `~ word from>to`
[[nodiscard]] Subnet subnet_of(const Statement& statement);    // its field `subnet`
// The one line of that word of the policy; there is one, or the policy by itself is refused.
[[nodiscard]] const Statement& policy_line(const Moment& moment, Word word);
// The projection's line about the tenant or the pool of what is said, or null.
[[nodiscard]] const Statement* wanted_tenant(const Moment& moment);
[[nodiscard]] const Statement* wanted_pool(const Moment& moment);

}  // namespace mvm::lang::reference
