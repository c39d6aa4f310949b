#include "planner/idle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "policy-lang/diff.h"
#include "tests/planner/after_plan.h"

namespace mvm::planner {
namespace {

using lang::Document;
using std::chrono::seconds;
using test::pool;
using test::PoolText;
using test::projection;
using test::tenant;
using wire::GuestSays;
using wire::Reading;

const Subject kPool = pool_subject(*Name::from("acme"), *Name::from("web"));

Document wanted(const PoolText& text, std::uint64_t generation = 1) { return projection(generation, test::kPrune + tenant("acme", 3) + pool("acme/web", text)); }

// A node of one pool, whose instances do as they are made to.
class Resting : public ::testing::Test {
 protected:
  void have(const PoolText& text, IdleSettings settings = {}) {
    wanted_ = wanted(text);
    idle_ = Idle(settings);
    settle();
    for (const auto& [subject, instance] : read_fleet(state_).instances) all_.push_back(subject);
    see();
  }
  void settle() {
    for (int i = 0; i < 8; ++i) state_ = after_plan(state_, wanted_, idle_.rests(), idle_.held(now_), {}, ++seq_);
  }
  void see() {
    std::vector<Reading> readings;
    for (const Subject& subject : all_) {
      if (phase_of(state_, subject) != Phase::kRunning && phase_of(state_, subject) != Phase::kWarm) continue;
      Reading reading = reading_[subject];
      reading.instance = subject;
      reading.cpu = reading.cpu.value_or(0);
      readings.push_back(reading);
    }
    idle_.see(read_fleet(state_), readings, now_);
    idle_.decide(wanted_, pressure_, now_);
  }
  // Time goes by in steps of five seconds, and plans run.
  void pass(seconds time) {
    for (const auto until = now_ + time; now_ < until;) {
      now_ += std::min<Idle::Time::duration>(seconds(5), until - now_);
      for (const Subject& subject : busy_) {
        Reading& reading = reading_[subject];
        reading.cpu = reading.cpu.value_or(0) + 4'000'000;
      }
      see();
      state_ = after_plan(state_, wanted_, idle_.rests(), idle_.held(now_), {}, ++seq_);
    }
  }
  Phase phase(std::size_t which) const { return phase_of(state_, all_.at(which)); }

