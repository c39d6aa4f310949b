// The laws of the language, over generated states and plans.
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "policy-lang/diff.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "policy-lang/state_index.h"
#include "policy-lang/verify.h"
#include "tests/policy-lang/generate.h"
#include "tests/policy-lang/generate_lines.h"
#include "tests/policy-lang/orders.h"
#include "tests/policy-lang/reference_verifier.h"
#include "tests/policy-lang/run_model.h"

namespace mvm::lang {
namespace {

using test::Case;

constexpr std::uint64_t kCases = 10'000;

template <class Law>
void for_all_cases(Law law) {
  const std::uint64_t seed = test::test_seed();
  for (std::uint64_t i = 0; i < kCases; ++i) {
    test::Random random(seed + i);
    SCOPED_TRACE("MVM_TEST_SEED=" + std::to_string(seed + i) + " makes this case the first");
    law(random);
    if (testing::Test::HasFatalFailure()) return;
  }
}

Document part(const Document& plan, std::vector<Statement> statements) {
  Document some = plan;
  some.statements = std::move(statements);
  return some;
}

// What diff() does not try of a base: it is a copy of a snapshot that `from` has, no diff stands on one that goes for another, and none on one that goes.
bool no_base_so(const Document& from, const Document& to, const Subject& pool) {
  const Statement *before = find_line(from, pool, Word::kBase), *after = find_line(to, pool, Word::kBase);
  const auto has = [&](const Document& state, auto&& wanted) {
    return std::ranges::any_of(state.statements, [&](const Statement& s) { return s.word == Word::kSnapshot && reference::same_pool(s, pool) && wanted(s); });
  };
  if (after == nullptr) return has(to, is_diff);
  if (before != nullptr && has(from, is_diff)) return true;
  return !has(from, [&](const Statement& s) { return !is_diff(s) && snapshot_digest(s) == base_view(*after).snapshot && s.number("key") == after->number("key") && s.key_tenant == after->key_tenant; });
}

bool has_no_order(const Document& from, const Document& to, const Subject& subject) {
  return subject.kind == SubjectKind::kPool ? no_base_so(from, to, subject) : !test::an_order_exists(from, to, subject);
}

TEST(Laws, DiffLeadsFromAnyStateToAnyOtherInOrderUnlessThereIsNone) {
  std::uint64_t led = 0, none = 0;
  for_all_cases([&](test::Random& random) {
    const test::World world = test::random_world(random);
    const Document from = test::random_state(world, test::States::kAny, random);
    Document to = test::random_state(world, test::States::kAny, random);
    to.header.generation = world.projection.header.generation;
    to.header.has_desired = true;
    to.header.desired = text_digest(world.projection);
    const auto plan = diff(from, to);
    if (!plan) {
      const NoOrder& no = plan.error();
      ASSERT_TRUE(has_no_order(from, to, no.subject)) << no.refusal.message() << "\n" << print(from) << print(to);
      ++none;
      return;
    }
    ASSERT_EQ(plan->header.base, text_digest(from));
    ASSERT_EQ(test::refused_by_order(from, *plan), "") << print(from) << print(to) << print(*plan);
    const auto there = apply(from, *plan);
    ASSERT_TRUE(there) << there.error().message() << "\n" << print(from) << print(to) << print(*plan);
    ASSERT_EQ(*there, to) << print(from) << print(to) << print(*plan);
    ++led;
  });
  EXPECT_GT(led, kCases / 20);
  EXPECT_GT(none, kCases / 20);
}

TEST(Laws, DiffOfAStateWithItselfIsEmpty) {
  for_all_cases([](test::Random& random) {
    const Document state = test::random_state(test::random_world(random), test::States::kAny, random);
    const auto plan = diff(state, state);
    ASSERT_TRUE(plan) << plan.error().refusal.message() << print(state);
    ASSERT_TRUE(plan->statements.empty()) << print(state);
  });
}

TEST(Laws, APrefixOfAVerifiedPlanAndItsInverseGiveBackTheStateBefore) {
  std::uint64_t prefixes = 0;
  for_all_cases([&](test::Random& random) {
    const Case one = test::random_case(random);
    if (!verify(one.plan, one.against())) return;
    for (std::size_t length = 0; length <= one.plan.statements.size(); ++length) {
      const std::vector<Statement> prefix(one.plan.statements.begin(), one.plan.statements.begin() + static_cast<std::ptrdiff_t>(length));
      const auto there = apply(one.state, part(one.plan, prefix));
      ASSERT_TRUE(there) << one.text();
      const auto back = apply(*there, part(one.plan, inverse(prefix)));
      ASSERT_TRUE(back) << back.error().message() << one.text();
      ASSERT_EQ(back->statements, one.state.statements) << one.text();
      ++prefixes;
    }
  });
  EXPECT_GT(prefixes, kCases);
}

TEST(Laws, ParseAndPrintAreInverses) {
  for_all_cases([](test::Random& random) {
    const Case one = test::random_case(random);
    for (const Document* text : {&one.world.policy, &one.world.projection, &one.state, &one.plan}) {
      const std::string printed = print(*text);
      const auto parsed = parse(text->kind, printed);
      ASSERT_TRUE(parsed) << parsed.error().message() << "\n" << printed;
      ASSERT_EQ(*parsed, *text) << printed;
      ASSERT_EQ(print(*parsed), printed);
    }
  });
}

TEST(Laws, AVerifiedPlanLeadsWhereItLeadsWhenApplied) {
  std::uint64_t verified = 0;
  for_all_cases([&](test::Random& random) {
    const Case one = test::random_case(random);
    const auto verdict = verify(one.plan, one.against());
    if (!verdict) return;
    const auto there = apply(one.state, one.plan);
    ASSERT_TRUE(there) << there.error().message() << "\n" << one.text();
    ASSERT_EQ(*there, verdict->after()) << one.text();
    ++verified;
  });
  EXPECT_GT(verified, kCases / 4);
}

TEST(Laws, APlanThatVerifiesDoesNotFailWhenItRuns) {
  std::uint64_t run = 0;
  for_all_cases([&](test::Random& random) {
    const Case one = test::reachable_case(random);
    if (!verify(one.plan, one.against())) return;
    test::RunModel host(one.world.policy);
    ASSERT_EQ(host.stand(one.state), "") << print(one.state);
    for (const Statement& s : one.plan.statements) ASSERT_EQ(host.run(s), "") << print(s) << "\n" << one.text();
    run += one.plan.statements.size();
  });
  EXPECT_GT(run, kCases);
}

TEST(Laws, StatementsOfDifferentInstancesCommute) {
  std::uint64_t swapped = 0;
  for_all_cases([&](test::Random& random) {
    const Case one = test::random_case(random);
    const auto there = apply(one.state, one.plan);
    if (!there) return;
    for (std::size_t i = 1; i < one.plan.statements.size(); ++i) {
      const Subject &left = one.plan.statements[i - 1].subject, &right = one.plan.statements[i].subject;
      if (left == right || left.kind != SubjectKind::kInstance || right.kind != SubjectKind::kInstance) continue;
      Document other = one.plan;
      std::swap(other.statements[i - 1], other.statements[i]);
      const auto also_there = apply(one.state, other);
      ASSERT_TRUE(also_there && *also_there == *there) << one.text();
      ++swapped;
    }
  });
  EXPECT_GT(swapped, kCases / 20);
}

TEST(Laws, EveryPrefixOfAVerifiedPlanLeavesAStateThatClashesNowhere) {
  for_all_cases([](test::Random& random) {
    const Case one = test::random_case(random);
    if (!verify(one.plan, one.against())) return;
    for (std::size_t length = 0; length <= one.plan.statements.size(); ++length) {
      const std::vector<Statement> prefix(one.plan.statements.begin(), one.plan.statements.begin() + static_cast<std::ptrdiff_t>(length));
      const auto there = apply(one.state, part(one.plan, prefix));
      ASSERT_TRUE(there);
      // An empty plan from there is refused only for what the state is.
      Document nothing = part(one.plan, {});
      nothing.header.base = text_digest(*there);
      const auto second = reference::verify(nothing, {*there, one.world.projection, one.world.policy});
      ASSERT_EQ(second.refused_by, nullptr) << second.refused_by->sentence << "\n" << one.text();
    }
  });
}

// Does the plan make of the subject or its tenant what `to` does not have, or remove what `from` does not, or either twice?
bool goes_by_way_of_others(const Document& from, const Document& to, const Document& plan, const Subject& subject) {
  const auto thing = [](Statement s) {
    s.sign = Sign::kNone;
    if (s.word == Word::kJail) test::put(s, "state", kRunning), test::put(s, "guest", kAwake);
    return s;
  };
  std::set<std::pair<Sign, Word>> said;
  for (const Statement& s : plan.statements) {
    if (s.sign == Sign::kMove || (s.subject != subject && s.subject != tenant_subject(subject.tenant))) continue;
    const Statement* line = reference::find((s.sign == Sign::kAdd ? to : from).statements, s.word, s.subject);
    if (line == nullptr || thing(*line) != thing(s) || !said.emplace(s.sign, s.word).second) return true;
  }
  return false;
}

TEST(Laws, DiffFindsAnOrderWhereAVerifiedPlanFoundOne) {
  std::uint64_t found = 0;
  for_all_cases([&](test::Random& random) {
    const Case one = test::reachable_case(random);
    const auto verified = verify(one.plan, one.against());
    if (!verified) return;
    const auto plan = diff(one.state, verified->after());
    if (!plan) {
      const NoOrder& no = plan.error();
      ASSERT_TRUE(has_no_order(one.state, verified->after(), no.subject)) << no.refusal.message() << "\n" << one.text();
      if (no.subject.kind == SubjectKind::kPool) return;
      ASSERT_TRUE(goes_by_way_of_others(one.state, verified->after(), one.plan, no.subject)) << no.refusal.message() << "\n" << one.text();
      return;
    }
    const auto again = verify(*plan, one.against());
    found += again.has_value();
    if (again) return;
    ASSERT_NE(again.error().rule, Rule::kOrder) << again.error().message() << "\n" << one.text() << print(*plan);
    ASSERT_NE(again.error().rule, Rule::kInvariant) << again.error().message() << "\n" << one.text() << print(*plan);
  });
  EXPECT_GT(found, kCases / 4);
}

TEST(Laws, VerifyingChangesNothingAndSaysTheSameTwice) {
  for_all_cases([](test::Random& random) {
    Case one = test::random_case(random);
    test::mutate(one, random);
    const Case before = one;
    const auto first = verify(one.plan, one.against()), second = verify(one.plan, one.against());
    ASSERT_EQ(first.has_value(), second.has_value());
    if (!first) {
      ASSERT_EQ(first.error().message(), second.error().message());
      ASSERT_FALSE(first.error().why.empty() || first.error().remedy.empty()) << first.error().message();
    }
    ASSERT_EQ(one.state, before.state);
  });
}

}  // namespace
}  // namespace mvm::lang
