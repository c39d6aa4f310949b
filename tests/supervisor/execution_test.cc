// One plan, with the test as the workers: in which order tasks come, and what follows from each answer.
#include "broker/supervisor/execution.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>

#include "broker/supervisor/fault.h"
#include "tests/supervisor/directory.h"
#include "tests/supervisor/scene.h"

namespace mvm::supervisor {

void at_mark(std::uint64_t, Side) {}

namespace {

using lang::Statement;
using lang::Word;
using wire::Phase;

// Both ends of a worker's channel; ours plays the worker.
struct Ends {
  Ends() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    hostd = Fd(fds[0]);
    worker = Fd(fds[1]);
    EXPECT_EQ(fcntl(worker.get(), F_SETFL, O_NONBLOCK), 0);
  }
  Fd hostd, worker;
};

class Stage {
 public:
  explicit Stage(const std::vector<Statement>& from = {})
      : host_{GateClient(Fd()), Workers::make({std::move(net_.hostd), std::move(storage_.hostd), std::move(snapshot_.hostd), std::move(jail_.hostd), std::move(guest_.hostd)}).value(), Records(records_.open()),
              Journal(journal_.open()), Audit::open(audit_.open()).value(), Images(Fd()),
              read_node_policy(test::parsed(lang::Kind::kPolicy, test::policy_text())), {}, {}, {}} {
    host_.state.header = test::empty_state().header;
    for (const Statement& line : from) host_.state.put(line);
    host_.emit = [this](const wire::Event& event) { events.push_back(event); };
  }

  void run(const std::vector<Statement>& to, const std::string& projection = test::projection_text()) {
    run_text(test::plan_text(host_.state.document(), to, projection), projection);
  }
  void run_text(const std::string& plan, const std::string& projection = test::projection_text()) {
    lang::Document wanted = test::parsed(lang::Kind::kProjection, projection);
    auto verified = lang::verify(test::parsed(lang::Kind::kPlan, plan), {host_.state.document(), wanted, host_.policy.text});
    ASSERT_TRUE(verified) << verified.error().message();
    execution_ = std::make_unique<Execution>(host_, *std::move(verified), std::move(wanted), Keys(), images());
    const auto started = execution_->start();
    ASSERT_TRUE(started) << started.error().message();
  }
  // Tasks that have come since the last call, by their lines.
  std::vector<std::string> tasks() {
    std::vector<std::string> lines;
    for (const Ends* ends : {&net_, &storage_, &snapshot_, &jail_, &guest_}) {
      std::vector<std::uint8_t> bytes(wire::kMaxPacket);
      while (true) {
        const ssize_t got = recv(ends->worker.get(), bytes.data(), bytes.size(), 0);
        if (got <= 0) break;
        const auto task = wire::decode_task(std::span(bytes).first(static_cast<std::size_t>(got)));
        EXPECT_TRUE(task) << task.error().message();
        lines.push_back(lang::print(task->statement));
        waiting_[lines.back()] = *task;
      }
    }
    return lines;
  }
  // Answers the task of that line, which has come.
  Status answer(const std::string& line, bool ok = true, std::optional<Digest> digest = {}) {
    const auto found = std::ranges::find_if(waiting_, [&](const auto& each) { return each.first.find(line) != std::string::npos; });
    if (found == waiting_.end()) return fail(Errc::kNotFound, "find the task", line);
    wire::Answer answer;
    answer.seq = found->second.seq;
    answer.ok = ok;
    if (ok) answer.digest = digest;
    if (!ok) answer.error = {Errc::kSystem, 5, "do it", "the test"};
    waiting_.erase(found);
    return execution_->take(answer);
  }
  // Answers all tasks as they come, those that contain a given text with a failure.
  void answer_all(const std::string& failing = "\n") {
    for (static_cast<void>(tasks()); !waiting_.empty(); static_cast<void>(tasks())) {
      const std::string line = waiting_.begin()->first;
      ASSERT_TRUE(answer(line, line.find(failing) == std::string::npos));
    }
  }
  wire::Finished finish() {
    EXPECT_TRUE(execution_->over());
    EXPECT_TRUE(execution_->finish());
    return std::get<wire::Finished>(events.back());
  }
  wire::Task& task(const std::string& line) {
    return std::ranges::find_if(waiting_, [&](const auto& each) { return each.first.find(line) != std::string::npos; })->second;
  }
  Execution& execution() { return *execution_; }
  Host& host() { return host_; }
  std::string audit_log() { return read_file(audit_.open(), "log", 1 << 20).value(); }
  std::vector<std::string> records() { return list_directory(records_.open(), 1000).value(); }