  Document state_ = test::empty_state(), wanted_ = wanted({});
  Idle idle_;
  Idle::Time now_{std::chrono::hours(1000)};
  std::vector<Subject> all_;
  std::map<Subject, Reading> reading_;
  std::set<Subject> busy_;
  std::optional<double> pressure_;
  std::uint32_t seq_ = 0;
};

TEST_F(Resting, AnIdleOneIsPausedAfterT1AndSleepsAfterT2AndABusyOneRunsOn) {
  have({.running = 2});
  busy_ = {all_[1]};
  pass(seconds(295));
  EXPECT_EQ(phase(0), Phase::kRunning);
  pass(seconds(10));
  EXPECT_EQ(phase(0), Phase::kWarm);
  EXPECT_EQ(phase(1), Phase::kRunning);
  pass(seconds(585));
  EXPECT_EQ(phase(0), Phase::kWarm);
  pass(seconds(20));
  EXPECT_EQ(phase(0), Phase::kSleeping);
  pass(seconds(5000));
  EXPECT_EQ(phase(0), Phase::kSleeping) << "it is not woken to meet the count: it counts as running";
  EXPECT_EQ(phase(1), Phase::kRunning);
  EXPECT_EQ(all_.size(), read_fleet(state_).instances.size()) << "nor is another made in its place";
}

TEST_F(Resting, WhatIsPausedHasParkedAndGoesOnWhenItIsWoken) {
  have({.running = 1});
  pass(seconds(310));
  const Fleet paused = read_fleet(state_);
  const lang::JailView jail = lang::jail_view(*paused.instances.at(all_[0]).line(lang::Word::kJail));
  EXPECT_EQ(jail.state, lang::kWarm);
  EXPECT_EQ(jail.guest, lang::kParked);
  const Idle::Wakes wakes = idle_.wake(kPool, 1, now_);
  EXPECT_EQ(wakes.woken, 1u);
  settle();
  const Fleet woken = read_fleet(state_);
  const lang::JailView after = lang::jail_view(*woken.instances.at(all_[0]).line(lang::Word::kJail));
  EXPECT_EQ(after.state, lang::kRunning);
  EXPECT_EQ(after.guest, lang::kAwake);
}

TEST_F(Resting, OneWhoseGuestIsDeafIsPausedWithoutHavingParkedAndThenSleeps) {
  have({.running = 1});
  const Rests warm{{all_[0], Rest::kWarm}}, asleep{{all_[0], Rest::kAsleep}};
  Document paused = after_plan(state_, wanted_, warm, {}, {all_[0]}, 50);
  EXPECT_EQ(lang::jail_view(*read_fleet(paused).instances.at(all_[0]).line(lang::Word::kJail)).guest, lang::kAwake);
  paused = after_plan(paused, wanted_, asleep, {}, {all_[0]}, 51);
  EXPECT_EQ(phase_of(paused, all_[0]), Phase::kSleeping);
  Document at_once = after_plan(state_, wanted_, asleep, {}, {all_[0]}, 52);
  at_once = after_plan(at_once, wanted_, asleep, {}, {all_[0]}, 53);
  EXPECT_EQ(phase_of(at_once, all_[0]), Phase::kSleeping);
}

TEST_F(Resting, PinnedAndCriticalNeverDo) {
  for (const PoolText& text : {PoolText{.running = 1, .pinned = "yes"}, PoolText{.running = 1, .critical = "yes"}}) {
    state_ = test::empty_state();
    all_.clear();
    pressure_ = 90;
    have(text);
    pass(seconds(2000));
    EXPECT_EQ(phase(0), Phase::kRunning);
    EXPECT_TRUE(idle_.rests().empty());
    EXPECT_EQ(idle_.put_to_sleep(all_[0]).error().code, Errc::kDenied);
  }
}

TEST_F(Resting, OfPinnedAndCriticalPoolsNothingRestsWhateverIsSaid) {
  have({.running = 1});
  for (const PoolText& text : {PoolText{.running = 1, .pinned = "yes"}, PoolText{.running = 1, .critical = "yes"}}) {
    EXPECT_EQ(phase_of(after_plan(state_, wanted(text, 2), {{all_[0], Rest::kWarm}}), all_[0]), Phase::kRunning);
  }
  const Rests asleep{{all_[0], Rest::kAsleep}};
  const Document sleeping = after_plan(state_, wanted_, asleep, {}, {}, 5);
  ASSERT_EQ(phase_of(sleeping, all_[0]), Phase::kSleeping);
  EXPECT_EQ(phase_of(after_plan(sleeping, wanted({.running = 1, .pinned = "yes"}, 2), asleep), all_[0]), Phase::kRunning) << "nor counts as running while it sleeps";
}

TEST_F(Resting, OneThatRestsWakesWhenItsPoolBecomesPinned) {
  have({.running = 1});
  pass(seconds(910));
  ASSERT_EQ(phase(0), Phase::kSleeping);
  wanted_ = wanted({.running = 1, .pinned = "yes"}, 2);
  pass(seconds(30));
  EXPECT_EQ(phase(0), Phase::kRunning);
}

TEST_F(Resting, WhatHasOnlyJustBegunToRunIsLeftAwake) {
  have({.running = 1}, {.warm_after = seconds(20), .sleep_after = seconds(40), .awake_for = seconds(60)});
  pass(seconds(55));
  EXPECT_EQ(phase(0), Phase::kRunning);
  pass(seconds(20));
  EXPECT_NE(phase(0), Phase::kRunning);
  (void)idle_.wake(kPool, 1, now_);
  settle();
  see();
  pressure_ = 50;
  pass(seconds(55));
  EXPECT_EQ(phase(0), Phase::kRunning) << "not even where memory is short";
}

TEST_F(Resting, WhereMemoryIsShortTheColdestGoFirstAndNoneThatIsWarmFromWork) {
  have({.running = 4}, {.awake_for = seconds(0)});
  busy_ = {all_[0], all_[1], all_[2]};
  pass(seconds(100));
  busy_ = {all_[0], all_[1]};
  pass(seconds(60));
  pressure_ = 9.9;
  pass(seconds(5));
  EXPECT_TRUE(idle_.rests().empty()) << "below the threshold";
  pressure_ = 10;
  busy_ = {all_[0]};
  pass(seconds(5));
  EXPECT_EQ(idle_.rests(), (Rests{{all_[2], Rest::kAsleep}, {all_[3], Rest::kAsleep}}));
  pass(seconds(20));
  EXPECT_EQ(phase(1), Phase::kRunning) << "idle for less than it takes";
  pass(seconds(20));
  EXPECT_EQ(phase(1), Phase::kSleeping);
  EXPECT_EQ(phase(0), Phase::kRunning);
}

TEST_F(Resting, WhoIsNeverToRestDoesNotHoweverShortMemoryIs) {
  have({.running = 1}, kNobodyRests);
  pressure_ = 100;
  pass(seconds(5000));
  EXPECT_EQ(phase(0), Phase::kRunning);
  EXPECT_TRUE(idle_.rests().empty());
}

TEST_F(Resting, OnlyWhatRunsOrRestsIsPutToSleepByHand) {
  have({.running = 1, .warm = 1});
  const std::size_t kept_warm = phase(0) == Phase::kWarm ? 0 : 1;
  EXPECT_EQ(idle_.put_to_sleep(all_[kept_warm]).error().code, Errc::kDenied);
  EXPECT_TRUE(idle_.put_to_sleep(all_[1 - kept_warm]));
}

TEST_F(Resting, OfManyThatArePutToSleepByHandAPlanTakesSoMany) {
  have({.running = 12});
  for (const Subject& subject : all_) ASSERT_TRUE(idle_.put_to_sleep(subject));
  std::size_t asleep = 0;
  for (const std::size_t expected : {kMaxSleepsARound, std::size_t{12}}) {
    state_ = after_plan(state_, wanted_, idle_.rests(), {}, {}, ++seq_);
    asleep = 0;
    for (std::size_t i = 0; i < 12; ++i) asleep += phase(i) == Phase::kSleeping;
    EXPECT_EQ(asleep, expected);
  }
}

TEST_F(Resting, OfManyThatTheirPoolsCountPutsToSleepAPlanTakesSoMany) {
  have({.running = 12});
  wanted_ = wanted({.sleeping = 12}, 2);
  std::vector<std::size_t> asleep;
  for (int plan = 0; plan < 6; ++plan) {
    state_ = after_plan(state_, wanted_, {}, {}, {}, ++seq_);
    const Fleet fleet = read_fleet(state_);
    EXPECT_EQ(fleet.instances.size(), 12u);
    asleep.push_back(static_cast<std::size_t>(std::ranges::count_if(fleet.instances, [](const auto& each) { return each.second.phase() == Phase::kSleeping; })));
  }
  EXPECT_EQ(asleep.front(), kMaxSleepsARound);
  EXPECT_EQ(asleep.back(), 12u);
}

TEST_F(Resting, NoMoreFallAsleepAtOnceThanTheirBound) {
  have({.running = 12});
  pass(seconds(305));
  now_ += seconds(2000);
  see();
  std::size_t falling = 0;
  for (const auto& [subject, rest] : idle_.rests()) falling += rest == Rest::kAsleep;
  EXPECT_EQ(falling, kMaxFallingAsleep);
  see();
  EXPECT_EQ(std::ranges::count_if(idle_.rests(), [](const auto& each) { return each.second == Rest::kAsleep; }), static_cast<std::ptrdiff_t>(kMaxFallingAsleep)) << "nor in the next look";
  pass(seconds(100));
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(phase(i), Phase::kSleeping) << "but in the end all do";
}

TEST_F(Resting, NoMoreArePausedAtOnceThanTheirBound) {
  have({.running = 20});
  now_ += seconds(301);
  see();
  EXPECT_EQ(idle_.rests().size(), kMaxPausing);
}

TEST_F(Resting, WhatIsHeldIsLeftAsItIs) {
  have({.running = 1});
  ASSERT_TRUE(idle_.hold(all_[0], now_ + seconds(3000)));
  pass(seconds(2000));
  EXPECT_EQ(phase(0), Phase::kRunning);
  wanted_ = wanted({}, 2);
  pass(seconds(900));
  EXPECT_EQ(phase(0), Phase::kRunning) << "and so it is where none is wanted";
  pass(seconds(200));
  EXPECT_EQ(phase(0), Phase::kStopped);
  EXPECT_EQ(idle_.hold(instance_subject(kPool.tenant, kPool.pool, {77}), now_).error().code, Errc::kNotFound);
}

TEST_F(Resting, WhatSleepsAndIsHeldIsNotWokenAndNobodyTakesItsPlace) {
  have({.running = 2});
  ASSERT_TRUE(idle_.put_to_sleep(all_[0]));
  settle();
  see();
  ASSERT_EQ(phase(0), Phase::kSleeping);
  ASSERT_TRUE(idle_.hold(all_[0], now_ + seconds(100)));
  const Idle::Wakes wakes = idle_.wake(kPool, 2, now_);
  EXPECT_EQ(wakes.awake, 1u);
  EXPECT_EQ(wakes.woken, 0u);
  settle();
  EXPECT_EQ(phase(0), Phase::kSleeping);
  EXPECT_EQ(read_fleet(state_).instances.size(), 2u);
}

TEST_F(Resting, AWakeTakesTheWarmFirstAndTwoWakesWakeOnce) {
  have({.running = 3});
  for (const std::size_t which : {0u, 1u}) ASSERT_TRUE(idle_.put_to_sleep(all_[which]));
  settle();
  busy_ = {};
  pass(seconds(310));
  ASSERT_EQ(phase(2), Phase::kWarm);
  Idle::Wakes first = idle_.wake(kPool, 1, now_);
  EXPECT_EQ(first.woken, 1u);
  EXPECT_FALSE(idle_.rests().contains(all_[2]));
  const Idle::Wakes second = idle_.wake(kPool, 1, now_);
  EXPECT_EQ(second.woken, 0u) << "the first is on its way";
  EXPECT_EQ(second.waking, 1u);
  EXPECT_EQ(second.awake, 0u);
  settle();
  see();
  const Idle::Wakes third = idle_.wake(kPool, 1, now_);
  EXPECT_EQ(third.woken, 0u);
  EXPECT_EQ(third.awake, 1u);
  EXPECT_EQ(third.waking, 0u);
}

TEST_F(Resting, ReadsIdlenessOfAllThatIsKnown) {
  have({.running = 1}, {.warm_after = seconds(30), .sleep_after = seconds(0), .awake_for = seconds(0)});
  const auto idle_after = [&](const std::function<void(Reading&, int)>& change) {
    Reading reading{.instance = all_[0], .cpu = 0, .frames = wire::Frames{}};
    for (int i = 0; i < 20; ++i) {
      now_ += seconds(5);
      change(reading, i);
      idle_.see(read_fleet(state_), std::span<const Reading>(&reading, 1), now_);
    }
    return idle_.idle_for(all_[0], now_);
  };
  EXPECT_GE(idle_after([](Reading&, int) {}), seconds(90)) << "nothing moves";
  EXPECT_GE(idle_after([](Reading& r, int) { *r.cpu += 200'000; }), seconds(90)) << "4 %";
  EXPECT_EQ(idle_after([](Reading& r, int) { *r.cpu += 300'000; }), seconds(0)) << "6 %";
  EXPECT_GE(idle_after([](Reading& r, int) { r.frames->sent += 5, r.frames->received += 5000; }), seconds(80)) << "one a second; what others send it is no work of its own";
  EXPECT_EQ(idle_after([](Reading& r, int) { r.frames->sent += 6; }), seconds(0));
  EXPECT_EQ(idle_after([](Reading& r, int) { r.guest = GuestSays::kBusy; }), seconds(0));
  EXPECT_EQ(idle_after([](Reading& r, int) { r.guest = GuestSays::kStarting; }), seconds(0));
  EXPECT_EQ(idle_after([](Reading& r, int) { r.guest = GuestSays::kIdle, r.since = 12; }), seconds(12)) << "no longer than it says itself";
  EXPECT_EQ(idle_after([](Reading& r, int) { r.guest = GuestSays::kReady, r.since = 12; }), seconds(12));
  EXPECT_EQ(idle_after([](Reading& r, int) { r.cpu.reset(); }), seconds(0)) << "nothing is known";
  EXPECT_EQ(idle_after([](Reading& r, int i) { r.cpu = static_cast<std::uint64_t>(100 - i); }), seconds(0)) << "counted anew";
  EXPECT_EQ(idle_after([this, too_soon = Reading{.instance = all_[0]}](Reading& r, int) mutable {
    too_soon.cpu = *r.cpu + 1000;
    idle_.see(read_fleet(state_), std::span<const Reading>(&r, 1), now_);
    now_ += std::chrono::milliseconds(10);
    idle_.see(read_fleet(state_), std::span<const Reading>(&too_soon, 1), now_);
    *r.cpu += 1000;
  }), seconds(95)) << "10 % of a moment is nothing";
  Reading other{.instance = instance_subject(kPool.tenant, kPool.pool, {77}), .cpu = 0};
  now_ += seconds(50);
  idle_.see(read_fleet(state_), std::span<const Reading>(&other, 1), now_);
  EXPECT_EQ(idle_.idle_for(all_[0], now_), seconds(0)) << "it runs, and nothing was read of it";
  now_ += seconds(50);
  idle_.see(read_fleet(state_), std::nullopt, now_);
  EXPECT_EQ(idle_.idle_for(all_[0], now_), seconds(50)) << "nothing was read of anyone";
}

TEST_F(Resting, OneThatIsPausedAndSentToGoesOn) {
  have({.running = 1}, {.warm_after = seconds(300), .sleep_after = seconds(0)});
  const auto come = [&](std::uint64_t frames) {
    reading_[all_[0]].frames = wire::Frames{0, reading_[all_[0]].frames.value_or(wire::Frames{}).received + frames};
    pass(seconds(5));
    return phase(0);
  };
  EXPECT_EQ(come(0), Phase::kRunning);
  pass(seconds(295));
  ASSERT_EQ(phase(0), Phase::kWarm);
  EXPECT_EQ(come(50), Phase::kWarm) << "what came before it was paused is none of it";
  for (int i = 0; i < 10; ++i) EXPECT_EQ(come(kWakingFrames - 1), Phase::kWarm) << "a neighbour's";
  EXPECT_EQ(come(kWakingFrames), Phase::kRunning);
  EXPECT_TRUE(idle_.rests().empty());
  EXPECT_EQ(idle_.wake(kPool, 1, now_).woken, 0u) << "it is on its way";
  EXPECT_EQ(come(500), Phase::kRunning);
  pass(seconds(280));
  EXPECT_EQ(phase(0), Phase::kRunning) << "it is left awake for as long as any other";
  pass(seconds(20));
  EXPECT_EQ(phase(0), Phase::kWarm);
}

TEST_F(Resting, OneThatIsHeldOrOnItsWayToSleepHearsNobody) {
  for (const bool held : {true, false}) {
    state_ = test::empty_state();
    all_.clear();
    have({.running = 1}, {.sleep_after = seconds(0)});
    reading_[all_[0]].frames = wire::Frames{};
    pass(seconds(310));
    ASSERT_EQ(phase(0), Phase::kWarm);
    if (held) ASSERT_TRUE(idle_.hold(all_[0], now_ + seconds(100)));
    else ASSERT_TRUE(idle_.put_to_sleep(all_[0]));
    const Rests before = idle_.rests();
    reading_[all_[0]].frames->received += 50;
    now_ += seconds(5);
    see();
    EXPECT_EQ(idle_.rests(), before);
  }
}

TEST_F(Resting, OneThatIsKeptWarmByItsPoolsCountHearsNobody) {
  have({.running = 1, .warm = 1});
  const std::size_t which = phase(0) == Phase::kWarm ? 0 : 1;
  ASSERT_EQ(phase(which), Phase::kWarm);
  reading_[all_[which]].frames = wire::Frames{};
  pass(seconds(10));
  reading_[all_[which]].frames->received += 50;
  pass(seconds(10));
  EXPECT_EQ(phase(which), Phase::kWarm);
  EXPECT_EQ(idle_.wake(kPool, 2, now_).waking, 0u);
}

TEST_F(Resting, OneThatSomebodyElseHasWokenRestsNoMore) {
  have({.running = 1});
  ASSERT_TRUE(idle_.put_to_sleep(all_[0]));
  settle();
  see();
  ASSERT_EQ(phase(0), Phase::kSleeping);
  for (int i = 0; i < 3; ++i) state_ = after_plan(state_, wanted_, {}, {}, {}, ++seq_);
  ASSERT_EQ(phase(0), Phase::kRunning);
  see();
  EXPECT_TRUE(idle_.rests().empty());
}

TEST_F(Resting, OneThatCannotSleepJustNowStaysPausedAndTakesNobodysPlace) {
  have({.running = 3});
  pass(seconds(310));
  now_ += seconds(2000);
  see();
  std::vector<Subject> falling;
  for (const auto& [subject, rest] : idle_.rests()) {
    if (rest == Rest::kAsleep) falling.push_back(subject);
  }
  ASSERT_EQ(falling.size(), kMaxFallingAsleep);
  for (const Subject& subject : falling) idle_.hindered(subject, now_);
  for (const Subject& subject : falling) EXPECT_EQ(idle_.rests().at(subject), Rest::kWarm);
  see();
  EXPECT_EQ(std::ranges::count_if(idle_.rests(), [](const auto& each) { return each.second == Rest::kAsleep; }), 1) << "the third goes";
  now_ += kHinderedFor;
  see();
  EXPECT_EQ(std::ranges::count_if(idle_.rests(), [](const auto& each) { return each.second == Rest::kAsleep; }), 2) << "and then one of them";
}

TEST_F(Resting, OneThatSaidNoIsAskedAgainAfterAsLongOnceMore) {
  have({.running = 1});
  now_ += seconds(301);
  see();
  ASSERT_TRUE(idle_.rests().contains(all_[0]));
  idle_.refused(all_[0], now_);
  now_ += seconds(299);
  see();
  EXPECT_TRUE(idle_.rests().empty());
  now_ += seconds(1);
  see();
  EXPECT_TRUE(idle_.rests().contains(all_[0]));
}

TEST(Kept, IsForTheNextAgent) {
  const Subject one = instance_subject(kPool.tenant, kPool.pool, {1}), two = instance_subject(kPool.tenant, kPool.pool, {2});
  const Kept kept{{{one, Rest::kWarm}, {two, Rest::kAsleep}}, {{two, seconds(77)}}};
  EXPECT_EQ(write_kept(kept), "acme/web/i-00000001 warm\nacme/web/i-00000002 asleep\nacme/web/i-00000002 held 77\n");
  EXPECT_EQ(read_kept(write_kept(kept)), kept);
  EXPECT_EQ(Idle({}, kept).kept(), kept);
  EXPECT_EQ(Idle({}, kept).held(Idle::Time(seconds(76))), (std::set{two}));
  EXPECT_EQ(read_kept("acme/web/i-00000001 warm\nacme/web warm\nx\n\nacme/web/i-00000002 awake\nacme/web/i-00000002 held\nacme/web/i-00000002 held x\n"
                      "acme/web/i-00000002 held 1x\nacme/web/i-00000002 asleep").rests, (Rests{{one, Rest::kWarm}}));
  EXPECT_TRUE(read_kept("acme/web/i-00000002 held 99999999999\n").holds.empty());
  const std::string line = "acme/web/i-00000001 warm\n";
  std::string much;
  while (much.size() < kMaxKeptText) much += line;
  EXPECT_EQ(read_kept(much + "acme/web/i-00000002 warm\n").rests, (Rests{{one, Rest::kWarm}}));
}

TEST(Pressure, IsReadAsTheKernelWritesIt) {
  EXPECT_EQ(read_pressure("some avg10=12.34 avg60=0.00 avg300=0.00 total=5\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"), 12.34);
  for (const char* other : {"", "full avg10=1.00 ", "some avg10=", "some avg10=x ", "some avg10=1.00", "some avg10=-1.00 ", "some avg10=101.00 ", "some avg10=nan "}) {
    EXPECT_FALSE(read_pressure(other)) << other;
  }
}

}  // namespace
}  // namespace mvm::planner
