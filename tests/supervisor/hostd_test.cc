// The whole of hostd: what it runs, what it refuses and why, what it does when a worker fails it.
#include <sys/file.h>

#include <atomic>
#include <thread>

#include "base/audit_chain.h"
#include "broker/supervisor/workers.h"
#include "tests/supervisor/hostd_process.h"

namespace mvm::test {
namespace {

template <class T>
const T* last_as(const Reply& reply) {
  return reply.last ? std::get_if<T>(&*reply.last) : nullptr;
}

std::string describe(const Reply& reply) {
  if (!reply.last) return reply.last.error().message();
  if (const auto* refused = last_as<wire::Refused>(reply)) return refused->refusal.message();
  if (const auto* failed = last_as<wire::Failed>(reply)) return failed->error.message();
  return "event " + std::to_string(reply.last->index());
}

std::vector<wire::Phase> phases_of(const Reply& reply, const std::string& line) {
  std::vector<wire::Phase> phases;
  for (const wire::Event& event : reply.events) {
    const auto* progress = std::get_if<wire::Progress>(&event);
    if (progress != nullptr && progress->line.find(line) != std::string::npos) phases.push_back(progress->phase);
  }
  return phases;
}

class Hostd : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(hostd.start()) << hostd.errors(); }
  void TearDown() override { EXPECT_EQ(hostd.violations(), ""); }
  HostdProcess hostd;
};

using enum wire::Phase;

TEST_F(Hostd, RunsAPlanAndSaysWhatStandsAndTakesItAllAwayAgain) {
  const auto wanted = running_lines(3, 3);
  const Reply made = hostd.reach(wanted);
  const auto* finished = last_as<wire::Finished>(made);
  ASSERT_NE(finished, nullptr) << describe(made) << hostd.errors();
  EXPECT_TRUE(finished->complete());
  EXPECT_EQ(finished->done, wanted.size());
  EXPECT_EQ(hostd.state().statements, wanted);
  EXPECT_EQ(lang::text_digest(hostd.state()), finished->state);
  EXPECT_EQ(hostd.things(), things_of(hostd.state()));
  EXPECT_EQ(phases_of(made, "+ bridge acme"), (std::vector{kStarted, kDone}));
  const Reply removed = hostd.reach({});
  ASSERT_NE(last_as<wire::Finished>(removed), nullptr) << describe(removed);
  EXPECT_TRUE(hostd.state().statements.empty());
  EXPECT_TRUE(hostd.things().empty());
}

TEST_F(Hostd, ChecksAPlanWithoutRunningAnyOfIt) {
  const std::string projection = projection_text(), plan = plan_text(empty_state(), running_lines(1, 1), projection);
  const Reply checked = hostd.submit(plan, projection, wire::Mode::kCheck);
  const auto* accepted = last_as<wire::Accepted>(checked);
  ASSERT_NE(accepted, nullptr) << describe(checked);
  EXPECT_EQ(accepted->statements, running_lines(1, 1).size());
  EXPECT_EQ(accepted->plan, lang::text_digest(parsed(lang::Kind::kPlan, plan)));
  EXPECT_TRUE(hostd.things().empty());
  EXPECT_EQ(hostd.state(), empty_state());
}

TEST_F(Hostd, KeepsMicrovmsAndStateOverARestartOfItsOwn) {
  ASSERT_TRUE(hostd.reach(running_lines(2, 2)).last);
  const auto state = hostd.state();
  hostd.kill_it(SIGTERM);
  EXPECT_TRUE(WIFEXITED(hostd.status) && WEXITSTATUS(hostd.status) == 0) << "it ends when it is told to, by itself";
  EXPECT_EQ(hostd.things(), things_of(state));
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_EQ(hostd.state(), state);
  EXPECT_TRUE(hostd.reach({}).last);
}