  std::vector<wire::Event> events;

  // As they would be held; nobody else is here to take a lock.
  HeldImages images() const {
    HeldImages held;
    if (has_image) held.emplace(*parse_digest(test::kImage), HeldImage{Fd(), lang::read_manifest(test::parsed(lang::Kind::kManifest, test::kManifest)).value()});
    return held;
  }
  bool has_image = true;

 private:
  test::Directory records_, journal_, audit_;
  Ends net_, storage_, snapshot_, jail_, guest_;
  Host host_;
  std::unique_ptr<Execution> execution_;
  std::map<std::string, wire::Task> waiting_;
};

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

// The steps of sleep and wake: one statement to the plan, and several tasks.
std::string projection_that_sleeps() {
  std::string text = test::projection_text();
  text.resize(text.rfind("end sha256:"));
  for (std::size_t at = 0; (at = text.find("sleeping=0", at)) != std::string::npos;) text.replace(at, 10, "sleeping=5");
  return test::ended(text);
}

class Sleeping : public testing::Test {
 protected:
  static Statement snapshot_line() {
    return test::parsed(lang::Kind::kState, test::ended("mvm-state 1\nnode node-7\ngeneration 1\ndesired none\nsnapshot acme/workers/i-00000001 kind=full base=none key=acme/1 "
                                                        "compression=none slot=3 seq=7\n"))
        .statements[0];
  }
  static std::vector<Statement> tenants_lines() {
    auto lines = test::running_lines(1, 0);
    std::erase_if(lines, [](const Statement& line) { return line.subject.kind == SubjectKind::kInstance; });
    return lines;
  }
  static std::vector<Statement> warm() {
    auto lines = test::running_lines(1, 0);
    for (Statement& line : lines) {
      if (line.word == Word::kJail) line.numbers[4] = lang::kWarm;
    }
    return lines;
  }
  static std::vector<Statement> asleep() {
    auto lines = tenants_lines();
    lines.push_back(snapshot_line());
    return lines;
  }
  static std::vector<Statement> awake() {
    auto lines = test::running_lines(1, 0);
    for (Statement& line : lines) {
      if (line.word != Word::kJail) continue;
      line.numbers[3] = lang::kBootSnapshot;
      line.numbers[5] = lang::kParked;
      line.digests[1] = lang::snapshot_digest(snapshot_line());
    }
    return lines;
  }
  static std::vector<std::string> one(std::string line) { return {std::move(line)}; }
  const std::string kSnapshot = "+ snapshot acme/workers/i-00000001";
  const std::string kJail = "+ jail acme/workers/i-00000001";
  const Digest vmm_ = sha256("a version"), file_ = sha256("a file");
};

TEST_F(Sleeping, IsWrittenSealedAndClearedBeforeTheJailGoes) {
  Stage stage(warm());
  stage.run(asleep(), projection_that_sleeps());
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kDump);
  EXPECT_EQ(stage.task(kSnapshot).asleep.mem, 128u);
  ASSERT_TRUE(stage.answer(kSnapshot, true, vmm_));
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kMake);
  EXPECT_EQ(stage.task(kSnapshot).asleep.vmm, vmm_);
  EXPECT_EQ(to_string(stage.task(kSnapshot).asleep.image), test::kImage);
  ASSERT_TRUE(stage.answer(kSnapshot, true, file_));
  EXPECT_EQ(stage.host().records.newest(snapshot_line().subject).value(), file_);
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kClear);
  EXPECT_EQ(stage.host().state.find(snapshot_line().subject, Word::kSnapshot), nullptr) << "not before all of it is done";
  ASSERT_TRUE(stage.answer(kSnapshot));
  EXPECT_NE(stage.host().state.find(snapshot_line().subject, Word::kSnapshot), nullptr);
  stage.answer_all();
  EXPECT_TRUE(stage.finish().complete());
}

