#include "planner/target.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "planner/compile.h"
#include "planner/executed.h"
#include "planner/instances.h"
#include "policy-lang/diff.h"
#include "policy-lang/verify.h"
#include "tests/planner/texts.h"

namespace mvm::planner {
namespace {

using lang::Document;
using lang::Word;
using test::pool;
using test::PoolText;
using test::projection;
using test::tenant;

constexpr lang::WordSet kAll = ~lang::WordSet{0};

struct Counts {
  std::size_t running = 0, warm = 0, sleeping = 0, stopped = 0;
  bool operator==(const Counts&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Counts& c) {
  return out << c.running << " running, " << c.warm << " warm, " << c.sleeping << " sleeping, " << c.stopped << " stopped";
}

Counts counts(const Document& state, const std::string& name) {
  Counts counted;
  for (const auto& [subject, instance] : read_fleet(state).instances) {
    if (to_string(pool_subject(subject.tenant, subject.pool)) != name) continue;
    switch (instance.phase()) {
      case Phase::kRunning: ++counted.running; break;
      case Phase::kWarm: ++counted.warm; break;
      case Phase::kSleeping: ++counted.sleeping; break;
      case Phase::kStopped: ++counted.stopped; break;
    }
  }
  return counted;
}

// Rounds of plan, verify, apply, until nothing is needed. Every plan must verify.
struct Path {
  Document state;
  int rounds = 0;
  std::vector<Note> notes;
  std::vector<std::string> told;  // guests, in all rounds
};
Path converge(Document state, const Document& wanted, lang::WordSet supported = kAll, const std::set<Subject>& deaf = {}, const Document& policy = test::policy()) {
  Path run{std::move(state), 0, {}, {}};
  for (; run.rounds < 40; ++run.rounds) {
    const Compiled compiled = compile({run.state, wanted, policy, supported, static_cast<std::uint32_t>(run.rounds + 1), deaf});
    run.notes = compiled.notes;
    if (!compiled.needed) return run;
    const auto verified = lang::verify(compiled.plan, {run.state, wanted, policy});
    if (!verified) {
      ADD_FAILURE() << verified.error().message() << "\n" << lang::print(compiled.plan);
      return run;
    }
    for (const lang::Statement& statement : compiled.plan.statements) {
      if (statement.word == Word::kGuest) run.told.push_back(lang::print(statement));
    }
    run.state = verified->after();
  }
  ADD_FAILURE() << "does not come to rest";
  return run;
}

TEST(Target, StartsWhatIsWantedInOnePlanAndThenRests) {
  const Document wanted = projection(1, test::kPrune + tenant("acme", 3) + pool("acme/batch", {.running = 1}) + pool("acme/web", {.running = 2}));
  const Path run = converge(test::empty_state(), wanted, kExecuted);
  EXPECT_EQ(run.rounds, 1);
  EXPECT_EQ(counts(run.state, "acme/web"), (Counts{2, 0, 0, 0}));
  EXPECT_EQ(counts(run.state, "acme/batch"), (Counts{1, 0, 0, 0}));
}

TEST(Target, IsTheSameForTheSameInputs) {
  const Document wanted = projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 5, .warm = 2}));
  const Document policy = test::policy(), now = test::empty_state();
  const Inputs inputs{now, wanted, policy, kExecuted, 1};
  EXPECT_EQ(compile(inputs).plan, compile(inputs).plan);
}

TEST(Target, StopsTheNewestFirst) {
  const Document two = projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 2}));
  const Document three = projection(2, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 3}));
  const Document back = projection(3, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 2}));
  const Path first = converge(test::empty_state(), two);
  const Path last = converge(converge(first.state, three).state, back);
  EXPECT_EQ(last.state.statements, first.state.statements);
}