TEST_F(Hostd, MovesAMicrovmBetweenItsStates) {
  auto lines = running_lines(1, 0);
  ASSERT_TRUE(hostd.reach(lines).last);
  lines.back().numbers[lang::field_index(lang::Word::kJail, "state")] = lang::kWarm;
  const Reply paused = hostd.reach(lines);
  ASSERT_NE(last_as<wire::Finished>(paused), nullptr) << describe(paused);
  EXPECT_EQ(phases_of(paused, "~ jail acme/workers/i-00000001 running>warm"), (std::vector{kStarted, kDone}));
  EXPECT_EQ(hostd.state().statements, lines);
  EXPECT_EQ(hostd.get(hostd.kernel() + "/jail.acme.workers.i-00000001"), "1");
}

TEST_F(Hostd, TellsAGuestToParkAndToGoOn) {
  auto lines = running_lines(1, 0);
  ASSERT_TRUE(hostd.reach(lines).last);
  for (const std::uint64_t told : {lang::kParked, lang::kAwake}) {
    lines.back().numbers[lang::field_index(lang::Word::kJail, "guest")] = told;
    const Reply reply = hostd.reach(lines);
    ASSERT_NE(last_as<wire::Finished>(reply), nullptr) << describe(reply);
    EXPECT_EQ(phases_of(reply, told == lang::kParked ? "~ guest acme/workers/i-00000001 awake>parked" : "~ guest acme/workers/i-00000001 parked>awake"), (std::vector{kStarted, kDone}));
    EXPECT_EQ(hostd.state().statements, lines);
    EXPECT_EQ(hostd.get(hostd.kernel() + "/told.acme.workers.i-00000001"), std::to_string(told));
  }
}

TEST_F(Hostd, ReadsOfEachThatRunsOrIsPausedWhatItsWorkersCanTell) {
  auto lines = running_lines(3, 0);
  ASSERT_TRUE(hostd.reach(lines).last);
  std::size_t jails = 0;
  for (lang::Statement& line : lines) {
    if (line.word != lang::Word::kJail) continue;
    if (++jails == 2) line.numbers[lang::field_index(lang::Word::kJail, "guest")] = lang::kParked;
    if (jails == 3) line.numbers[lang::field_index(lang::Word::kJail, "state")] = lang::kWarm;
  }
  ASSERT_TRUE(hostd.reach(lines).last);
  hostd.steer("fail-at-ask", "");
  for (const bool asked : {false, true}) {
    if (asked) std::filesystem::remove(hostd.kernel() + "/fail-at-ask");
    auto client = planner::BrokerClient::connect(hostd.socket());
    ASSERT_TRUE(client);
    const auto readings = client->readings();
    ASSERT_TRUE(readings) << readings.error().message();
    ASSERT_EQ(readings->size(), 3u);
    const wire::Reading& first = (*readings)[0];
    EXPECT_EQ(to_string(first.instance), "acme/workers/i-00000001");
    EXPECT_EQ(first.cpu, 1000u);
    EXPECT_EQ(first.memory, 4096u);
    const lang::Document state = hostd.state();
    const auto tap = std::ranges::find_if(state.statements, [&](const auto& line) { return line.word == lang::Word::kTap && line.subject == first.instance; });
    ASSERT_TRUE(first.frames);
    EXPECT_EQ(first.frames->sent, 100 + lang::tap_view(*tap).slot);
    EXPECT_EQ(first.guest, asked ? wire::GuestSays::kIdle : wire::GuestSays::kNothing);
    EXPECT_EQ(first.since, asked ? 3u : 0u);
    EXPECT_EQ((*readings)[1].guest, wire::GuestSays::kNothing) << "a parked guest is not asked";
    EXPECT_EQ((*readings)[2].guest, wire::GuestSays::kNothing) << "nor is a paused one";
    EXPECT_TRUE((*readings)[2].frames);
  }
  ASSERT_TRUE(hostd.reach({}).last);
  EXPECT_EQ(planner::BrokerClient::connect(hostd.socket())->readings()->size(), 0u);
}

