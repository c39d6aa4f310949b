// Who rests, in chains of rounds that are drawn.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/planner/after_plan.h"

namespace mvm::planner {
namespace {

using lang::Document;
using std::chrono::seconds;
using test::pool;
using test::projection;
using test::tenant;
using wire::GuestSays;
using wire::Reading;

// Any readings, pressure, holds, wakes and projections: what must hold of who rests holds after each step, every plan verifies, and the node follows.
TEST(Idleness, HoldsItsRulesWhateverHappens) {
  const char* seed_text = std::getenv("MVM_TEST_SEED");
  const unsigned seed = seed_text != nullptr ? static_cast<unsigned>(std::strtoul(seed_text, nullptr, 10)) : std::random_device{}();
  std::printf("MVM_TEST_SEED=%u\n", seed);
  std::mt19937 random(seed);
  const auto upto = [&](int most) { return static_cast<int>(random() % static_cast<unsigned>(most + 1)); };
  std::size_t rested = 0, woken = 0;
  for (int chain = 0; chain < 40; ++chain) {
    Document state = test::empty_state();
    Idle idle({.warm_after = seconds(upto(1) * 20), .sleep_after = seconds(upto(3) * 30), .awake_for = seconds(upto(20))});
    Idle::Time now{std::chrono::hours(1)};
    std::map<Subject, std::uint64_t> cpu;
    std::map<Subject, Idle::Time> began;
    Document wanted = test::empty_state();
    for (std::uint32_t at = 0; at < 60; ++at) {
      if (at % 15 == 0) {
        const std::string pinned = upto(4) ? "no" : "yes", critical = upto(6) ? "no" : "yes";
        wanted = projection(at + 1, test::kPrune + tenant("acme", 3) + pool("acme/db", {.running = upto(3), .warm = upto(1), .sleeping = upto(1), .pinned = pinned, .critical = critical}) +
                                        pool("acme/web", {.running = upto(4), .warm = upto(1), .sleeping = upto(2)}));
      }
      now += seconds(1 + upto(14));
      const Fleet fleet = read_fleet(state);
      std::vector<Reading> readings;
      for (const auto& [subject, instance] : fleet.instances) {
        if (instance.phase() != Phase::kRunning) began.erase(subject);
        else began.try_emplace(subject, now);
        if (instance.phase() != Phase::kRunning || upto(20) == 0) continue;
        cpu[subject] += static_cast<std::uint64_t>(upto(2) == 0 ? 10'000'000 : 0);
        readings.push_back({.instance = subject, .cpu = cpu[subject], .guest = static_cast<GuestSays>(upto(5)), .since = 0});
        readings.back().since = readings.back().guest == GuestSays::kNothing ? 0 : static_cast<std::uint32_t>(upto(200));
      }
      const Rests before = idle.rests();
      idle.see(fleet, upto(4) ? std::optional<std::span<const Reading>>(readings) : std::nullopt, now);
      const Rests seen = idle.rests();
      idle.decide(wanted, upto(1) ? std::optional<double>(upto(20)) : std::nullopt, now);
      const std::set<Subject> held = idle.held(now);
      std::size_t falling = 0;
      for (const auto& [subject, rest] : idle.rests()) {
        const auto line = std::ranges::find_if(wanted.statements, [&](const auto& each) { return each.word == lang::Word::kPool && each.subject == pool_subject(subject.tenant, subject.pool); });
        ASSERT_NE(line, wanted.statements.end()) << "of no pool that is wanted";
        const lang::PoolView view = lang::pool_view(*line);
        ASSERT_FALSE(view.pinned || view.critical);
        const auto was = seen.find(subject);
        const bool changed = was == seen.end() || was->second != rest;
        ASSERT_FALSE(changed && held.contains(subject)) << "held";
        ASSERT_FALSE(was != seen.end() && was->second == Rest::kAsleep && rest == Rest::kWarm) << "half awake";
        if (changed && was == seen.end()) {
          ASSERT_EQ(fleet.instances.at(subject).phase(), Phase::kRunning);
          ASSERT_GE(now - began.at(subject), idle.settings().awake_for);
          ++rested;
        }
        falling += rest == Rest::kAsleep && fleet.instances.at(subject).phase() != Phase::kSleeping && changed;
      }
      ASSERT_LE(falling, kMaxFallingAsleep);
      if (upto(6) == 0) {
        const Subject pool = pool_subject(*Name::from("acme"), *Name::from(upto(1) ? "db" : "web"));
        woken += idle.wake(pool, static_cast<std::size_t>(1 + upto(3)), now).woken;
      }
      if (upto(8) == 0 && !fleet.instances.empty()) (void)idle.hold(fleet.instances.begin()->first, now + seconds(upto(60)));
      const Document after = after_plan(state, wanted, idle.rests(), idle.held(now), {}, at + 1);
      for (const Subject& subject : idle.held(now)) {
        if (!fleet.instances.contains(subject)) continue;
        ASSERT_EQ(phase_of(after, subject), phase_of(state, subject)) << to_string(subject) << " is held";
      }
      state = after;
      ASSERT_FALSE(::testing::Test::HasFailure());
    }
  }
  EXPECT_GT(rested, 20u);
  EXPECT_GT(woken, 5u);
}

}  // namespace
}  // namespace mvm::planner
