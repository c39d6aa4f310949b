#include "broker/supervisor/schedule.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/supervisor/scene.h"

namespace mvm::supervisor {
namespace {

using lang::Sign;
using lang::Statement;
using lang::Word;
using Index = Schedule::Index;

// Statements from lines of a plan.
std::vector<Statement> statements(const std::vector<std::string>& lines) {
  std::string text = "mvm-plan 1\nnode node-7\ngeneration 1\ndesired " + test::kImage + "\nbase " + test::kImage + "\n";
  for (const std::string& line : lines) text += line + "\n";
  return test::parsed(lang::Kind::kPlan, test::ended(text)).statements;
}

std::vector<Index> all_that_start(Schedule& schedule) {
  std::vector<Index> started;
  while (const auto next = schedule.start_next()) started.push_back(*next);
  return started;
}

const std::string kBridge = "+ bridge acme net=3 subnet=10.240.3.0/24", kRule = "+ rule acme egress=nat pps=0 mbps=0 cps=0";
std::string cgroup(char sign, int n) { return std::string{sign} + " cgroup acme/workers/" + test::instance_name(n) + " cpu=200 mem=256 pids=64 io=0"; }
std::string tap(char sign, int n, int slot) { return std::string{sign} + " tap acme/workers/" + test::instance_name(n) + " slot=" + std::to_string(slot) + " pps=0 mbps=0"; }

TEST(Schedule, RunsInstancesSideBySideAndEachInItsOwnOrder) {
  const auto plan = statements({cgroup('+', 1), tap('+', 1, 3), cgroup('+', 2), tap('+', 2, 4)});
  Schedule schedule(plan);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{0, 2}));
  schedule.done(2);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{3}));
  schedule.done(0);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{1}));
  schedule.done(1);
  EXPECT_FALSE(schedule.over());
  schedule.done(3);
  EXPECT_TRUE(schedule.over());
}

TEST(Schedule, PassesOverWhatItsWorkerHasNoRoomFor) {
  const auto plan = statements({cgroup('+', 1), tap('+', 2, 3), cgroup('+', 3), tap('+', 4, 4)});
  Schedule schedule(plan);
  const auto net = [](lang::Worker worker) { return worker == lang::Worker::kNet; };
  EXPECT_EQ(schedule.start_next(net), 1u);
  EXPECT_EQ(schedule.start_next(net), 3u);
  EXPECT_EQ(schedule.start_next(net), std::nullopt);
  EXPECT_FALSE(schedule.over());
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{0, 2}));
}

TEST(Schedule, StartsATenantsInstancesAfterWhatIsTheTenantsOwn) {
  const auto plan = statements({kBridge, kRule, cgroup('+', 1)});
  Schedule schedule(plan);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{0}));
  schedule.done(0);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{1}));
  schedule.done(1);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{2}));
}

TEST(Schedule, RemovesWhatIsTheTenantsOwnAfterItsInstances) {
  const auto plan = statements({tap('-', 1, 3), tap('-', 2, 4), "- bridge acme net=3 subnet=10.240.3.0/24"});
  Schedule schedule(plan);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{0, 1}));
  schedule.done(1);
  EXPECT_TRUE(all_that_start(schedule).empty());
  schedule.done(0);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{2}));
}

TEST(Schedule, LetsNothingTakeASlotBeforeEveryEarlierRemovalOfATapIsOver) {
  const auto plan = statements({tap('-', 1, 3), tap('+', 2, 3), cgroup('+', 3)});
  Schedule schedule(plan);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{0, 2})) << "a cgroup takes no slot";
  schedule.done(0);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{1}));
}

TEST(Schedule, DropsWhatWasToFollowAFailureOfTheSameInstanceAlone) {
  const auto plan = statements({cgroup('+', 1), tap('+', 1, 3), cgroup('+', 2), tap('+', 2, 4)});
  Schedule schedule(plan);
  static_cast<void>(all_that_start(schedule));
  EXPECT_EQ(schedule.failed(0), (std::vector<Index>{1}));
  schedule.done(2);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{3}));
  schedule.done(3);
  EXPECT_TRUE(schedule.over());
}

TEST(Schedule, DropsAllOfATenantWhoseOwnFailed) {
  const auto plan = statements({kBridge, kRule, cgroup('+', 1), "+ cgroup beta/workers/i-00000009 cpu=200 mem=256 pids=64 io=0"});
  Schedule schedule(plan);
  EXPECT_EQ(all_that_start(schedule), (std::vector<Index>{0, 3}));
  EXPECT_EQ(schedule.failed(0), (std::vector<Index>{1, 2}));
  schedule.done(3);
  EXPECT_TRUE(schedule.over());
}

TEST(Schedule, DropsOneThatHasNotStartedWithAllOfItsLane) {
  const auto plan = statements({cgroup('+', 1), tap('+', 1, 3), cgroup('+', 2)});
  Schedule schedule(plan);
  EXPECT_EQ(schedule.pending(), (std::vector<Index>{0, 1, 2}));
  EXPECT_EQ(schedule.drop(1), (std::vector<Index>{0, 1}));
  EXPECT_EQ(schedule.pending(), (std::vector<Index>{2}));
}

// Whatever the order in which answers come, each rule of the header holds at every start.
TEST(Schedule, KeepsItsRulesForAnyOrderOfAnswers) {
  const auto from = test::running_lines(6, 6), to = test::running_lines(3, 9);
  lang::Document before = test::empty_state(), after = before;
  before.statements = from;
  after.statements = to;
  const auto plan = lang::diff(before, after).value().statements;
  ASSERT_GT(plan.size(), 15u);
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    Schedule schedule(plan);
    std::vector<bool> over(plan.size());
    std::vector<Index> running;
    std::size_t started = 0;
    while (true) {
      while (const auto next = schedule.start_next()) {
        ++started;
        for (Index i = 0; i < *next; ++i) {
          const bool same = plan[i].subject == plan[*next].subject;
          const bool own = plan[i].subject.tenant == plan[*next].subject.tenant &&
                           (plan[i].subject.kind == SubjectKind::kTenant || plan[*next].subject.kind == SubjectKind::kTenant);
          const bool frees = plan[i].word == plan[*next].word && plan[i].sign == Sign::kRemove && plan[*next].sign == Sign::kAdd;
          EXPECT_TRUE(over[i] || !(same || own || frees)) << seed << ": " << *next << " before " << i;
        }
        running.push_back(*next);
      }
      if (running.empty()) break;
      const std::size_t which = random() % running.size();
      over[running[which]] = true;
      schedule.done(running[which]);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(which));
    }
    EXPECT_EQ(started, plan.size()) << seed;
    EXPECT_TRUE(schedule.over());
  }
}

}  // namespace
}  // namespace mvm::supervisor