// Both at once, many times: a plan waits for what is being read, and is run; and while one runs, nothing is read.
TEST_F(Hostd, RunsPlansAndReadsOneAfterTheOther) {
  const auto lines = running_lines(2, 0);
  ASSERT_TRUE(hostd.reach(lines).last);
  hostd.steer("slow", "3");
  std::size_t read = 0, busy = 0;
  std::atomic<bool> over = false;
  std::thread reader([&] {
    while (!over) {
      auto client = planner::BrokerClient::connect(hostd.socket());
      if (!client) continue;
      const auto readings = client->readings();
      read += readings.has_value();
      busy += !readings && readings.error().code == Errc::kBusy;
      EXPECT_TRUE(readings || readings.error().code == Errc::kBusy) << readings.error().message();
    }
  });
  for (int i = 0; i < 20; ++i) {
    auto moved = lines;
    moved.back().numbers[lang::field_index(lang::Word::kJail, "guest")] = i % 2 == 0 ? lang::kParked : lang::kAwake;
    const Reply reply = hostd.reach(moved);
    EXPECT_NE(last_as<wire::Finished>(reply), nullptr) << describe(reply);
  }
  over = true;
  reader.join();
  EXPECT_GT(read, 0u);
}

TEST_F(Hostd, TellsAGuestToGoOnThatDidNotPark) {
  auto lines = running_lines(1, 0);
  ASSERT_TRUE(hostd.reach(lines).last);
  hostd.steer("fail.guest.acme.workers.i-00000001");
  auto parked = lines;
  parked.back().numbers[lang::field_index(lang::Word::kJail, "guest")] = lang::kParked;
  const Reply reply = hostd.reach(parked);
  const auto* finished = last_as<wire::Finished>(reply);
  ASSERT_NE(finished, nullptr) << describe(reply);
  EXPECT_EQ(finished->failed, 1u);
  EXPECT_EQ(hostd.state().statements, lines);
  EXPECT_EQ(hostd.get(hostd.kernel() + "/told.acme.workers.i-00000001"), std::to_string(lang::kAwake));
}

TEST_F(Hostd, UndoesTheInstanceThatFailedAndLeavesTheRest) {
  hostd.steer("fail.jail.acme.workers.i-00000002");
  const Reply reply = hostd.reach(running_lines(3, 1));
  const auto* finished = last_as<wire::Finished>(reply);
  ASSERT_NE(finished, nullptr) << describe(reply);
  EXPECT_EQ(finished->failed, 1u);
  EXPECT_EQ(finished->undone, 2u);
  EXPECT_EQ(finished->skipped, 0u);
  EXPECT_EQ(phases_of(reply, "+ tap acme/workers/i-00000002"), (std::vector{kStarted, kDone, kUndone}));
  EXPECT_EQ(phases_of(reply, "+ jail acme/workers/i-00000002"), (std::vector{kStarted, kFailed}));
  const auto holds = std::ranges::find_if(reply.events, [](const auto& event) { return std::holds_alternative<wire::Holds>(event); });
  ASSERT_NE(holds, reply.events.end());
  EXPECT_EQ(std::get<wire::Holds>(*holds), (wire::Holds{"acme/workers/i-00000002", {}}));
  auto rest = running_lines(3, 1);
  std::erase_if(rest, [](const auto& line) { return line.subject.instance.value == 2; });
  EXPECT_EQ(hostd.state().statements, rest);
  EXPECT_EQ(hostd.things(), things_of(hostd.state()));
}

TEST_F(Hostd, SaysThatAThingStandsWhichItCouldNeitherMakeNorRemove) {
  hostd.steer("fail.jail.acme.workers.i-00000001");
  hostd.steer("stuck.jail.acme.workers.i-00000001");
  const Reply reply = hostd.reach(running_lines(1, 0));
  ASSERT_NE(last_as<wire::Finished>(reply), nullptr);
  EXPECT_TRUE(std::ranges::any_of(hostd.state().statements, [](const auto& line) { return line.word == lang::Word::kJail; }));
  hostd.unsteer("stuck.jail.acme.workers.i-00000001");
  const Reply removed = hostd.reach({});
  ASSERT_NE(last_as<wire::Finished>(removed), nullptr) << describe(removed);
  EXPECT_TRUE(last_as<wire::Finished>(removed)->complete());
  EXPECT_TRUE(hostd.things().empty());
}

