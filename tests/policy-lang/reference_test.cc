// verify() and the second verifier say the same of every case: accepted, and led to the same state, or refused by the same rule
// on the same line. And the cases are worth it: every clause of docs/language.md is the one that refuses, again and again.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <utility>

#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "tests/policy-lang/generate.h"
#include "tests/policy-lang/reference_verifier.h"

namespace mvm::lang {
namespace {

using reference::Clause;
using test::Case;

constexpr std::uint64_t kCases = 12'000;
constexpr std::uint64_t kNearMisses = 5;  // of each case
// Of refusals, far below what any seed gave.
constexpr std::array<std::pair<Rule, std::uint64_t>, 6> kFloors = {{{Rule::kForm, 50}, {Rule::kOrder, 5000}, {Rule::kInvariant, 500},
                                                                    {Rule::kPolicy, 500}, {Rule::kAuthority, 5000}, {Rule::kFreshness, 1000}}};
constexpr std::size_t kMostClausesNeverBroken = 8;  // four are limits that no small world reaches; of 20 seeds none left more than two others

std::string told(const Checked<VerifiedPlan>& verdict) {
  if (verdict) return "accepted";
  return std::string(to_string(verdict.error().rule)) + ", line " + std::to_string(verdict.error().line);
}
std::string told(const reference::Verdict& verdict) {
  if (verdict.refused_by == nullptr) return "accepted";
  return std::string(to_string(verdict.refused_by->rule)) + ", line " + std::to_string(verdict.line);
}

bool agree(const Case& one) { return told(verify(one.plan, one.against())) == told(reference::verify(one.plan, one.against())); }

// Leaves out of `document` what can be left out without making the two agree.
void leave_out_lines(Case& one, Document& document, bool is_state) {
  for (std::size_t i = document.statements.size(); i-- > 0;) {
    const Document before = document, plan = one.plan;
    document.statements.erase(document.statements.begin() + static_cast<std::ptrdiff_t>(i));
    if (is_state && one.plan.header.base == text_digest(before)) one.plan.header.base = text_digest(document);
    if (!agree(one)) continue;
    document = before;
    one.plan.header = plan.header;
  }
}

std::string smallest(Case one) {
  leave_out_lines(one, one.plan, false);
  leave_out_lines(one, one.state, true);
  const auto verdict = verify(one.plan, one.against());
  const auto second = reference::verify(one.plan, one.against());
  return "verify(): " + (verdict ? std::string("accepted") : verdict.error().message()) + "\nthe second verifier: " + told(second) +
         (second.refused_by != nullptr ? ": " + std::string(second.refused_by->sentence) : "") + "\n" + one.text();
}

struct Tally {
  std::uint64_t accepted = 0, statements = 0;
  std::map<Rule, std::uint64_t> by_rule;
  std::map<const Clause*, std::uint64_t> by_clause;
};

void compare(const Case& one, Tally& tally) {
  for (const Document* text : {&one.world.policy, &one.world.projection, &one.state, &one.plan}) {
    const auto parsed = parse(text->kind, print(*text));
    ASSERT_TRUE(parsed) << "no such text can come: " << parsed.error().message() << "\n" << print(*text);
    ASSERT_EQ(*parsed, *text);
  }
  const auto verdict = verify(one.plan, one.against());
  const auto second = reference::verify(one.plan, one.against());
  ASSERT_EQ(told(verdict), told(second)) << smallest(one);
  if (second.refused_by != nullptr) {
    ++tally.by_rule[second.refused_by->rule];
    ++tally.by_clause[second.refused_by];
    return;
  }
  ASSERT_EQ(verdict->after(), second.after) << one.text();
  ++tally.accepted;
  tally.statements += one.plan.statements.size();
}

// The accepted plans are many and long, each rule refuses often, and nearly each clause is somewhere the first that does not hold.
// Never here: the bounds of a thousand taps and of a text's size, which verify_invariants_test.cc tests to the byte.
void expect_worth_it(const Tally& tally) {
  std::printf("accepted %llu plans of %llu statements\n", static_cast<unsigned long long>(tally.accepted), static_cast<unsigned long long>(tally.statements));
  EXPECT_GT(tally.accepted, kCases) << "too few plans were accepted to mean anything";
  EXPECT_GT(tally.statements, 3 * tally.accepted) << "the accepted plans were too short to mean anything";
  for (const auto& [rule, floor] : kFloors) {
    const auto times = tally.by_rule.contains(rule) ? tally.by_rule.at(rule) : 0;
    EXPECT_GT(times, floor) << to_string(rule) << " was too seldom the reason";
  }
  std::size_t never = 0;
  for (const Clause* clause : reference::all_clauses()) {
    const std::uint64_t times = tally.by_clause.contains(clause) ? tally.by_clause.at(clause) : 0;
    never += times == 0;
    std::printf("%6llu %s: %s\n", static_cast<unsigned long long>(times), std::string(to_string(clause->rule)).c_str(), std::string(clause->sentence).c_str());
  }
  EXPECT_LE(never, kMostClausesNeverBroken) << "too many clauses were never the reason";
}

TEST(SecondVerifier, AgreesWithTheFirstOnEveryCase) {
  const std::uint64_t seed = test::test_seed();
  Tally tally;
  for (std::uint64_t i = 0; i < kCases; ++i) {
    SCOPED_TRACE("MVM_TEST_SEED=" + std::to_string(seed + i) + " makes it the first case");
    test::Random random(seed + i);
    const Case one = test::random_case(random);
    ASSERT_NO_FATAL_FAILURE(compare(one, tally));
    for (std::uint64_t n = 0; n < kNearMisses; ++n) {
      Case near_miss = one;
      test::mutate(near_miss, random);
      ASSERT_NO_FATAL_FAILURE(compare(near_miss, tally));
    }
  }
  expect_worth_it(tally);
}

}  // namespace
}  // namespace mvm::lang
