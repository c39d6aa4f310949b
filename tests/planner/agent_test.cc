#include "planner/agent.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "planner/compile.h"
#include "planner/executed.h"
#include "planner/files.h"
#include "planner/instances.h"
#include "policy-lang/diff.h"
#include "tests/planner/played_broker.h"
#include "tests/planner/texts.h"

namespace mvm::planner {
namespace {

class Agent : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "agent-" + std::to_string(getpid());
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_ + "/desired");
    pair_ = *generate_key();
    policy_text_ = test::policy_text(to_hex(pair_.public_key));
    ASSERT_TRUE(replace_file(dir_ + "/policy", policy_text_, 0600));
    config_ = {dir_ + "/desired", dir_ + "/policy", dir_ + "/socket", ""};
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void want(const std::string& text) {
    const Signature signature = *sign(pair_.private_pem, text);
    ASSERT_TRUE(replace_file(dir_ + "/desired/p.projection.sig", {reinterpret_cast<const char*>(signature.data()), signature.size()}, 0600));
    ASSERT_TRUE(replace_file(dir_ + "/desired/p.projection", text, 0600));
  }
  Report run(test::PlayedBroker& broker, std::vector<wire::Event> answers) {
    broker.answers = std::move(answers);
    return step(config_, [](const std::string&) {}, memory_);
  }

  std::string dir_, policy_text_;
  KeyPair pair_;
  AgentConfig config_;
  Memory memory_;
};

const std::string kWanted = test::projection_text(4, test::kPrune + test::tenant("acme", 3) + test::pool("acme/web", {.running = 1}));

wire::Finished finished(std::uint32_t failed) { return {Digest{}, 4, failed, 0, 0, Digest{}, 4}; }

TEST_F(Agent, IsIdleWhileNothingIsWanted) {
  test::PlayedBroker broker(config_.socket, test::empty_state());
  EXPECT_EQ(run(broker, {}).outcome, Outcome::kIdle);
  EXPECT_TRUE(broker.plans.empty());
}

TEST_F(Agent, SubmitsThePlanForWhatIsWanted) {
  want(kWanted);
  test::PlayedBroker broker(config_.socket, test::empty_state());
  const Report report = run(broker, {wire::Accepted{}, finished(0)});
  EXPECT_EQ(report.outcome, Outcome::kChanged) << report.detail;
  ASSERT_EQ(broker.plans.size(), 1u);
  const auto plan = lang::parse(lang::Kind::kPlan, broker.plans[0]);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->header.generation, 4u);
  EXPECT_EQ(plan->statements.size(), 4u);  // bridge, cgroup, tap, jail
}

TEST_F(Agent, RestsWhereTheHostIsAsWanted) {
  want(kWanted);
  const auto wanted = test::parsed(lang::Kind::kProjection, kWanted);
  const auto policy = test::parsed(lang::Kind::kPolicy, policy_text_);
  const auto empty = test::empty_state();
  const auto plan = compile({empty, wanted, policy, kExecuted, 1}).plan;
  test::PlayedBroker broker(config_.socket, *lang::apply(empty, plan));
  EXPECT_EQ(run(broker, {}).outcome, Outcome::kConverged);
  EXPECT_TRUE(broker.plans.empty());
}

TEST_F(Agent, SaysWhyItsPlanWasRefused) {
  want(kWanted);
  test::PlayedBroker broker(config_.socket, test::empty_state());
  wire::Refused refused;
  refused.refusal = {lang::Rule::kFreshness, 5, 0, "base", "the host has changed", "plan again"};
  const Report report = run(broker, {refused});
  EXPECT_EQ(report.outcome, Outcome::kRefused);
  EXPECT_NE(report.detail.find("the host has changed"), std::string::npos);
}

