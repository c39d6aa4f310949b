// How a plan runs: order, bounds, undoing, and what is verified again.
#include "broker/supervisor/fault.h"
#include "tests/supervisor/stage.h"

namespace mvm::supervisor {

void at_mark(std::uint64_t, Side) {}

namespace {

std::vector<Statement> changed_line(std::vector<Statement> lines, std::size_t which, std::size_t field, std::uint64_t value) {
  lines[which].numbers[field] = value;
  return lines;
}

TEST(Execution, SendsWhatFollowsFromStateAndPolicyWithEachTask) {
  Stage stage;
  stage.run(test::running_lines(1, 0));
  EXPECT_EQ(stage.tasks(), (std::vector<std::string>{"+ bridge acme net=3 subnet=10.240.3.0/24"}));
  EXPECT_EQ(stage.task("bridge").place.cidr, (Subnet{0x0af00000, 12}));
  ASSERT_TRUE(stage.answer("bridge"));
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("rule"));
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("cgroup"));
  static_cast<void>(stage.tasks());
  EXPECT_EQ(stage.task("tap").place.net, 3);
  EXPECT_EQ(stage.task("tap").place.slot, 3u);
  EXPECT_EQ(stage.task("tap").place.uid, 100'000u + 3 * 256 + 3);
  ASSERT_TRUE(stage.answer("tap"));
  static_cast<void>(stage.tasks());
  EXPECT_EQ(stage.task("jail").op, wire::Op::kOpenImage);
  EXPECT_TRUE(wire::manifest_of(stage.task("jail")));
  ASSERT_TRUE(stage.answer("jail"));
  static_cast<void>(stage.tasks());
  EXPECT_EQ(stage.task("jail").op, wire::Op::kMake);
  EXPECT_EQ(stage.task("jail").place.uid, 100'000u + 3 * 256 + 3);
  EXPECT_EQ(stage.task("jail").place.generation, 1u);
  EXPECT_TRUE(wire::manifest_of(stage.task("jail")));
  ASSERT_TRUE(stage.answer("jail"));
  EXPECT_TRUE(stage.finish().complete());
  EXPECT_FALSE(stage.execution().wants_settling());
  EXPECT_EQ(stage.host().state.document().statements, test::running_lines(1, 0));
}

TEST(Execution, WantsAnImageClosedThatNoJailHasAnyMore) {
  Stage two(test::running_lines(2, 0));
  two.run(test::running_lines(1, 0));
  two.answer_all();
  EXPECT_TRUE(two.finish().complete());
  EXPECT_FALSE(two.execution().wants_settling()) << "the other has it";
  Stage one(test::running_lines(1, 0));
  one.run({});
  one.answer_all();
  EXPECT_TRUE(one.finish().complete());
  EXPECT_TRUE(one.execution().wants_settling());
  for (int failing = 0; failing < 2; ++failing) {
    Stage failed;
    failed.run(test::running_lines(1, 0));
    for (const char* line : {"bridge", "rule", "cgroup", "tap", "jail", "jail"}) {
      static_cast<void>(failed.tasks());
      const bool last = line == std::string("jail") && failed.task("jail").op == (failing == 0 ? wire::Op::kOpenImage : wire::Op::kMake);
      ASSERT_TRUE(failed.answer(line, !last));
      if (last) break;
    }
    failed.answer_all();
    EXPECT_EQ(failed.finish().failed, 1u);
    EXPECT_TRUE(failed.execution().wants_settling());
  }
  Stage skipped;
  skipped.run(test::running_lines(1, 0));
  static_cast<void>(skipped.tasks());
  ASSERT_TRUE(skipped.answer("bridge", false));
  skipped.answer_all();
  EXPECT_GE(skipped.finish().skipped, 1u);
  EXPECT_FALSE(skipped.execution().wants_settling()) << "nothing was opened";
}

TEST(Execution, AsksForNoJailWhoseImageIsNotHeldAndUndoesWhatIsItsOwn) {
  Stage stage;
  stage.has_image = false;
  stage.run(test::running_lines(1, 0));
  for (const char* line : {"bridge", "rule", "cgroup", "tap"}) {
    static_cast<void>(stage.tasks());
    ASSERT_TRUE(stage.answer(line));
  }
  EXPECT_TRUE(stage.tasks().front().starts_with("- jail"));
  stage.answer_all();
  EXPECT_EQ(stage.finish().failed, 1u);
}

TEST(Execution, TellsTheJailWorkerWhichDrivesStand) {
  std::string projection = test::projection_text();
  projection.replace(projection.find("secrets=none"), 12, "secrets=" + test::kImage);
  projection.replace(projection.find("config=none"), 11, "config=" + test::kImage);
  projection = test::ended(projection.substr(0, projection.rfind("end ")));
  auto lines = test::running_lines(1, 0);
  for (const Word word : {Word::kSecrets, Word::kConfig}) {
    Statement drive;
    drive.word = word;
    drive.subject = lines.back().subject;
    drive.numbers = {1};
    drive.digests[0] = *parse_digest(test::kImage);
    lines.insert(lines.end() - 2, drive);
  }
  Stage stage;
  stage.run(lines, projection);
  for (const char* line : {"bridge", "rule", "cgroup", "secrets", "config", "tap"}) {
    static_cast<void>(stage.tasks());
    ASSERT_TRUE(stage.answer(line)) << line;
  }
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("jail")) << "its image";
  static_cast<void>(stage.tasks());
  EXPECT_EQ(stage.task("jail").place.drives, wire::kSecretsDrive | wire::kConfigDrive);
  ASSERT_TRUE(stage.answer("jail"));
  EXPECT_TRUE(stage.finish().complete());
}

TEST(Execution, KeepsNoMoreInFlightThanItsBound) {
  Stage stage;
  stage.run(test::running_lines(20, 0));
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("bridge"));
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("rule"));
  const auto first = stage.tasks();
  EXPECT_EQ(first.size(), kMaxInFlight);
  ASSERT_TRUE(stage.answer(first[0]));
  const auto next = stage.tasks();
  ASSERT_EQ(next.size(), 2u);
  EXPECT_TRUE(next[0].contains(" tap ") && next[1].contains(" cgroup ")) << "the net worker has room of its own";
  stage.answer_all();
  EXPECT_TRUE(stage.finish().complete());
}

