// The laws of the language, over generated states and plans.
#include <gtest/gtest.h>

#include "policy-lang/diff.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"
#include "tests/policy-lang/generate.h"
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

TEST(Laws, DiffLeadsFromAnyStateToAnyOther) {
  for_all_cases([](test::Random& random) {
    const test::World world = test::random_world(random);
    const Document from = test::random_state(world, test::States::kAny, random);
    Document to = test::random_state(world, test::States::kAny, random);
    to.header.generation = world.projection.header.generation;
    to.header.has_desired = true;
    to.header.desired = text_digest(world.projection);
    const Document plan = diff(from, to);
    ASSERT_EQ(plan.header.base, text_digest(from));
    const auto there = apply(from, plan);
    ASSERT_TRUE(there) << there.error().message() << "\n" << print(from) << print(to) << print(plan);
    ASSERT_EQ(*there, to) << print(from) << print(to) << print(plan);
  });
}

TEST(Laws, DiffOfAStateWithItselfIsEmpty) {
  for_all_cases([](test::Random& random) {
    const Document state = test::random_state(test::random_world(random), test::States::kAny, random);
    ASSERT_TRUE(diff(state, state).statements.empty()) << print(state);
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

// Can the way between the states be told from them? Not where a snapshot there was taken of a jail that came and went, or a
// jail there boots from a snapshot that did.
bool shows_on_the_states(const Document& from, const Document& to) {
  const auto before = [&](Word word, const Subject& subject) { return reference::find(from.statements, word, subject); };
  for (const Statement& s : to.statements) {
    if (s.word == Word::kSnapshot) {
      const Statement *same = before(Word::kSnapshot, s.subject), *jail = before(Word::kJail, s.subject), *tap = before(Word::kTap, s.subject);
      const bool taken_of_it = jail != nullptr && tap != nullptr && tap->number("slot") == s.number("slot");
      if ((same == nullptr || *same != s) && !taken_of_it) return false;
      // The jail that was booted from it is gone, so it was consumed, and another was taken that happens to be written alike.
      const Statement* jail_after = reference::find(to.statements, Word::kJail, s.subject);
      const bool jail_gone = jail != nullptr && (jail_after == nullptr || jail_view(*jail_after).boot_digest != jail_view(*jail).boot_digest);
      if (same != nullptr && *same == s && jail_gone) return false;
    }
    if (s.word == Word::kJail && s.number("boot") == kBootSnapshot) {
      // Woken, and asleep or on the way to it again: which of the snapshots came when, the states do not say.
      if (reference::find(to.statements, Word::kSnapshot, s.subject) != nullptr) return false;
      const Statement *snapshot = before(Word::kSnapshot, s.subject), *jail = before(Word::kJail, s.subject);
      const Digest booted = jail_view(s).boot_digest;
      const bool from_it = snapshot != nullptr && snapshot_digest(*snapshot) == booted;
      if (!from_it && (jail == nullptr || jail_view(*jail).boot_digest != booted)) return false;
    }
  }
  return true;
}

TEST(Laws, DiffFindsAnOrderWhereAVerifiedPlanFoundOne) {
  // A few ways between states can not be told from the states: an instance that slept and woke between them.
  std::uint64_t found = 0, lost = 0;
  for_all_cases([&](test::Random& random) {
    const Case one = test::reachable_case(random);
    const auto verified = verify(one.plan, one.against());
    if (!verified || !shows_on_the_states(one.state, verified->after())) return;
    const Document plan = diff(one.state, verified->after());
    const auto again = verify(plan, one.against());
    if (again) {
      ++found;
      return;
    }
    lost += again.error().rule == Rule::kOrder;
    ASSERT_NE(again.error().rule, Rule::kInvariant) << again.error().message() << "\n" << one.text() << print(plan);
  });
  EXPECT_GT(found, kCases / 4);
  EXPECT_LE(lost, found / 500);
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