TEST_F(Agent, CountsAPlanThatFailedInPartAsFailed) {
  want(kWanted);
  test::PlayedBroker broker(config_.socket, test::empty_state());
  EXPECT_EQ(run(broker, {wire::Accepted{}, finished(1)}).outcome, Outcome::kFailed);
  EXPECT_EQ(run(broker, {wire::Busy{}}).outcome, Outcome::kFailed);
  EXPECT_EQ(run(broker, {wire::Accepted{}}).outcome, Outcome::kFailed) << "hostd hung up before the end";
}

TEST_F(Agent, NeverPlansForAnOlderGenerationThanTheHostHasSeen) {
  want(kWanted);
  lang::Document newer = test::empty_state();
  newer.header.generation = 5;
  newer.header.has_desired = true;
  test::PlayedBroker broker(config_.socket, newer);
  const Report report = run(broker, {wire::Accepted{}, finished(0)});
  EXPECT_EQ(report.outcome, Outcome::kFailed);
  EXPECT_NE(report.detail.find("the host has seen 5"), std::string::npos);
  EXPECT_TRUE(broker.plans.empty());
}

TEST_F(Agent, RemembersTheGuestsThatDidNotDoAsTheyWereTold) {
  want(kWanted);
  lang::Document running = test::parsed(lang::Kind::kState, test::sealed(
      "mvm-state 1\nnode node-7\ngeneration 1\ndesired none\nbridge acme net=3 subnet=10.240.3.0/24\ncgroup acme/web/i-00000001 cpu=100 mem=384 pids=64 io=0\n"
      "tap acme/web/i-00000001 slot=3 pps=0 mbps=0\njail acme/web/i-00000001 image=sha256:" + std::string(64, '5') +
      " vcpus=1 mem=256 boot=cold state=running guest=parked\n"));
  test::PlayedBroker broker(config_.socket, running);
  (void)run(broker, {wire::Accepted{}, wire::Progress{1, "~ jail", wire::Phase::kFailed, Error{}}, finished(1)});
  EXPECT_TRUE(memory_.deaf.empty()) << "another statement";
  (void)run(broker, {wire::Accepted{}, wire::Progress{9, "~ guest", wire::Phase::kFailed, Error{}}, finished(1)});
  EXPECT_TRUE(memory_.deaf.empty()) << "none of the plan";
  (void)run(broker, {wire::Accepted{}, wire::Progress{0, "~ guest", wire::Phase::kDone, Error{}}, finished(1)});
  EXPECT_TRUE(memory_.deaf.empty()) << "it did";
  ASSERT_NE(broker.plans.at(0).find("\n~ guest acme/web/i-00000001 parked>awake\n"), std::string::npos) << broker.plans.at(0);
  (void)run(broker, {wire::Accepted{}, wire::Progress{0, "~ guest", wire::Phase::kFailed, Error{}}, finished(1)});
  EXPECT_EQ(memory_.deaf, (std::set{instance_subject(*Name::from("acme"), *Name::from("web"), InstanceId{1})}));
  const std::size_t plans = broker.plans.size();
  EXPECT_EQ(run(broker, {wire::Accepted{}, finished(0)}).outcome, Outcome::kChanged);
  ASSERT_EQ(broker.plans.size(), plans + 1);
  EXPECT_EQ(broker.plans.back().find("~ guest"), std::string::npos) << "it is told nothing more";
}

const Subject kOne = instance_subject(*Name::from("acme"), *Name::from("web"), InstanceId{1});

lang::Document one_running() {
  return test::parsed(lang::Kind::kState, test::sealed(
      "mvm-state 1\nnode node-7\ngeneration 1\ndesired none\nbridge acme net=3 subnet=10.240.3.0/24\ncgroup acme/web/i-00000001 cpu=100 mem=384 pids=64 io=0\n"
      "tap acme/web/i-00000001 slot=3 pps=0 mbps=0\njail acme/web/i-00000001 image=sha256:" + std::string(64, '5') +
      " vcpus=1 mem=256 boot=cold state=running guest=awake\n"));
}

