#include "planner/requests.h"

#include <gtest/gtest.h>

#include "tests/planner/texts.h"

namespace mvm::planner {
namespace {

using std::chrono::seconds;
using wire::AgentAnswer;

const Subject kPool = pool_subject(*Name::from("acme"), *Name::from("web"));
const Subject kOne = instance_subject(kPool.tenant, kPool.pool, {1}), kTwo = instance_subject(kPool.tenant, kPool.pool, {2});

std::string running(const Subject& subject, const std::string& state = "running") {
  return "jail " + to_string(subject) + " image=sha256:" + std::string(64, '5') + " vcpus=1 mem=256 boot=cold state=" + state + " guest=awake\n";
}
std::string sleeping(const Subject& subject) { return "snapshot " + to_string(subject) + " kind=full base=none key=acme/1 compression=zstd slot=3 seq=1\n"; }

class Requested : public ::testing::Test {
 protected:
  Requested() {
    const auto text = test::projection_text(1, test::kPrune + test::tenant("acme", 3) + test::pool("acme/web", {.running = 2}));
    wanted_ = test::parsed(lang::Kind::kProjection, text);
  }
  // What is, as a step begins with it.
  Report see(const std::string& lines, Outcome outcome = Outcome::kChanged) {
    Report report;
    report.outcome = outcome;
    report.state = test::parsed(lang::Kind::kState, test::sealed("mvm-state 1\nnode node-7\ngeneration 1\ndesired none\n" + lines));
    report.has_state = true;
    idle_.see(read_fleet(report.state), std::nullopt, now_);
    idle_.decide(wanted_, std::nullopt, now_);
    report.rests = idle_.rests();
    return report;
  }
  void both_sleep() {
    (void)see(running(kOne) + running(kTwo));
    for (const Subject& each : {kOne, kTwo}) ASSERT_TRUE(idle_.put_to_sleep(each));
    (void)see(sleeping(kOne) + sleeping(kTwo));
  }

  lang::Document wanted_;
  Idle idle_;
  Requests requests_;
  Idle::Time now_{std::chrono::hours(5)};
};

TEST_F(Requested, AWakeIsAnsweredWhenSoManyRun) {
  both_sleep();
  EXPECT_FALSE(requests_.take(7, wire::WakePool{kPool, 1}, idle_, now_));
  EXPECT_TRUE(requests_.waiting());
  EXPECT_EQ(idle_.rests().size(), 1u);
  EXPECT_TRUE(requests_.after(see(sleeping(kOne) + sleeping(kTwo)), now_).empty()) << "its plan has run, and what is is from before";
  const auto answers = requests_.after(see(running(kOne) + sleeping(kTwo), Outcome::kConverged), now_);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].who, 7u);
  EXPECT_EQ(answers[0].answer, (AgentAnswer{true, 1, 1, ""}));
  EXPECT_FALSE(requests_.waiting());
}

TEST_F(Requested, OfTwoWakesAtOnceTheSecondIsToldThatItIsAwake) {
  both_sleep();
  EXPECT_FALSE(requests_.take(1, wire::WakePool{kPool, 2}, idle_, now_));
  EXPECT_FALSE(requests_.take(2, wire::WakePool{kPool, 2}, idle_, now_));
  const auto answers = requests_.after(see(running(kOne) + running(kTwo)), now_);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].answer, (AgentAnswer{true, 2, 2, ""}));
  EXPECT_EQ(answers[1].answer, (AgentAnswer{true, 2, 0, ""}));
  EXPECT_EQ(requests_.take(3, wire::WakePool{kPool, 2}, idle_, now_), (AgentAnswer{true, 2, 0, ""})) << "at once, where there is nothing to be done";
}

TEST_F(Requested, TwoWakesForOneAtOnceWakeOneInstance) {
  both_sleep();
  EXPECT_FALSE(requests_.take(1, wire::WakePool{kPool, 1}, idle_, now_));
  EXPECT_FALSE(requests_.take(2, wire::WakePool{kPool, 1}, idle_, now_));
  EXPECT_EQ(idle_.rests().size(), 1u);
}