TEST(Execution, GivesTheNetWorkerAsMuchAsItDoesTogetherAndNoMore) {
  std::vector<Statement> cgroups = test::running_lines(150, 120);
  std::erase_if(cgroups, [](const Statement& line) { return line.word == Word::kJail; });
  Stage stage(cgroups);
  std::erase_if(cgroups, [](const Statement& line) { return line.word == Word::kTap; });
  stage.run(cgroups);
  const auto started = [&] {
    return std::ranges::count_if(stage.events, [](const wire::Event& event) {
      const auto* progress = std::get_if<wire::Progress>(&event);
      return progress != nullptr && progress->phase == Phase::kStarted;
    });
  };
  EXPECT_EQ(started(), static_cast<int>(kMaxInFlightOfNet));
  ASSERT_TRUE(stage.answer(stage.tasks().at(0)));
  EXPECT_EQ(started(), static_cast<int>(kMaxInFlightOfNet) + 1);
  stage.answer_all();
  EXPECT_TRUE(stage.finish().complete());
  EXPECT_EQ(stage.host().state.document().statements, cgroups);
}

TEST(Execution, RemovesFirstWhatItMayHaveMadeOfAStatementThatFailed) {
  Stage stage;
  stage.run(test::running_lines(1, 1));
  stage.answer_all("+ tap acme");
  const auto finished = stage.finish();
  EXPECT_EQ(finished.failed, 1u);
  EXPECT_EQ(finished.undone, 1u) << "the cgroup";
  EXPECT_EQ(finished.skipped, 1u) << "the jail";
  EXPECT_EQ(finished.done, 2u + 4u) << "acme's bridge and rule, and all of beta's";
  EXPECT_EQ(stage.host().state.document().statements.size(), 6u);
  EXPECT_EQ(stage.records(), (std::vector<std::string>{"acme", "beta", "beta.workers.i-000003e8", "state.header"}));
}

TEST(Execution, UndoesInReverseAndOneAfterTheOther) {
  Stage stage;
  stage.run(test::running_lines(1, 0));
  for (const char* line : {"bridge", "rule", "cgroup", "tap"}) {
    static_cast<void>(stage.tasks());
    ASSERT_TRUE(stage.answer(line));
  }
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("+ jail", false));
  for (const char* line : {"- jail", "- tap", "- cgroup"}) {
    const auto tasks = stage.tasks();
    ASSERT_EQ(tasks.size(), 1u) << line;
    EXPECT_TRUE(tasks[0].starts_with(line)) << tasks[0];
    ASSERT_TRUE(stage.answer(line));
  }
  EXPECT_EQ(stage.finish().undone, 2u);
}

TEST(Execution, StopsUndoingAtWhatCannotBeBroughtBack) {
  Stage stage(test::running_lines(1, 0));
  stage.run({});
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("- jail"));
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("- tap"));
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("- cgroup", false));
  // The tap comes back, for its cgroup still stands; the jail does not.
  const auto undo = stage.tasks();
  ASSERT_EQ(undo.size(), 1u);
  EXPECT_TRUE(undo[0].starts_with("+ tap"));
  ASSERT_TRUE(stage.answer("+ tap"));
  EXPECT_TRUE(stage.tasks().empty());
  const auto finished = stage.finish();
  EXPECT_EQ(finished.done, 1u);
  EXPECT_EQ(finished.skipped, 2u) << "rule and bridge: what stands on them was not removed";
  const Subject instance = test::running_lines(1, 0)[2].subject;
  EXPECT_EQ(stage.host().state.lines_of(instance).size(), 2u);
  const auto* holds = std::get_if<wire::Holds>(&stage.events[stage.events.size() - 2]);
  ASSERT_NE(holds, nullptr);
  EXPECT_EQ(holds->lines.size(), 2u) << "and the answer says so";
}