TEST(Target, FillsWarmAndSleepingByWayOfWarm) {
  const Document wanted = projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 1, .warm = 1, .sleeping = 2, .data = 64}));
  const Path run = converge(test::empty_state(), wanted);
  EXPECT_EQ(counts(run.state, "acme/web"), (Counts{1, 1, 2, 0}));
  EXPECT_LE(run.rounds, 3);
}

TEST(Target, WakesSleepingBeforeItCreates) {
  const Document asleep = projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.sleeping = 2}));
  const Document awake = projection(2, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 2}));
  const Path before = converge(test::empty_state(), asleep);
  ASSERT_EQ(counts(before.state, "acme/web"), (Counts{0, 0, 2, 0}));
  const Path after = converge(before.state, awake);
  EXPECT_EQ(counts(after.state, "acme/web"), (Counts{2, 0, 0, 0}));
  for (const auto& [subject, instance] : read_fleet(after.state).instances) {
    EXPECT_TRUE(read_fleet(before.state).instances.contains(subject));
    EXPECT_EQ(lang::jail_view(*instance.line(Word::kJail)).boot, lang::kBootSnapshot);
  }
}

class Told : public ::testing::Test {
 protected:
  Told() { one_ = read_fleet(running_.state).instances.begin()->first; }
  static Document wanted(std::uint64_t generation, const PoolText& text) { return projection(generation, test::kPrune + tenant("acme", 3) + pool("acme/web", text)); }
  const Path running_ = converge(test::empty_state(), wanted(1, {.running = 1}));
  const Document asleep_ = wanted(2, {.sleeping = 1}), awake_ = wanted(3, {.running = 1});
  Subject one_;
};

TEST_F(Told, AGuestParksBeforeItsSleepAndGoesOnAfterIt) {
  const Path asleep = converge(running_.state, asleep_);
  EXPECT_EQ(asleep.told, (std::vector<std::string>{"~ guest " + to_string(one_) + " awake>parked"}));
  const Path awake = converge(asleep.state, awake_);
  EXPECT_EQ(awake.told, (std::vector<std::string>{"~ guest " + to_string(one_) + " parked>awake"}));
}

TEST_F(Told, OneThatIsDeafIsPutToSleepAndWokenWithoutAWord) {
  const Path asleep = converge(running_.state, asleep_, kAll, {one_});
  EXPECT_TRUE(asleep.told.empty());
  EXPECT_EQ(counts(asleep.state, "acme/web"), (Counts{0, 0, 1, 0}));
  EXPECT_EQ(asleep.rounds, 2) << "by way of warm";
  const Path awake = converge(asleep.state, awake_, kAll, {one_});
  EXPECT_TRUE(awake.told.empty());
  EXPECT_EQ(counts(awake.state, "acme/web"), (Counts{1, 0, 0, 0}));
}

TEST_F(Told, SoIsEveryOneWhereThereIsNobodyToTellIt) {
  constexpr lang::WordSet kNoGuest = kAll & ~lang::bit(Word::kGuest);
  const Path asleep = converge(running_.state, asleep_, kNoGuest);
  EXPECT_TRUE(asleep.told.empty());
  EXPECT_EQ(counts(asleep.state, "acme/web"), (Counts{0, 0, 1, 0}));
}

TEST_F(Told, OneThatRunsAndWasToldToParkIsToldToGoOn) {
  Document state = running_.state;
  for (lang::Statement& line : state.statements) {
    if (line.word == Word::kJail) line.numbers[5] = lang::kParked;
  }
  EXPECT_EQ(converge(state, wanted(1, {.running = 1})).told, (std::vector<std::string>{"~ guest " + to_string(one_) + " parked>awake"}));
  EXPECT_TRUE(converge(state, wanted(1, {.running = 1}), kAll, {one_}).told.empty());
}