TEST_F(Agent, PausesWhatHostdReadsToBeIdle) {
  want(kWanted);
  test::PlayedBroker broker(config_.socket, one_running());
  const auto long_ago = std::chrono::steady_clock::now() - std::chrono::hours(1);
  const auto plan_where_it_says = [&](wire::Reading reading) {
    memory_ = {};
    memory_.idle.see(read_fleet(one_running()), std::nullopt, long_ago);
    broker.readings = {reading};
    (void)run(broker, {wire::Accepted{}, finished(0)});
    return memory_.idle.rests();
  };
  EXPECT_EQ(plan_where_it_says({.instance = kOne, .cpu = 5, .guest = wire::GuestSays::kIdle, .since = 400}), (Rests{{kOne, Rest::kWarm}}));
  EXPECT_NE(broker.plans.back().find("~ jail acme/web/i-00000001 running>warm\n"), std::string::npos) << broker.plans.back();
  EXPECT_EQ(plan_where_it_says({.instance = kOne, .cpu = 5, .guest = wire::GuestSays::kIdle, .since = 200}), Rests{});
  EXPECT_EQ(plan_where_it_says({.instance = kOne, .cpu = 5, .guest = wire::GuestSays::kBusy, .since = 400}), Rests{});
  EXPECT_EQ(broker.plans.back().find("~ jail"), std::string::npos) << broker.plans.back();
}

TEST_F(Agent, HearsThatAPausedOneIsCalledEvenWhereNobodyElseIsToRest) {
  want(kWanted);
  auto paused = one_running();
  std::ranges::find(paused.statements, lang::Word::kJail, &lang::Statement::word)->numbers[4] = lang::kWarm;
  test::PlayedBroker broker(config_.socket, paused);
  memory_.idle = Idle(kNobodyRests, Kept{{{kOne, Rest::kWarm}}, {}});
  for (const std::uint64_t received : {7u, 9u}) {
    EXPECT_EQ(memory_.idle.rests().size(), 1u);
    broker.readings = {{.instance = kOne, .frames = wire::Frames{0, received}}};
    memory_.read.reset();
    (void)run(broker, {wire::Accepted{}, finished(0)});
  }
  EXPECT_TRUE(memory_.idle.rests().empty());
  EXPECT_NE(broker.plans.back().find("~ jail acme/web/i-00000001 warm>running\n"), std::string::npos) << broker.plans.back();
  memory_.read.reset();
  (void)run(broker, {wire::Accepted{}, finished(0)});
  EXPECT_FALSE(memory_.read) << "and where nobody rests, nothing is read";
}

TEST_F(Agent, AsksForReadingsNoOftenerThanItNeedsThem) {
  want(kWanted);
  test::PlayedBroker broker(config_.socket, one_running());
  memory_.idle.see(read_fleet(one_running()), std::nullopt, std::chrono::steady_clock::now() - std::chrono::seconds(400));
  memory_.read = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  broker.readings = {{.instance = kOne, .guest = wire::GuestSays::kBusy}};
  (void)run(broker, {wire::Accepted{}, finished(0)});
  EXPECT_TRUE(memory_.idle.rests().contains(kOne)) << "it is as idle as it was when it was last read";
  EXPECT_EQ(read_every({}), std::chrono::seconds(15));
  EXPECT_EQ(read_every({.warm_after = std::chrono::seconds(0)}), std::chrono::seconds(15));
  EXPECT_EQ(read_every({.warm_after = std::chrono::seconds(8)}), std::chrono::seconds(2));
  EXPECT_EQ(read_every({.warm_after = std::chrono::seconds(1)}), std::chrono::seconds(1));
}