TEST_F(Sleeping, ThatCannotBeSealedIsClearedAndStaysWarm) {
  Stage stage(warm());
  stage.run(asleep(), projection_that_sleeps());
  (void)stage.tasks();
  ASSERT_TRUE(stage.answer(kSnapshot, true, vmm_));
  (void)stage.tasks();
  ASSERT_TRUE(stage.answer(kSnapshot, false));
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kClear);
  ASSERT_TRUE(stage.answer(kSnapshot));
  EXPECT_TRUE(stage.tasks().empty());
  const auto finished = stage.finish();
  EXPECT_EQ(finished.failed, 1u);
  EXPECT_EQ(stage.host().state.document().statements, warm());
}

TEST_F(Sleeping, EndsHostdWhereAWorkerDoesNotSayWhatItHasMade) {
  Stage stage(warm());
  stage.run(asleep(), projection_that_sleeps());
  (void)stage.tasks();
  EXPECT_EQ(stage.answer(kSnapshot).error().code, Errc::kMalformed);
}

// What a guest is told: by two workers, and taken back as far as that goes.
class Telling : public Sleeping {
 protected:
  const std::string kPark = "~ guest acme/workers/i-00000001 awake>parked", kGoOn = "~ guest acme/workers/i-00000001 parked>awake";
  static std::vector<Statement> running(std::uint64_t guest) {
    auto lines = test::running_lines(1, 0);
    for (Statement& line : lines) {
      if (line.word == Word::kJail) line.numbers[5] = guest;
    }
    return lines;
  }
  // The two tasks of that line, the second answered so.
  void tell(Stage& stage, const std::string& line, bool obeys) {
    ASSERT_EQ(stage.tasks(), one(line));
    ASSERT_EQ(stage.task(line).op, wire::Op::kConnect);
    ASSERT_TRUE(stage.answer(line));
    ASSERT_EQ(stage.tasks(), one(line));
    ASSERT_EQ(stage.task(line).op, wire::Op::kMove);
    ASSERT_TRUE(stage.answer(line, obeys));
  }
};

TEST_F(Telling, BeginsWithAConnectionAndComesBeforeTheSleep) {
  Stage stage(test::running_lines(1, 0));
  stage.run(asleep(), projection_that_sleeps());
  tell(stage, kPark, true);
  EXPECT_EQ(stage.host().state.document().statements, running(lang::kParked));
  EXPECT_EQ(stage.tasks(), one("~ jail acme/workers/i-00000001 running>warm"));
}

TEST_F(Telling, IsTakenBackAtOnceWhereTheGuestDoesNotPark) {
  Stage stage(test::running_lines(1, 0));
  stage.run(asleep(), projection_that_sleeps());
  tell(stage, kPark, false);
  tell(stage, kGoOn, true);
  EXPECT_TRUE(stage.tasks().empty());
  EXPECT_EQ(stage.finish().failed, 1u);
  EXPECT_EQ(stage.host().state.document().statements, test::running_lines(1, 0));
}

TEST_F(Telling, LeavesAGuestThatHearsNothingAsItIs) {
  Stage stage(test::running_lines(1, 0));
  stage.run(asleep(), projection_that_sleeps());
  ASSERT_EQ(stage.tasks(), one(kPark));
  ASSERT_TRUE(stage.answer(kPark, false)) << "no connection";
  ASSERT_EQ(stage.tasks(), one(kGoOn));
  ASSERT_TRUE(stage.answer(kGoOn, false));
  EXPECT_TRUE(stage.tasks().empty());
  EXPECT_EQ(stage.finish().failed, 1u);
  EXPECT_EQ(stage.host().state.document().statements, test::running_lines(1, 0));
  EXPECT_NE(stage.audit_log().find("undo-failed ~ guest acme/workers/i-00000001 awake>parked"), std::string::npos);
}