class Based : public ::testing::Test {
 protected:
  static Document wanted(std::uint64_t generation, const PoolText& text) { return projection(generation, test::kPrune + tenant("acme", 3) + pool("acme/web", text)); }
  static std::vector<lang::Statement> bases(const Document& state) { return of(state, Word::kBase); }
  static std::vector<lang::Statement> of(const Document& state, Word word) {
    std::vector<lang::Statement> found;
    std::ranges::copy_if(state.statements, std::back_inserter(found), [&](const lang::Statement& line) { return line.word == word; });
    return found;
  }
  static std::ptrdiff_t diffs(const Document& state) { return std::ranges::count_if(state.statements, lang::is_diff); }
  const Path first_ = converge(test::empty_state(), wanted(1, {.running = 2, .sleeping = 1}));
};

TEST_F(Based, APoolHasABaseOnceOneSleepsAndWhatSleepsNextStandsOnIt) {
  ASSERT_EQ(bases(first_.state).size(), 1u);
  EXPECT_EQ(lang::base_view(bases(first_.state)[0]).snapshot, lang::snapshot_digest(of(first_.state, Word::kSnapshot).at(0)));
  EXPECT_EQ(diffs(first_.state), 0);
  const Path second = converge(first_.state, wanted(2, {.running = 1, .sleeping = 2}));
  EXPECT_EQ(counts(second.state, "acme/web"), (Counts{1, 0, 2, 0}));
  EXPECT_EQ(diffs(second.state), 1);
  EXPECT_EQ(bases(second.state), bases(first_.state));
  const Path awake = converge(second.state, wanted(3, {.running = 3}));
  EXPECT_EQ(counts(awake.state, "acme/web"), (Counts{3, 0, 0, 0}));
  EXPECT_EQ(bases(awake.state), bases(first_.state)) << "the next sleeps stand on it, too";
}

TEST_F(Based, ABaseIsMadeWhereNothingElseIsToBeDone) {
  const Document policy = test::policy(), want = wanted(1, {.running = 2, .sleeping = 1});
  Document state = test::empty_state();
  for (std::uint32_t round = 1; round < 10; ++round) {
    const Compiled compiled = compile({state, want, policy, kAll, round});
    if (!compiled.needed) break;
    if (std::ranges::any_of(compiled.plan.statements, [](const lang::Statement& line) { return line.word == Word::kBase; })) {
      EXPECT_EQ(compiled.plan.statements.size(), 1u);
    }
    state = lang::verify(compiled.plan, {state, want, policy})->after();
  }
  EXPECT_EQ(bases(state).size(), 1u);
}

TEST_F(Based, OneAloneHasNone) { EXPECT_TRUE(bases(converge(test::empty_state(), wanted(1, {.sleeping = 1})).state).empty()); }

TEST_F(Based, APinnedPoolHasNoneAndNoHostThatCannotMakeOne) {
  Document before = first_.state;
  std::erase_if(before.statements, [](const lang::Statement& line) { return line.word == Word::kBase; });
  EXPECT_TRUE(bases(converge(before, wanted(2, {.running = 2, .sleeping = 1, .pinned = "yes"})).state).empty());
  EXPECT_TRUE(bases(converge(before, wanted(1, {.running = 2, .sleeping = 1}), kAll & ~lang::bit(Word::kBase)).state).empty());
  EXPECT_EQ(bases(converge(before, wanted(1, {.running = 2, .sleeping = 1})).state), bases(first_.state));
}

TEST_F(Based, ASnapshotOfWhichNoneCouldBeMadeIsNotTriedAgain) {
  Document before = first_.state;
  std::erase_if(before.statements, [](const lang::Statement& line) { return line.word == Word::kBase; });
  const Document policy = test::policy(), want = wanted(1, {.running = 2, .sleeping = 1});
  const auto plan = [&](const std::set<Digest>& uncopied) { return compile({before, want, policy, kAll, 1, {}, {}, {}, uncopied}).plan.statements; };
  EXPECT_EQ(plan({}).size(), 1u);
  EXPECT_TRUE(plan({lang::snapshot_digest(of(before, Word::kSnapshot).at(0))}).empty());
}