// Instance 2 has its cgroup already; it takes slot 3 as soon as instance 1 has let go of it.
class SlotTaken : public testing::Test {
 protected:
  SlotTaken() {
    auto from = test::running_lines(1, 0), to = from;
    Statement cgroup = from[2];
    cgroup.subject.instance = InstanceId{2};
    from.push_back(cgroup);
    for (std::size_t i = 2; i < 5; ++i) to[i].subject.instance = InstanceId{2};
    stage = std::make_unique<Stage>(from);
    stage->run(to);
    for (const char* line : {"- jail", "- tap"}) {
      static_cast<void>(stage->tasks());
      EXPECT_TRUE(stage->answer(line));
    }
    EXPECT_EQ(stage->tasks().size(), 2u);  // - cgroup of 1, + tap of 2
  }
  void expect_one_tap() {
    stage->answer_all();
    EXPECT_TRUE(stage->execution().over());
    EXPECT_TRUE(lang::verify_state(stage->host().state.document(), stage->host().policy.text));
    EXPECT_EQ(std::ranges::count_if(stage->host().state.lines(), [](const auto& line) { return line.first.second == Word::kTap; }), 1);
  }
  std::unique_ptr<Stage> stage;
};

TEST_F(SlotTaken, IsNotGivenBackToWhoCouldNotBeRemoved) {
  ASSERT_TRUE(stage->answer("+ tap"));
  static_cast<void>(stage->tasks());
  ASSERT_TRUE(stage->answer("- cgroup", false));
  EXPECT_TRUE(stage->tasks().empty()) << "no `+ tap` of instance 1";
  expect_one_tap();
}

TEST_F(SlotTaken, IsNotGivenBackWhileItIsBeingTaken) {
  ASSERT_TRUE(stage->answer("- cgroup", false));
  EXPECT_TRUE(stage->tasks().empty());
  expect_one_tap();
}

TEST(Execution, VerifiesTheRestAgainWhereARemovalFailedAndDoesNotRunWhatNoLongerHolds) {
  // The projection allows one running instance: the new one may start only where the old one has gone.
  Stage stage(test::running_lines(1, 1));
  std::vector<Statement> to = test::running_lines(1, 2);
  for (std::size_t i = 2; i < 5; ++i) to[i].subject.instance = InstanceId{2};
  const std::string projection = test::projection_text(1, 1);
  std::vector<Statement> only = test::running_lines(1, 1);
  for (std::size_t i = 2; i < 5; ++i) only[i].subject.instance = InstanceId{2};
  stage.run(only, projection);
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("- jail", false));
  stage.answer_all();
  const auto finished = stage.finish();
  EXPECT_EQ(finished.failed, 1u);
  EXPECT_FALSE(finished.complete());
  EXPECT_EQ(stage.host().state.document().statements, test::running_lines(1, 1)) << "as before, and within the projection";
  EXPECT_NE(stage.audit_log().find("skipped + cgroup acme/workers/i-00000002"), std::string::npos) << stage.audit_log();
}

TEST(Execution, GoesOnWithTheRestWhereItStillHoldsAfterAFailedRemoval) {
  Stage stage(test::running_lines(1, 0));
  std::vector<Statement> to = test::running_lines(0, 2);
  stage.run(to);
  static_cast<void>(stage.tasks());
  ASSERT_TRUE(stage.answer("- jail acme", false));
  stage.answer_all();
  EXPECT_EQ(stage.finish().done, to.size()) << "beta is none of acme's business";
}

TEST(Execution, EndsHostdWhereAWorkerAnswersWhatWasNotAsked) {
  Stage stage;
  stage.run(test::running_lines(1, 0));
  wire::Answer answer;
  answer.seq = 999;
  answer.ok = true;
  EXPECT_FALSE(stage.execution().take(answer));
  static_cast<void>(stage.tasks());
  answer.seq = stage.task("bridge").seq;
  answer.items = {{Word::kTap, {}, 3, 5, true, 0}};
  EXPECT_FALSE(stage.execution().take(answer)) << "an inventory for a task";
}

TEST(Execution, EndsHostdWhereAWorkerKeepsSilentBeyondItsDeadline) {
  Stage stage;
  stage.run(test::running_lines(1, 0));
  const auto deadline = stage.execution().next_deadline();
  EXPECT_TRUE(stage.execution().overdue(deadline - std::chrono::milliseconds(1)));
  const auto late = stage.execution().overdue(deadline);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::kTimeout);
}

TEST(Execution, RebuildsWhatChanges) {
  Stage stage(test::running_lines(1, 0));
  const auto to = changed_line(test::running_lines(1, 0), 2, 2, 65);  // pids of the cgroup
  stage.run(to);
  stage.answer_all();
  EXPECT_TRUE(stage.finish().complete());
  EXPECT_EQ(stage.host().state.document().statements, to);
}

}  // namespace
}  // namespace mvm::supervisor