TEST_F(Requested, AWakeForMoreThanThereAreIsNotDone) {
  both_sleep();
  EXPECT_FALSE(requests_.take(1, wire::WakePool{kPool, 3}, idle_, now_));
  EXPECT_TRUE(requests_.after(see(running(kOne) + running(kTwo)), now_).empty());
  Report settled = see(running(kOne) + running(kTwo), Outcome::kConverged);
  settled.notes = {{kPool, "the tenant's quota of running instances is 2"}};
  const auto answers = requests_.after(settled, now_);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].answer, (AgentAnswer{false, 2, 0, "2 of 3 run, and there are no more to be woken: the tenant's quota of running instances is 2"}));
}

TEST_F(Requested, AWakeThatDoesNotComeAboutEnds) {
  both_sleep();
  EXPECT_FALSE(requests_.take(1, wire::WakePool{kPool, 1}, idle_, now_));
  Report failed = see(sleeping(kOne) + sleeping(kTwo), Outcome::kFailed);
  failed.detail = "hostd runs another plan";
  EXPECT_TRUE(requests_.after(failed, now_ + kRequestTime - seconds(1)).empty());
  const auto answers = requests_.after(failed, now_ + kRequestTime);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].answer.done);
  EXPECT_NE(answers[0].answer.why.find("hostd runs another plan"), std::string::npos);
}

TEST_F(Requested, OneIsPutToSleepOrTheReasonIsGiven) {
  (void)see(running(kOne) + running(kTwo));
  EXPECT_FALSE(requests_.take(1, wire::RestInstance{kOne}, idle_, now_));
  EXPECT_TRUE(requests_.after(see(running(kOne) + running(kTwo)), now_).empty());
  auto answers = requests_.after(see(sleeping(kOne) + running(kTwo)), now_);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].answer, (AgentAnswer{true, 0, 0, ""}));
  EXPECT_FALSE(requests_.take(2, wire::RestInstance{kTwo}, idle_, now_));
  idle_.refused(kTwo, now_);
  answers = requests_.after(see(sleeping(kOne) + running(kTwo)), now_);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].answer.done);
  EXPECT_FALSE(requests_.take(3, wire::RestInstance{instance_subject(kPool.tenant, kPool.pool, {9})}, idle_, now_)->done);
}

TEST_F(Requested, ASleepThatDoesNotComeAboutEnds) {
  (void)see(running(kOne) + running(kTwo));
  EXPECT_FALSE(requests_.take(1, wire::RestInstance{kOne}, idle_, now_));
  const Report going_on = see(running(kOne) + running(kTwo), Outcome::kFailed);
  EXPECT_TRUE(requests_.after(going_on, now_ + kRequestTime - seconds(1)).empty());
  auto answers = requests_.after(going_on, now_ + kRequestTime);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_FALSE(answers[0].answer.done);
  EXPECT_NE(answers[0].answer.why.find("not within"), std::string::npos);
  EXPECT_FALSE(requests_.take(2, wire::RestInstance{kTwo}, idle_, now_));
  Report settled = see(running(kOne) + running(kTwo), Outcome::kConverged);
  settled.notes = {{kTwo, "there is no key"}};
  answers = requests_.after(settled, now_);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].answer, (AgentAnswer{false, 0, 0, "it is not put to sleep: there is no key"}));
}

TEST_F(Requested, AHoldIsAnsweredAtOnce) {
  (void)see(running(kOne));
  EXPECT_EQ(requests_.take(1, wire::HoldInstance{kOne, 60}, idle_, now_), (AgentAnswer{true, 0, 0, ""}));
  EXPECT_EQ(idle_.held(now_), (std::set{kOne}));
  EXPECT_EQ(requests_.take(1, wire::HoldInstance{kOne, 0}, idle_, now_), (AgentAnswer{true, 0, 0, ""}));
  EXPECT_TRUE(idle_.held(now_).empty());
  EXPECT_FALSE(requests_.take(1, wire::HoldInstance{kTwo, 60}, idle_, now_)->done);
  EXPECT_FALSE(requests_.waiting());
}

}  // namespace
}  // namespace mvm::planner