TEST_F(Telling, IsTakenBackWhereWhatFollowsFails) {
  Stage stage(test::running_lines(1, 0));
  stage.run(asleep(), projection_that_sleeps());
  tell(stage, kPark, true);
  (void)stage.tasks();
  ASSERT_TRUE(stage.answer("~ jail", false));
  tell(stage, kGoOn, true);
  EXPECT_TRUE(stage.tasks().empty());
  EXPECT_EQ(stage.host().state.document().statements, test::running_lines(1, 0));
}

TEST_F(Telling, ToGoOnIsNotTakenBack) {
  Stage stage(running(lang::kParked));
  stage.run(test::running_lines(1, 0));
  tell(stage, kGoOn, false);
  EXPECT_TRUE(stage.tasks().empty());
  EXPECT_EQ(stage.finish().failed, 1u);
  EXPECT_EQ(stage.host().state.document().statements, running(lang::kParked));
}

class Waking : public Sleeping {
 protected:
  // Up to the jail's first step.
  static void begin(Stage& stage, const Digest& file) {
    ASSERT_TRUE(stage.host().records.write_newest(snapshot_line().subject, file));
    stage.run(awake(), projection_that_sleeps());
    for (const char* line : {"+ cgroup", "+ tap"}) {
      (void)stage.tasks();
      ASSERT_TRUE(stage.answer(line));
    }
    ASSERT_EQ(stage.tasks().size(), 1u);
  }
};

TEST_F(Waking, IsHandedOverLoadedSpentAndOnlyThenLetRun) {
  Stage stage(asleep());
  begin(stage, file_);
  EXPECT_EQ(stage.task(kJail).op, wire::Op::kOpenImage);
  EXPECT_TRUE(stage.task(kJail).sealed.empty());
  ASSERT_TRUE(stage.answer(kJail));
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kJail).op, wire::Op::kHandOver);
  EXPECT_EQ(stage.task(kJail).asleep.file, file_);
  EXPECT_EQ(stage.task(kJail).asleep.key_version, 1u);
  for (const wire::Op op : {wire::Op::kMake, wire::Op::kSpend, wire::Op::kRelease}) {
    ASSERT_TRUE(stage.answer(kJail));
    ASSERT_EQ(stage.tasks().size(), 1u);
    EXPECT_EQ(stage.task(kJail).op, op);
  }
  ASSERT_TRUE(stage.answer(kJail));
  EXPECT_EQ(stage.tasks().size(), 1u) << "- snapshot";
  stage.answer_all();
  EXPECT_TRUE(stage.finish().complete());
  EXPECT_EQ(stage.host().records.newest(snapshot_line().subject).error().code, Errc::kNotFound);
  EXPECT_FALSE(stage.execution().wants_settling());
}

TEST_F(Waking, WithoutTheDigestOfTheNewestIsNotBegun) {
  Stage stage(asleep());
  stage.run(awake(), projection_that_sleeps());
  for (const char* line : {"+ cgroup", "+ tap"}) {
    (void)stage.tasks();
    ASSERT_TRUE(stage.answer(line));
  }
  EXPECT_EQ(stage.tasks(), one("- jail acme/workers/i-00000001 image=" + test::kImage + " vcpus=2 mem=128 boot=snapshot:" + to_string(lang::snapshot_digest(snapshot_line())) + " state=running guest=parked"))
      << "nothing but what undoes it";
}

TEST_F(Waking, ThatFailsIsUndoneAndLookedInto) {
  for (int step = 0; step < 5; ++step) {
    Stage stage(asleep());
    begin(stage, file_);
    for (int i = 0; i < step; ++i) {
      ASSERT_TRUE(stage.answer(kJail));
      (void)stage.tasks();
    }
    ASSERT_TRUE(stage.answer(kJail, false));
    stage.answer_all();
    EXPECT_EQ(stage.finish().failed, 1u);
    EXPECT_EQ(stage.host().state.document().statements, asleep());
    EXPECT_TRUE(stage.execution().wants_settling());
  }
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