TEST_F(Based, ABaseOfAnotherImageGoesOnceNothingStandsOnIt) {
  const Path second = converge(first_.state, wanted(2, {.running = 1, .sleeping = 2}));
  ASSERT_EQ(diffs(second.state), 1);
  const Path other = converge(second.state, wanted(3, {.running = 1, .sleeping = 2, .image = '6'}));
  EXPECT_EQ(bases(other.state), bases(first_.state)) << "while one sleeps on it";
  const Path awake = converge(first_.state, wanted(3, {.running = 3, .image = '6'}));
  EXPECT_TRUE(bases(awake.state).empty());
}

TEST_F(Based, WhatRestsIsCopiedAndSleepsOnTheBaseAsAllElseDoes) {
  const Document policy = test::policy(), want = wanted(1, {.running = 3});
  Document state = converge(test::empty_state(), want).state;
  Rests rests;
  std::uint32_t round = 0;
  for (const auto& [subject, instance] : read_fleet(state).instances) {
    if (rests.size() == 2) break;
    rests.emplace(subject, Rest::kAsleep);
    for (int left = 6; left > 0; --left) {
      const Compiled compiled = compile({state, want, policy, kAll, ++round, {}, rests});
      if (!compiled.needed) break;
      state = lang::verify(compiled.plan, {state, want, policy})->after();
    }
  }
  EXPECT_EQ(counts(state, "acme/web").sleeping, 2u);
  EXPECT_EQ(bases(state).size(), 1u);
  EXPECT_EQ(diffs(state), 1);
}

TEST_F(Based, APoolThatIsPrunedLeavesNone) { EXPECT_TRUE(converge(first_.state, projection(2, test::kPrune)).state.statements.empty()); }

TEST(Target, KeepsTheDataOfWhatItStopsAndStartsItAgain) {
  const Document one = projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 1, .data = 64}));
  const Document none = projection(2, test::kPrune + tenant("acme", 3) + pool("acme/web", {.data = 64}));
  const Document again = projection(3, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 1, .data = 64}));
  const Path first = converge(test::empty_state(), one);
  const Path stopped = converge(first.state, none);
  EXPECT_EQ(counts(stopped.state, "acme/web"), (Counts{0, 0, 0, 1}));
  EXPECT_EQ(converge(stopped.state, again).state.statements, first.state.statements);
}

TEST(Target, PinnedAndCriticalAreNeverPaused) {
  for (const bool pinned : {true, false}) {
    PoolText text{.running = 3};
    (pinned ? text.pinned : text.critical) = "yes";
    const Path first = converge(test::empty_state(), projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", text)));
    text.running = 1;
    text.sleeping = 2;
    const Path run = converge(first.state, projection(2, test::kPrune + tenant("acme", 3) + pool("acme/web", text)));
    EXPECT_EQ(counts(run.state, "acme/web").sleeping, 0u);
    EXPECT_EQ(counts(run.state, "acme/web").running, pinned ? 1u : 3u);
  }
}

TEST(Target, StopsAtTheNodesLimitAndSaysSo) {
  const std::string quota = "vcpus=400 mem=65536 running=40 warm=20 pools=10 instances=64 disk=65536";
  const Path run = converge(test::empty_state(), projection(1, test::kPrune + tenant("acme", 3, quota) + pool("acme/web", {.running = 9, .vcpus = 32})));
  EXPECT_EQ(counts(run.state, "acme/web").running, 6u);
  ASSERT_FALSE(run.notes.empty());
  EXPECT_EQ(run.notes[0].text, "the node's limit of vCPUs is 200");
}

TEST(Target, MakesNoMoreVolumesThanThereAreDevicesAndSaysSo) {
  const Document policy = test::parsed(lang::Kind::kPolicy, test::policy_text().substr(0, test::policy_text().rfind("end\n")) + "device vg0/a mib=64\ndevice vg0/b mib=128\nend\n");
  const Path run = converge(test::empty_state(), projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 3, .data = 64})), kAll, {}, policy);
  EXPECT_EQ(counts(run.state, "acme/web").running, 2u);
  ASSERT_FALSE(run.notes.empty());
  EXPECT_NE(run.notes[0].text.find("3 volumes of more than 0 MiB, and the policy has 2 devices"), std::string::npos) << run.notes[0].text;
  const Path large = converge(test::empty_state(), projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 1, .data = 129})), kAll, {}, policy);
  EXPECT_EQ(counts(large.state, "acme/web"), Counts{});
}

