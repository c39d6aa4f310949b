// diff(): the plan between two states, its order, and that V2 accepts it wherever an order exists.
#include "world.h"

#include <random>

#include "orders.h"
#include "policy-lang/diff.h"

namespace mvm::lang::build {
namespace {

Document state_of(const Texts& texts) {
  World world;
  world.state = texts;
  return world.state_text();
}

Texts printed(const std::vector<Statement>& statements) {
  Texts texts;
  for (const Statement& statement : statements) texts.push_back(print(statement));
  return texts;
}

// The statements of the difference, having checked that it leads there and that V2 accepts it.
Texts difference(const Texts& from_texts, const Texts& to_texts) {
  const Document from = state_of(from_texts), to = state_of(to_texts);
  const auto found = diff(from, to);
  if (!found) {
    ADD_FAILURE() << found.error().refusal.message();
    return {};
  }
  const Document& plan = *found;
  EXPECT_EQ(test::refused_by_order(from, plan), "");
  const auto applied = apply(from, plan);
  EXPECT_TRUE(applied.has_value()) << World::told(applied);
  if (applied) {
    EXPECT_EQ(printed(applied->statements), printed(to.statements));
    EXPECT_EQ(*applied, to);
  }
  return printed(plan.statements);
}

Texts expected(const Texts& texts) { return printed(lines(texts)); }

Texts without(Texts texts, std::string_view word) {
  World::drop(texts, word);
  return texts;
}

TEST(Diff, OfAStateWithItselfIsEmpty) {
  const Texts state = kNetwork + running(kFirst) + sleeping(kSecond, 4) + warm(kThird, 5);
  EXPECT_EQ(difference(state, state), Texts{});
}

TEST(Diff, HasTheHeaderOfWhereItLeads) {
  Document from = state_of(kNetwork), to = state_of({});
  to.header.generation = 9;
  to.header.has_desired = true;
  to.header.desired = digest("d5");
  const Document plan = diff(from, to).value();
  EXPECT_EQ(plan.kind, Kind::kPlan);
  EXPECT_EQ(plan.header.node, name("node-7"));
  EXPECT_EQ(plan.header.generation, 9u);
  EXPECT_TRUE(plan.header.has_desired);
  EXPECT_EQ(plan.header.desired, digest("d5"));
  EXPECT_EQ(plan.header.base, text_digest(from));
}

TEST(Diff, MakesTenantsThenInstancesInRowOrder) {
  EXPECT_EQ(difference({}, kNetwork + running(kFirst)), expected(plus(kNetwork + running(kFirst))));
}

TEST(Diff, RemovesInstancesThenTenantsLastMadeFirst) {
  EXPECT_EQ(difference(kNetwork + running(kFirst), {}), expected(minus(kNetwork + running(kFirst))));
}

TEST(Diff, FreesBeforeItTakes) {
  EXPECT_EQ(difference(kNetwork + running(kSecond, 3), kNetwork + running(kFirst, 3)), expected(minus(running(kSecond, 3)) + plus(running(kFirst, 3))));
  // Two tenants that change places.
  const Texts here = {kBridge, "bridge beta net=4 subnet=10.240.4.0/24"}, there = {"bridge acme net=4 subnet=10.240.4.0/24", "bridge beta net=3 subnet=10.240.3.0/24"};
  EXPECT_EQ(difference(here, there), expected({"- " + here[0], "- " + here[1], "+ " + there[0], "+ " + there[1]}));
}

TEST(Diff, PutsToSleep) {
  const Texts rest = without(stand(kFirst), "volume");
  EXPECT_EQ(difference(kNetwork + running(kFirst), kNetwork + sleeping(kFirst)),
            expected(Texts{"~ guest " + kFirst + " awake>parked", "~ jail " + kFirst + " running>warm", "+ " + snapshot(kFirst)} +
                     minus(rest + Texts{jail(kFirst, "warm", "parked")})));
  EXPECT_EQ(difference(kNetwork + warm(kFirst), kNetwork + sleeping(kFirst)),
            expected(Texts{"+ " + snapshot(kFirst)} + minus(rest + Texts{jail(kFirst, "warm", "parked")})));
}

TEST(Diff, Wakes) {
  const Texts rest = without(stand(kFirst), "volume");
  const std::string parked = jail(kFirst, "running", "parked", boots(snapshot(kFirst))), awake = jail(kFirst, "running", "awake", boots(snapshot(kFirst)));
  EXPECT_EQ(difference(kNetwork + sleeping(kFirst), kNetwork + stand(kFirst) + Texts{awake}),
            expected(plus(rest + Texts{parked}) + Texts{"- " + snapshot(kFirst), "~ guest " + kFirst + " parked>awake"}));
  const std::string warmed = jail(kFirst, "warm", "parked", boots(snapshot(kFirst)));
  EXPECT_EQ(difference(kNetwork + sleeping(kFirst), kNetwork + stand(kFirst) + Texts{warmed}), expected(plus(rest + Texts{warmed}) + Texts{"- " + snapshot(kFirst)}));
}

TEST(Diff, SleepsAgainAfterAWake) {
  const std::string woken = jail(kFirst, "running", "awake", boots(snapshot(kFirst, 3, 1)));
  difference(kNetwork + stand(kFirst) + Texts{woken}, kNetwork + sleeping(kFirst, 3, 2));
}

TEST(Diff, SleepsIntoAStateThatIsHalfwayAwakeAgain) {
  const Texts woken = stand(kFirst) + Texts{jail(kFirst, "running", "parked", boots(snapshot(kFirst))), snapshot(kFirst)};
  difference(kNetwork + running(kFirst), kNetwork + woken);
}

TEST(Diff, GivesASleepUpAndGoesThroughWithOne) {
  const Texts halfway = kNetwork + warm(kFirst) + Texts{snapshot(kFirst)};
  EXPECT_EQ(difference(halfway, kNetwork + stand(kFirst) + Texts{jail(kFirst, "running", "parked")}),
            expected({"- " + snapshot(kFirst), "~ jail " + kFirst + " warm>running"}));
  EXPECT_EQ(difference(halfway, kNetwork + sleeping(kFirst)), expected(minus(without(warm(kFirst), "volume"))));
  difference(halfway, kNetwork);
  difference(halfway, kNetwork + sleeping(kFirst, 3, 2));
}

TEST(Diff, GoesThroughWithAWake) {
  const Texts woken = stand(kFirst) + Texts{jail(kFirst, "running", "parked", boots(snapshot(kFirst)))};
  EXPECT_EQ(difference(kNetwork + woken + Texts{snapshot(kFirst)}, kNetwork + woken), expected({"- " + snapshot(kFirst)}));
  difference(kNetwork + woken + Texts{snapshot(kFirst)}, kNetwork);
  difference(kNetwork + woken + Texts{snapshot(kFirst)}, kNetwork + sleeping(kFirst, 3, 2));
}

TEST(Diff, WakesAndTakesTheNextSnapshot) {
  const Texts rest = without(stand(kFirst), "volume");
  const std::string woken = jail(kFirst, "warm", "parked", boots(snapshot(kFirst)));
  EXPECT_EQ(difference(kNetwork + sleeping(kFirst), kNetwork + stand(kFirst) + Texts{woken, snapshot(kFirst, 3, 2)}),
            expected(plus(rest + Texts{woken}) + Texts{"- " + snapshot(kFirst), "+ " + snapshot(kFirst, 3, 2)}));
}

// The snapshot to be taken is written like the one that the first jail was booted from, so only the second can leave it.
TEST(Diff, WakesFromTheNextSnapshotBeforeItTakesOneThatIsWrittenLikeTheFirst) {
  const std::string one = snapshot(kFirst, 3, 1), two = snapshot(kFirst, 3, 2);
  const std::string first = jail(kFirst, "warm", "parked", boots(one)), second = jail(kFirst, "warm", "parked", boots(two));
  EXPECT_EQ(difference(kNetwork + stand(kFirst) + Texts{first, two}, kNetwork + stand(kFirst) + Texts{second, one}),
            expected({"- " + first, "+ " + second, "- " + two, "+ " + one}));
}

TEST(Diff, LeavesASnapshotAloneThatTheNextJailBootsFrom) {
  const std::string woken = jail(kFirst, "running", "parked", boots(snapshot(kFirst)));
  EXPECT_EQ(difference(kNetwork + warm(kFirst) + Texts{snapshot(kFirst)}, kNetwork + stand(kFirst) + Texts{woken, snapshot(kFirst)}),
            expected({"- " + jail(kFirst, "warm", "parked"), "+ " + woken}));
}

TEST(Diff, ASnapshotThatAColdBootMustNotFindIsTakenAgain) {
  const std::string before = jail(kFirst, "warm", "parked"), after = with(jail(kFirst), "image=d1", "image=d2");
  EXPECT_EQ(difference(kNetwork + stand(kFirst) + Texts{before, snapshot(kFirst)},
                       kNetwork + stand(kFirst) + Texts{with(before, "image=d1", "image=d2"), snapshot(kFirst)}),
            expected({"- " + snapshot(kFirst), "- " + before, "+ " + after, "~ guest " + kFirst + " awake>parked", "~ jail " + kFirst + " running>warm",
                      "+ " + snapshot(kFirst)}));
}

// No plan leaves a jail running beside a snapshot of it; where there is one, it is led out of that.
TEST(Diff, PausesAJailToGiveUpTheSnapshotThatItRunsBeside) {
  EXPECT_EQ(difference(kNetwork + running(kFirst) + Texts{snapshot(kFirst)}, kNetwork + running(kFirst)),
            expected({"~ jail " + kFirst + " running>warm", "- " + snapshot(kFirst), "~ jail " + kFirst + " warm>running"}));
  EXPECT_EQ(difference(kNetwork + running(kFirst) + Texts{snapshot(kFirst)}, kNetwork + stand(kFirst)),
            expected({"~ jail " + kFirst + " running>warm", "- " + snapshot(kFirst), "- " + jail(kFirst, "warm")}));
}

// What diff() says of two states that no order leads between, each tried: "statement: why".
std::string refused_by_diff(const Texts& from_texts, const Texts& to_texts) {
  const Document from = state_of(kNetwork + from_texts), to = state_of(kNetwork + to_texts);
  const auto plan = diff(from, to);
  if (plan) return "a plan";
  const Refusal& refusal = plan.error().refusal;
  EXPECT_FALSE(test::an_order_exists(from, to, plan.error().subject));
  EXPECT_EQ(refusal.rule, Rule::kOrder);
  EXPECT_EQ(refusal.line, 0u);
  EXPECT_THAT(refusal.why, testing::StartsWith("the difference has no order that passes: "));
  EXPECT_NE(refusal.remedy, "");
  return refusal.statement + ": " + refusal.why;
}

testing::Matcher<std::string> because(const std::string& statement, const std::string& why) {
  return testing::AllOf(testing::StartsWith(print(line(statement)) + ": "), testing::EndsWith(": " + why));
}

TEST(Diff, SaysThatThereIsNoJailToTakeASnapshotOf) {
  const std::string none = "there is no jail to take it of", two = snapshot(kFirst, 3, 2);
  EXPECT_THAT(refused_by_diff({}, sleeping(kFirst)), because("+ " + snapshot(kFirst), none));
  EXPECT_THAT(refused_by_diff(sleeping(kFirst), {volume(kFirst), two}), because("+ " + two, none));
  EXPECT_THAT(refused_by_diff(running(kFirst), running(kFirst) + Texts{snapshot(kFirst)}), because("+ " + snapshot(kFirst), "the jail is running"));
  EXPECT_THAT(refused_by_diff(warm(kFirst) + Texts{snapshot(kFirst)}, running(kFirst) + Texts{snapshot(kFirst)}),
              because("+ " + snapshot(kFirst), "the jail is running"));
  EXPECT_THAT(refused_by_diff(running(kFirst, 4), sleeping(kFirst, 3)), because("+ " + snapshot(kFirst), "the instance's tap has slot 4"));
  EXPECT_THAT(refused_by_diff(stand(kFirst) + Texts{jail(kFirst, "warm", "parked", boots(two))}, {volume(kFirst), two}),
              because("+ " + two, "it would be written like the snapshot that the jail was booted from"));
  EXPECT_THAT(refused_by_diff(running(kFirst), {with(volume(kFirst), "2048", "4096"), snapshot(kFirst)}),
              because("- " + volume(kFirst), "a snapshot stands on it"));
  const std::string based = with(snapshot(kFirst), "base=none", "base=d4"), baseless = with(snapshot(kFirst), "kind=full", "kind=diff");
  EXPECT_THAT(refused_by_diff(running(kFirst), {volume(kFirst), based}), because("+ " + based, "a full snapshot stands on nothing"));
  EXPECT_THAT(refused_by_diff(running(kFirst), {volume(kFirst), baseless}), because("+ " + baseless, "a diff says what it stands on"));
}

TEST(Diff, SaysThatThereIsNoSnapshotToBootAJailFrom) {
  const std::string woken = jail(kFirst, "running", "parked", boots(snapshot(kFirst))), elsewhere = jail(kFirst, "running", "parked", "snapshot:d9");
  EXPECT_THAT(refused_by_diff({}, stand(kFirst) + Texts{woken}), because("+ " + woken, "the instance has no snapshot: one is never resumed twice"));
  EXPECT_THAT(refused_by_diff(sleeping(kFirst), stand(kFirst) + Texts{elsewhere}),
              because("+ " + elsewhere, "the instance has no snapshot: one is never resumed twice"));
  EXPECT_THAT(refused_by_diff(sleeping(kFirst), stand(kFirst, 4) + Texts{woken}), because("+ " + woken, "the snapshot knows itself at slot 3"));
  Texts grown = stand(kFirst) + Texts{woken};
  World::edit(grown, "volume", "2048", "4096");
  EXPECT_THAT(refused_by_diff(sleeping(kFirst), grown), because("- " + volume(kFirst), "a snapshot stands on it"));
}

TEST(Diff, SaysThatASnapshotWouldBeResumedTwice) {
  const std::string woken = jail(kFirst, "running", "parked", boots(snapshot(kFirst)));
  const std::string twice = "the snapshot that it was booted from exists and could be resumed again";
  EXPECT_THAT(refused_by_diff(stand(kFirst) + Texts{woken, snapshot(kFirst)}, sleeping(kFirst)), because("- " + woken, twice));
  EXPECT_THAT(refused_by_diff(stand(kFirst) + Texts{woken, snapshot(kFirst)}, stand(kFirst) + Texts{with(woken, "image=d1", "image=d2")}),
              because("- " + woken, twice));
}

TEST(Diff, SaysWhatNoPlanCanMake) {
  EXPECT_THAT(refused_by_diff({}, without(running(kFirst), "tap")), because("+ " + jail(kFirst), "it needs a tap, which does not exist"));
  EXPECT_THAT(refused_by_diff({}, without(running(kFirst), "luksOpen")), because("+ " + jail(kFirst), "its volume has a key and is not open"));
  Texts other_key = stand(kFirst);
  World::edit(other_key, "luksOpen", "acme/1", "acme/2");
  EXPECT_THAT(refused_by_diff({}, other_key), because("+ " + other_key[2], "its volume opens with the key acme/1"));
  EXPECT_THAT(refused_by_diff({}, {"rule beta egress=none pps=0 mbps=0 cps=0"}),
              because("+ rule beta egress=none pps=0 mbps=0 cps=0", "it needs a bridge, which does not exist"));
}

TEST(Diff, PausesBeforeOthersCome) {
  EXPECT_EQ(difference(kNetwork + running(kSecond, 4), kNetwork + warm(kSecond, 4) + running(kFirst)),
            expected(Texts{"~ guest " + kSecond + " awake>parked", "~ jail " + kSecond + " running>warm"} + plus(running(kFirst))));
}

TEST(Diff, ResumesAndTellsTheGuest) {
  EXPECT_EQ(difference(kNetwork + warm(kFirst), kNetwork + running(kFirst)), expected({"~ jail " + kFirst + " warm>running", "~ guest " + kFirst + " parked>awake"}));
  EXPECT_EQ(difference(kNetwork + running(kFirst), kNetwork + stand(kFirst) + Texts{jail(kFirst, "running", "parked")}), expected({"~ guest " + kFirst + " awake>parked"}));
}

TEST(Diff, AWarmGuestIsToldWhileItsJailRunsInBetween) {
  EXPECT_EQ(difference(kNetwork + warm(kFirst), kNetwork + stand(kFirst) + Texts{jail(kFirst, "warm", "awake")}),
            expected({"~ jail " + kFirst + " warm>running", "~ guest " + kFirst + " parked>awake", "~ jail " + kFirst + " running>warm"}));
}

TEST(Diff, ASnapshotThatItsWarmJailRunsPastIsTakenAgain) {
  const Texts parked = kNetwork + warm(kFirst) + Texts{snapshot(kFirst)};
  const Texts awake = kNetwork + stand(kFirst) + Texts{jail(kFirst, "warm", "awake"), snapshot(kFirst)};
  EXPECT_EQ(difference(parked, awake),
            expected({"- " + snapshot(kFirst), "~ jail " + kFirst + " warm>running", "~ guest " + kFirst + " parked>awake",
                      "~ jail " + kFirst + " running>warm", "+ " + snapshot(kFirst)}));
}

TEST(Diff, AJailThatIsMadeIsMovedToWhereItShallBe) {
  EXPECT_EQ(difference(kNetwork + stand(kFirst), kNetwork + warm(kFirst)),
            expected({"+ " + jail(kFirst), "~ guest " + kFirst + " awake>parked", "~ jail " + kFirst + " running>warm"}));
  EXPECT_EQ(difference(kNetwork + stand(kFirst), kNetwork + stand(kFirst) + Texts{jail(kFirst, "warm", "awake")}), expected({"+ " + jail(kFirst, "warm", "awake")}));
}

TEST(Diff, ARemovedJailIsWrittenAsItIs) {
  EXPECT_EQ(difference(kNetwork + warm(kFirst), kNetwork + stand(kFirst)), expected({"- " + jail(kFirst, "warm", "parked")}));
}

TEST(Diff, ANewImageReplacesTheJailAlone) {
  const std::string updated = with(jail(kFirst), "image=d1", "image=d2");
  EXPECT_EQ(difference(kNetwork + running(kFirst), kNetwork + stand(kFirst) + Texts{updated}), expected({"- " + jail(kFirst), "+ " + updated}));
}

TEST(Diff, ANewDriveReplacesTheJailThatUsesIt) {
  const Texts before = running(kFirst), after = [] {
    Texts texts = running(kFirst);
    World::edit(texts, "secrets", "d7", "d6");
    return texts;
  }();
  EXPECT_EQ(difference(kNetwork + before, kNetwork + after), expected({"- " + before[6], "- " + before[3], "+ " + after[3], "+ " + after[6]}));
}

TEST(Diff, ADriveThatComesOrGoesReplacesTheJailThatUsesIt) {
  const Texts with_config = running(kFirst), no_config = without(running(kFirst), "config");
  EXPECT_EQ(difference(kNetwork + no_config, kNetwork + with_config), expected({"- " + jail(kFirst), "+ " + with_config[4], "+ " + jail(kFirst)}));
  EXPECT_EQ(difference(kNetwork + with_config, kNetwork + no_config), expected({"- " + jail(kFirst), "- " + with_config[4], "+ " + jail(kFirst)}));
}

TEST(Diff, ANewCgroupReplacesAllThatStandsOnIt) {
  Texts after = running(kFirst);
  World::edit(after, "cgroup", "cpu=200", "cpu=300");
  const Texts moved = without(running(kFirst), "volume"), made = without(after, "volume");
  EXPECT_EQ(difference(kNetwork + running(kFirst), kNetwork + after), expected(minus(moved) + plus(made)));
}

TEST(Diff, ANewBridgeReplacesTheTapsAndJailsOfAllItsInstances) {
  const std::string moved = "bridge acme net=3 subnet=10.240.8.0/24";
  const Texts instances = running(kFirst, 3) + sleeping(kSecond, 4) + running(kThird, 5), other = {"bridge beta net=4 subnet=10.240.4.0/24", stand(kOfBeta)[0]};
  const Texts first = {stand(kFirst, 3)[5], jail(kFirst)}, third = {stand(kThird, 5)[5], jail(kThird)};
  EXPECT_EQ(difference(kNetwork + instances + other, Texts{moved, kRule} + instances + other),
            expected(minus(first) + minus(third) + minus(kNetwork) + plus({moved, kRule}) + plus(first) + plus(third)));
}

TEST(Diff, ANewRuleReplacesNothingElse) {
  const std::string closed = "rule acme egress=none pps=0 mbps=0 cps=0";
  EXPECT_EQ(difference(kNetwork + running(kFirst), Texts{kBridge, closed} + running(kFirst)), expected({"- " + kRule, "+ " + closed}));
}

TEST(Diff, AnInstanceChangesItsPool) {
  const std::string elsewhere = "acme/zoo/i-00000001";
  difference(kNetwork + running(kFirst), kNetwork + running(elsewhere));
  difference(kNetwork + running(elsewhere), kNetwork + running(kFirst));
}

// One of the forms that a plan can leave an instance in; all of them have an order from and to each other but those where
// a snapshot would have to be made from nothing.
Texts some_form(const std::string& instance, int slot, std::mt19937& random, bool may_sleep) {
  switch (std::uniform_int_distribution(0, may_sleep ? 8 : 7)(random)) {
    case 0: return {};
    case 1: return {volume(instance)};
    case 2: return stand(instance, slot);
    case 3: return running(instance, slot);
    case 4: return warm(instance, slot);
    case 5: return without(running(instance, slot), "config");
    case 6: return {stand(instance)[0], volume(instance)};
    case 7: {
      Texts other = running(instance, slot);
      World::edit(other, "cgroup", "cpu=200", "cpu=400");
      return other;
    }
    default: return sleeping(instance, slot);
  }
}

Texts some_state(std::mt19937& random, bool may_sleep) {
  Texts state;
  for (const std::string tenant : {"acme", "beta", "gamma"}) {
    const int net = std::uniform_int_distribution(3, 4)(random) + 2 * (tenant[0] - 'a');
    state.push_back("bridge " + tenant + " net=" + std::to_string(net) + " subnet=10.240." + std::to_string(net) + ".0/24");
    if (net % 2 == 0) state.push_back("rule " + tenant + " egress=nat pps=0 mbps=0 cps=" + std::to_string(random() % 2));
    for (int i = 3; i < 7; ++i) {
      const std::string instance = tenant + "/p" + std::to_string(i % 2) + "/i-0000000" + std::to_string(i);
      Texts form = some_form(instance, i, random, may_sleep);
      for (std::string& text : form) {
        if (const auto key = text.find("key=acme"); key != std::string::npos) text.replace(key, 8, "key=" + tenant);
      }
      state = state + form;
    }
  }
  return state;
}

// ---- a pool's base

const std::string kItsBase = base(snapshot(kFirst));

std::string no_order(const Texts& from, const Texts& to) {
  const auto found = diff(state_of(from), state_of(to));
  return found ? "found" : to_string(found.error().subject) + ": " + found.error().refusal.why;
}

TEST(Diff, MakesABaseBeforeAnythingStandsOnIt) {
  const std::string on_it = diff_on(kItsBase, kSecond, 4);
  Texts rest = stand(kSecond, 4);
  rest.erase(rest.begin() + 1);
  EXPECT_EQ(difference(kNetwork + sleeping(kFirst) + warm(kSecond, 4), kNetwork + sleeping(kFirst) + Texts{kItsBase, volume(kSecond), on_it}),
            expected(Texts{"+ " + kItsBase, "+ " + on_it} + minus(rest + Texts{jail(kSecond, "warm", "parked")})));
}

TEST(Diff, RemovesABaseAfterTheLastWakeFromIt) {
  const std::string on_it = diff_on(kItsBase, kSecond, 4);
  Texts woken = stand(kSecond, 4);
  woken.push_back(jail(kSecond, "running", "parked", boots(on_it)));
  const Texts plan = difference(kNetwork + Texts{kItsBase, volume(kSecond), on_it}, kNetwork + woken);
  ASSERT_GE(plan.size(), 3u);
  EXPECT_EQ(plan.back(), expected({"- " + kItsBase})[0]);
  EXPECT_EQ(plan[plan.size() - 2], expected({"- " + on_it})[0]);
}

TEST(Diff, PutsABaseInThePlaceOfAnother) {
  const std::string other = base(snapshot(kSecond, 4));
  EXPECT_EQ(difference(kNetwork + sleeping(kSecond, 4) + Texts{kItsBase}, kNetwork + sleeping(kSecond, 4) + Texts{other}), expected({"- " + kItsBase, "+ " + other}));
}

TEST(Diff, HasNoOrderForABaseThatDiffsStandOnOrThatIsACopyOfNothing) {
  const std::string on_it = diff_on(kItsBase, kSecond, 4);
  const Texts stands = kNetwork + Texts{kItsBase, volume(kSecond), on_it};
  EXPECT_THAT(no_order(stands, kNetwork + Texts{volume(kSecond), on_it}), testing::HasSubstr("acme/web: the difference has no order that passes: 1 snapshots of the pool stand on it"));
  EXPECT_THAT(no_order(kNetwork, kNetwork + Texts{kItsBase}), testing::HasSubstr("acme/web: the difference has no order that passes: the pool has no full snapshot"));
}

TEST(Diff, LeadsFromAnyStateToAnyOtherInAnOrderThatV2Accepts) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 2000; ++i) {
    // Instances that sleep in `from` wake cold in `to`, if they do: their snapshot goes first.
    difference(some_state(random, true), some_state(random, false));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace mvm::lang::build
