// apply() and inverse(): what a plan does to a state, and what undoes it.
#include "world.h"

#include "policy-lang/diff.h"

namespace mvm::lang::build {
namespace {

class Apply : public testing::Test, public World {
 protected:
  // The state's lines after, or the refusal.
  [[nodiscard]] std::string after(const Texts& statements) const {
    const auto applied = apply(state_text(), plan_text(statements));
    if (!applied) return told(applied);
    std::string text;
    for (const Statement& line : applied->statements) text += print(line) + "\n";
    return text;
  }
  [[nodiscard]] std::string joined(const Texts& expected) const {
    std::string text;
    for (const Statement& line : document(Kind::kState, expected).statements) text += print(line) + "\n";
    return text;
  }
};

TEST_F(Apply, AddsAndRemovesInCanonicalOrder) {
  state = {kBridge};
  EXPECT_EQ(after(plus(running(kSecond, 4) + running(kFirst)) + Texts{"+ " + kRule}), joined(kNetwork + running(kFirst) + running(kSecond, 4)));
  state = kNetwork + running(kFirst) + sleeping(kSecond, 4);
  EXPECT_EQ(after(minus(running(kFirst))), joined(kNetwork + sleeping(kSecond, 4)));
}

TEST_F(Apply, PutsTheTenantsOwnLinesBeforeThoseOfItsInstances) {
  state = {};
  EXPECT_EQ(after(plus(stand(kOfBeta) + stand(kFirst) + kNetwork + Texts{"bridge beta net=4 subnet=10.240.4.0/24"})),
            joined(stand(kOfBeta) + stand(kFirst) + kNetwork + Texts{"bridge beta net=4 subnet=10.240.4.0/24"}));
}

TEST_F(Apply, MovesAreKeptInTheLineOfTheJail) {
  state = kNetwork + running(kFirst);
  EXPECT_EQ(after({"~ guest " + kFirst + " awake>parked"}), joined(kNetwork + stand(kFirst) + Texts{jail(kFirst, "running", "parked")}));
  EXPECT_EQ(after({"~ guest " + kFirst + " awake>parked", "~ jail " + kFirst + " running>warm"}), joined(kNetwork + warm(kFirst)));
}

TEST_F(Apply, TakesGenerationAndDesiredFromThePlan) {
  state_generation = 3;
  const auto applied = apply(state_text(), plan_text({}));
  ASSERT_TRUE(applied.has_value());
  EXPECT_EQ(applied->kind, Kind::kState);
  EXPECT_EQ(applied->header.node, name("node-7"));
  EXPECT_EQ(applied->header.generation, 7u);
  EXPECT_TRUE(applied->header.has_desired);
  EXPECT_EQ(applied->header.desired, text_digest(projection_text()));
  EXPECT_EQ(applied->header.base, Digest{});
}

TEST_F(Apply, RefusesToMakeWhatIsThere) { EXPECT_THAT(after({"- " + kRule, "+ " + kBridge}), refused("V2", 7, "it exists")); }

TEST_F(Apply, RefusesToRemoveWhatIsNotThereOrIsOtherwise) {
  EXPECT_THAT(after({"- " + volume(kFirst)}), refused("V2", 6, "no such line"));
  EXPECT_THAT(after({"- " + with(kRule, "cps=0", "cps=1")}), refused("V2", 6, "no such line"));
  state = kNetwork + running(kFirst);
  EXPECT_THAT(after({"~ jail " + kFirst + " running>warm", "- " + jail(kFirst)}), refused("V2", 7, "no such line"));
}

TEST_F(Apply, RefusesAMoveFromAStateThatItIsNotIn) {
  EXPECT_THAT(after({"~ jail " + kFirst + " running>warm"}), refused("V2", 6, "no jail"));
  state = kNetwork + running(kFirst);
  EXPECT_THAT(after({"~ jail " + kFirst + " warm>running"}), refused("V2", 6, "it is running"));
  EXPECT_THAT(after({"~ guest " + kFirst + " parked>awake"}), refused("V2", 6, "it is awake"));
}

TEST_F(Apply, TheInverseGoesBackFromEveryPoint) {
  state = kNetwork + running(kFirst);
  Texts rest = stand(kFirst);
  World::drop(rest, "volume");
  const Texts sleep = Texts{"~ guest " + kFirst + " awake>parked", "~ jail " + kFirst + " running>warm", "+ " + snapshot(kFirst)} +
                      minus(rest + Texts{jail(kFirst, "warm", "parked")});
  for (std::size_t done = 0; done <= sleep.size(); ++done) {
    Document forth = plan_text(Texts(sleep.begin(), sleep.begin() + static_cast<std::ptrdiff_t>(done)));
    const std::vector<Statement> back = inverse(forth.statements);
    forth.statements.insert(forth.statements.end(), back.begin(), back.end());
    const auto applied = apply(state_text(), forth);
    ASSERT_TRUE(applied.has_value()) << World::told(applied);
    EXPECT_EQ(applied->statements, state_text().statements) << done;
  }
}

TEST_F(Apply, TheInverseTurnsSignsAndOrder) {
  EXPECT_EQ(inverse(lines({"+ " + kBridge, "~ jail " + kFirst + " running>warm", "- " + kRule})),
            lines({"+ " + kRule, "~ jail " + kFirst + " warm>running", "- " + kBridge}));
}

}  // namespace
}  // namespace mvm::lang::build