TEST(Target, SaysWhatThisHostDoesNotSupport) {
  const Path run = converge(test::empty_state(), projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 1, .data = 64})), kExecuted & ~lang::bit(lang::Word::kVolume));
  EXPECT_EQ(counts(run.state, "acme/web"), Counts{});
  ASSERT_EQ(run.notes.size(), 1u);
  EXPECT_EQ(run.notes[0].text, "data drives are not supported by this host");
}

TEST(Target, RemovesWhatIsNoLongerNamedAndNothingWhereItMayNot) {
  const Document full = projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 2, .data = 64}) + tenant("globex", 4) +
                                          pool("globex/web", {.running = 1}));
  const Path run = converge(test::empty_state(), full);
  const Path kept = converge(run.state, projection(2, "prune tenants=no pools=no\n" + tenant("globex", 4)));
  EXPECT_EQ(kept.state.statements, run.state.statements);
  const Path gone = converge(run.state, projection(2, test::kPrune));
  EXPECT_TRUE(gone.state.statements.empty());
}

TEST(Target, BringsANewImageToAQuarterAtATime) {
  const Path old_image = converge(test::empty_state(), projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 8})));
  const Path run = converge(old_image.state, projection(2, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 8, .image = '6'})));
  EXPECT_EQ(run.rounds, 4);
  for (const auto& [subject, instance] : read_fleet(run.state).instances) {
    EXPECT_EQ(to_string(lang::jail_view(*instance.line(Word::kJail)).image), "sha256:" + std::string(64, '6'));
  }
}

TEST(Target, BringsWhatDrivesAreToCarryLikewise) {
  const auto carrying = [](std::uint64_t generation, const std::string& secrets, const std::string& config) {
    std::string lines = tenant("acme", 3) + pool("acme/web", {.running = 4});
    lines.replace(lines.find("secrets=none"), 12, "secrets=" + secrets);
    lines.replace(lines.find("config=none"), 11, "config=" + config);
    return projection(generation, test::kPrune + lines);
  };
  const std::string one = "sha256:" + std::string(64, '1'), two = "sha256:" + std::string(64, '2');
  Path run = converge(test::empty_state(), carrying(1, one, one));
  EXPECT_EQ(run.rounds, 1);
  for (const auto& [secrets, config] : {std::pair{two, one}, {two, two}, {std::string("none"), two}}) {
    run = converge(run.state, carrying(run.state.header.generation + 1, secrets, config));
    EXPECT_EQ(run.rounds, 4) << "one at a time";
    for (const auto& [subject, instance] : read_fleet(run.state).instances) {
      EXPECT_EQ(instance.line(Word::kSecrets) != nullptr, secrets != "none");
      if (secrets != "none") {
        EXPECT_EQ(to_string(instance.line(Word::kSecrets)->digests[0]), secrets);
      }
      EXPECT_EQ(to_string(instance.line(Word::kConfig)->digests[0]), config);
    }
  }
}