TEST_F(Agent, AsksWhoSaidNoAgainLaterAndHoldsNobodyForDeafForIt) {
  want(kWanted);
  test::PlayedBroker broker(config_.socket, one_running());
  memory_.idle = Idle({}, Kept{{{kOne, Rest::kWarm}}, {}});
  (void)run(broker, {wire::Accepted{}, wire::Progress{0, "~ guest", wire::Phase::kFailed, Error{Errc::kDenied, 0, "park the guest", ""}}, finished(1)});
  ASSERT_NE(broker.plans.at(0).find("\n~ guest acme/web/i-00000001 awake>parked\n~ jail acme/web/i-00000001 running>warm\n"), std::string::npos) << broker.plans.at(0);
  EXPECT_TRUE(memory_.deaf.empty());
  EXPECT_TRUE(memory_.idle.rests().empty());
  memory_.idle = Idle({}, Kept{{{kOne, Rest::kWarm}}, {}});
  (void)run(broker, {wire::Accepted{}, wire::Progress{0, "~ guest", wire::Phase::kFailed, Error{Errc::kClosed, 0, "reach the guest's daemon", ""}}, finished(1)});
  EXPECT_TRUE(memory_.deaf.contains(kOne)) << "there is nobody to say no";
  EXPECT_TRUE(memory_.idle.rests().contains(kOne));
  memory_ = {{}, Idle({}, Kept{{{kOne, Rest::kWarm}}, {}}), {}, {}};
  (void)run(broker, {wire::Accepted{}, wire::Progress{1, "~ jail", wire::Phase::kFailed, Error{Errc::kSystem, 5, "pause", ""}}, finished(1)});
  EXPECT_TRUE(memory_.idle.rests().empty()) << "what cannot be paused is left awake for a while";
  memory_ = {{}, Idle({}, Kept{{{kOne, Rest::kAsleep}}, {}}), {}, {}};
  (void)run(broker, {wire::Accepted{}, finished(0)});
  EXPECT_EQ(broker.plans.back().find("+ snapshot"), std::string::npos) << "there is no key";
  EXPECT_TRUE(memory_.idle.rests().empty()) << "and nobody waits for it";
}

TEST(Remembered, AreTheSnapshotsOfWhichThereIsNoBase) {
  const std::string line = "base acme/web snapshot=sha256:" + std::string(64, '7') + " image=sha256:" + std::string(64, '5') + " mem=256 key=acme/1\n";
  const std::string digest = "sha256:" + std::string(64, '9') + "\n";
  const lang::Document plan = test::parsed(lang::Kind::kPlan, test::sealed("mvm-plan 1\nnode node-7\ngeneration 1\ndesired " + digest + "base " + digest + "- " + line + "+ " + line));
  Memory memory;
  remember_failure(wire::Progress{0, "- base", wire::Phase::kFailed, Error{}}, plan, memory);
  remember_failure(wire::Progress{1, "+ base", wire::Phase::kDone, Error{}}, plan, memory);
  remember_failure(wire::Progress{2, "+ base", wire::Phase::kFailed, Error{}}, plan, memory);
  EXPECT_TRUE(memory.uncopied.empty());
  remember_failure(wire::Progress{1, "+ base", wire::Phase::kFailed, Error{}}, plan, memory);
  EXPECT_EQ(memory.uncopied, std::set{lang::base_view(plan.statements[1]).snapshot});
  EXPECT_TRUE(memory.deaf.empty());
}

TEST_F(Agent, FailsWithoutHostdAndWithoutAPolicy) {
  want(kWanted);
  const auto quiet = [](const std::string&) {};
  EXPECT_EQ(step(config_, quiet, memory_).outcome, Outcome::kFailed);
  config_.policy = dir_ + "/nothing";
  EXPECT_EQ(step(config_, quiet, memory_).outcome, Outcome::kFailed);
}

TEST_F(Agent, ReportsAsJson) {
  want(kWanted);
  ASSERT_TRUE(replace_file(dir_ + "/desired/bad.projection", "x", 0600));
  test::PlayedBroker broker(config_.socket, test::empty_state());
  const auto json = nlohmann::json::parse(to_json(run(broker, {wire::Accepted{}, finished(0)})));
  EXPECT_EQ(json["outcome"], "changed");
  EXPECT_EQ(json["generation"], 4);
  EXPECT_EQ(json["unfit"][0]["file"], "bad.projection");
  EXPECT_EQ(json["host"]["generation"], 0);
}

}  // namespace
}  // namespace mvm::planner