TEST_F(Hostd, TakesAMicrovmThatEndedByItselfOutOfTheStateAndTellsWatchers) {
  ASSERT_TRUE(hostd.reach(running_lines(2, 0)).last);
  auto client = planner::BrokerClient::connect(hostd.socket());
  ASSERT_TRUE(client);
  std::vector<wire::Event> events;
  const auto watched = client->watch(
      [&](const wire::Event& event) {
        if (events.empty()) hostd.steer("end.jail.acme.workers.i-00000002");
        events.push_back(event);
      },
      [&] { return events.size() < 2; });
  EXPECT_TRUE(watched) << watched.error().message();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<wire::Watching>(events[0]));
  ASSERT_TRUE(std::holds_alternative<wire::Ended>(events[1]));
  EXPECT_EQ(std::get<wire::Ended>(events[1]).subject, "acme/workers/i-00000002");
  const auto state = hostd.state();
  EXPECT_EQ(state.statements.size(), running_lines(2, 0).size() - 1);
  EXPECT_EQ(hostd.things(), things_of(state));
  EXPECT_TRUE(hostd.reach(running_lines(2, 0)).last) << "and a plan can put it back";
}

TEST_F(Hostd, StopsWhenAWorkerDiesAndGoesBackWhenItIsStartedAgain) {
  for (const char* thing : {"tap.3.4", "jail.acme.workers.i-00000002", "bridge.3"}) {
    hostd.steer(std::string("die.") + thing);
    const Reply reply = hostd.reach(running_lines(2, 1));
    EXPECT_FALSE(reply.last) << thing;
    ASSERT_TRUE(hostd.wait_gone()) << thing;
    EXPECT_TRUE(WIFEXITED(hostd.status) && WEXITSTATUS(hostd.status) != 0) << thing;
    EXPECT_NE(hostd.errors().find("worker"), std::string::npos) << hostd.errors();
    hostd.unsteer(std::string("die.") + thing);
    ASSERT_TRUE(hostd.start()) << hostd.errors();
    EXPECT_EQ(hostd.things(), things_of(hostd.state()));
    EXPECT_TRUE(hostd.reach({}).last) << thing;
  }
}

TEST_F(Hostd, StopsWhenGateDiesThoughItHasNothingToAskIt) {
  const std::string command = "pkill -KILL -x -P " + std::to_string(hostd.pid()) + " mvm-gate";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_TRUE(hostd.wait_gone());
  EXPECT_NE(hostd.errors().find("gate"), std::string::npos) << hostd.errors();
  EXPECT_TRUE(hostd.start()) << hostd.errors();
}