// Interrupted in its wake: the jail stands, and the snapshot that it was booted from still does.
TEST(Target, LeavesAsItIsWhatNoOrderRemakesAndGoesOnWithTheRest) {
  const Document asleep = projection(1, test::kPrune + tenant("acme", 3) + pool("acme/web", {.sleeping = 1}));
  const Document awake = projection(2, test::kPrune + tenant("acme", 3) + pool("acme/web", {.running = 1}));
  const Document before = converge(test::empty_state(), asleep).state;
  Document now = converge(before, awake).state;
  std::ranges::copy_if(before.statements, std::back_inserter(now.statements), [](const lang::Statement& line) { return line.word == Word::kSnapshot; });
  std::ranges::sort(now.statements, lang::canonical_less);
  const Document wanted = projection(3, test::kPrune + tenant("acme", 3) + pool("acme/batch", {.running = 1}) + pool("acme/web", {.running = 1, .image = '6'}));
  const Document policy = test::policy();
  const Compiled compiled = compile({now, wanted, policy, kAll, 1});
  ASSERT_EQ(compiled.notes.size(), 1u);
  EXPECT_EQ(compiled.notes[0].subject.pool, *Name::from("web"));
  EXPECT_NE(compiled.notes[0].text.find("could be resumed again"), std::string::npos) << compiled.notes[0].text;
  const auto verified = lang::verify(compiled.plan, {now, wanted, policy});
  ASSERT_TRUE(verified) << verified.error().message();
  EXPECT_EQ(counts(verified->after(), "acme/batch"), (Counts{1, 0, 0, 0}));
  EXPECT_TRUE(std::ranges::none_of(compiled.plan.statements, [&](const lang::Statement& s) { return s.subject == compiled.notes[0].subject; }));
}

// Any projection after any other: every plan on the way verifies, and it comes to rest.
TEST(Target, EveryPlanVerifiesFromAnyStateItMade) {
  const char* seed_text = std::getenv("MVM_TEST_SEED");
  const unsigned seed = seed_text != nullptr ? static_cast<unsigned>(std::strtoul(seed_text, nullptr, 10)) : std::random_device{}();
  std::printf("MVM_TEST_SEED=%u\n", seed);
  std::mt19937 random(seed);
  const auto upto = [&](int most) { return static_cast<int>(random() % static_cast<unsigned>(most + 1)); };
  int taken = 0;
  for (int chain = 0; chain < 200; ++chain) {
    Document state = test::empty_state();
    for (std::uint64_t generation = 1; generation <= 6; ++generation) {
      std::string text = "prune tenants=" + std::string(upto(1) ? "yes" : "no") + " pools=" + (upto(1) ? "yes" : "no") + "\n";
      for (const char* name : {"acme", "globex"}) {
        if (upto(5) == 0) continue;
        const int net = name[0] == 'a' ? 3 : 4;
        const std::string quota = "vcpus=" + std::to_string(8 + upto(20)) + " mem=" + std::to_string(1024 * (2 + upto(8))) +
                                  " running=" + std::to_string(4 + upto(8)) + " warm=" + std::to_string(2 + upto(4)) +
                                  " pools=4 instances=" + std::to_string(5 + upto(10)) + " disk=" + std::to_string(64 * (8 + upto(10)));
        std::string pools;
        for (const char* p : {"db", "web"}) {
          if (upto(4) == 0) continue;
          pools += pool(std::string(name) + "/" + p, {.running = upto(4), .warm = upto(2), .sleeping = upto(2), .data = upto(1) * 64,
                                                      .pinned = upto(6) ? "no" : "yes", .critical = upto(8) ? "no" : "yes",
                                                      .image = upto(5) ? '5' : '6', .vcpus = 1 + upto(1), .mem = 256});
        }
        text += tenant(name, net, quota) + pools;
      }
      const Document wanted = projection(generation, text);
      if (!lang::verify_projection(wanted, test::policy())) continue;
      ++taken;
      state = converge(state, wanted, upto(3) ? kAll : kExecuted).state;
      ASSERT_FALSE(::testing::Test::HasFailure()) << text;
    }
  }
  EXPECT_GT(taken, 400) << "too few of the drawn projections are sound";
}

}  // namespace
}  // namespace mvm::planner