// A worker that was killed with its hostd may be in a system call for a while yet.
TEST_F(Hostd, StartsNoWorkersBesideThoseOfOneBefore) {
  hostd.kill_it();
  const Fd left(open((hostd.prefix() + "/state/workers.lock").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(flock(left.get(), LOCK_EX), 0);
  std::atomic<bool> let_go = false;
  std::thread worker([&] {
    usleep(500'000);
    let_go = true;
    flock(left.get(), LOCK_UN);
  });
  EXPECT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_TRUE(let_go);
  worker.join();
}

TEST_F(Hostd, HasEachWorkerHoldThatLockForAsLongAsItLives) {
  const std::filesystem::path lock = hostd.prefix() + "/state/workers.lock";
  std::ifstream children("/proc/" + std::to_string(hostd.pid()) + "/task/" + std::to_string(hostd.pid()) + "/children");
  std::size_t holding = 0;
  for (pid_t child = 0; children >> child;) {
    const std::filesystem::directory_iterator files("/proc/" + std::to_string(child) + "/fd");
    holding += std::ranges::any_of(files, [&](const auto& file) { return std::filesystem::read_symlink(file) == lock; }) ? 1 : 0;
  }
  EXPECT_EQ(holding, supervisor::kExecutors.size());
}

TEST_F(Hostd, AnswersBusyWhileAPlanRunsAndStillSaysItsState) {
  hostd.steer("slow", "50");
  const std::string projection = projection_text(), plan = plan_text(empty_state(), running_lines(4, 4), projection);
  auto first = planner::BrokerClient::connect(hostd.socket());
  ASSERT_TRUE(first);
  bool asked = false;
  const auto last = first->submit({plan, projection, Key().sign(projection), {}, wire::Mode::kApply}, [&](const wire::Event& event) {
    if (asked || !std::holds_alternative<wire::Progress>(event)) return;
    asked = true;
    EXPECT_NE(last_as<wire::Busy>(hostd.submit(plan, projection)), nullptr);
    EXPECT_NE(last_as<wire::Busy>(hostd.submit(plan, projection, wire::Mode::kCheck)), nullptr);
    EXPECT_EQ(hostd.state().header.generation, 1u);
  });
  ASSERT_TRUE(last);
  EXPECT_TRUE(std::holds_alternative<wire::Finished>(*last));
  EXPECT_TRUE(asked);
}

TEST_F(Hostd, DropsAWatcherThatDoesNotReadAndGoesOn) {
  constexpr int kMany = 100;
  auto watcher = planner::BrokerClient::connect(hostd.socket());
  ASSERT_TRUE(watcher);
  std::size_t seen = 0;
  const auto watched = watcher->watch(
      [&](const wire::Event&) {
        if (++seen != 1) return;
        for (std::uint64_t generation = 1; generation <= 8; ++generation) {
          const std::string projection = projection_text(generation, kMany);
          const auto to = generation % 2 == 1 ? running_lines(kMany, kMany) : std::vector<lang::Statement>{};
          const Reply reply = hostd.submit(plan_text(hostd.state(), to, projection), projection);
          EXPECT_NE(last_as<wire::Finished>(reply), nullptr) << describe(reply);
        }
      },
      [] { return true; });
  ASSERT_FALSE(watched);
  EXPECT_EQ(watched.error().code, Errc::kClosed);
  EXPECT_LT(seen, 8u * 2 * running_lines(kMany, kMany).size()) << "it missed some";
  EXPECT_FALSE(hostd.gone());
}

TEST_F(Hostd, GoesOnWithAPlanWhoseSubmitterHasGone) {
  hostd.steer("slow", "20");
  const std::string projection = projection_text(), plan = plan_text(empty_state(), running_lines(3, 3), projection);
  const pid_t submitter = fork();
  if (submitter == 0) {
    auto client = planner::BrokerClient::connect(hostd.socket());
    static_cast<void>(client->submit({plan, projection, Key().sign(projection), {}, wire::Mode::kApply}, [](const wire::Event& event) {
      if (std::holds_alternative<wire::Progress>(event)) _exit(0);
    }));
    _exit(1);
  }
  int status = 0;
  waitpid(submitter, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  for (int i = 0; i < 500 && hostd.state().statements.size() < running_lines(3, 3).size(); ++i) usleep(10'000);
  EXPECT_EQ(hostd.state().statements, running_lines(3, 3));
}

TEST_F(Hostd, WritesAnAuditLogThatVerifiesAndNamesWhatHappened) {
  ASSERT_TRUE(hostd.reach(running_lines(1, 1)).last);
  hostd.steer("fail.cgroup.acme.workers.i-00000002");
  ASSERT_TRUE(hostd.reach(running_lines(2, 1)).last);
  hostd.kill_it(SIGTERM);
  const std::string log = hostd.audit_log();
  const auto verified = verify_audit(log, hostd.audit_head());
  ASSERT_TRUE(verified) << verified.error().why;
  EXPECT_EQ(verified->head.lines, static_cast<std::uint64_t>(std::ranges::count(log, '\n')));
  for (const char* what : {"start node=node-7", "accepted", "done + jail acme/workers/i-00000001", "failed + cgroup acme/workers/i-00000002",
                           "finished plan=sha256:", " stop chain="}) {
    EXPECT_NE(log.find(what), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace mvm::test
