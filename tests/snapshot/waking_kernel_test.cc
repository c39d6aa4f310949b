// A wake as who wakes it sees it, with mvm-pages itself and with those that only say they are it. The VMM sits in a cgroup of its own.
#include "broker/snapshot/waking.h"

#include <gtest/gtest.h>

#include <fstream>

#include "seccomp/pages.grants.h"
#include "tests/pages/process.h"

namespace mvm::snapshot {
namespace {

using namespace std::chrono_literals;
using Clock = Waking::Clock;
using pages::Said;
using test::Sleeping;

// Where cgroup v2 is mounted here; a group below it, with one process.
class Cgroup {
 public:
  Cgroup() {
    for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      const std::string path = std::string(root) + "/mvm-waking-" + std::to_string(getpid());
      if (std::filesystem::exists(std::string(root) + "/cgroup.procs") && mkdir(path.c_str(), 0755) == 0) path_ = path;
    }
  }
  ~Cgroup() {
    if (path_.empty()) return;
    std::ofstream(path_ + "/cgroup.kill") << "1";
    for (int i = 0; i < 1000 && rmdir(path_.c_str()) != 0; ++i) usleep(1000);
  }
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  [[nodiscard]] bool there() const { return !path_.empty() && std::filesystem::exists(path_ + "/cgroup.kill"); }
  void add(pid_t process) const { std::ofstream(path_ + "/cgroup.procs") << process; }
  [[nodiscard]] Fd kill() const { return Fd(open((path_ + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC)); }

 private:
  std::string path_;
};

class Wake : public testing::Test {
 protected:
  void SetUp() override {
    if (!test::new_userfaultfd().valid()) GTEST_SKIP() << "no userfaultfd for us here";
    if (!cgroup_.there()) GTEST_SKIP() << "no cgroup v2 here";
  }
  Result<Waking> start(const Sleeping& snapshot, pages::Keys keys, Clock::time_point until = Clock::now() + 30s) {
    static const test::Runnable executable(MVM_PAGES);
    const PageServer server{executable.fd(), grants::kPages, {test::kNobodyElse, test::kNobodyElse}, snapshot.file.get(), snapshot.base_file.valid() ? snapshot.base_file.get() : -1,
                            listener_.fd()};
    return Waking::start(server, snapshot.order(test::kVmmUid, 10'000), keys, cgroup_.kill(), until);
  }
  pid_t vmm(const Sleeping& snapshot) {
    const pid_t child = test::start_vmm(listener_, snapshot, 1);
    cgroup_.add(child);
    return child;
  }
  // As a worker's loop does it, until `stage` or the end.
  static Stage until(Waking& waking, Stage stage) {
    while (!waking.over() && waking.stage() < stage) {
      std::array<pollfd, 2> ready = {pollfd{waking.channel(), POLLIN, 0}, pollfd{waking.pidfd(), POLLIN, 0}};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(waking.until() - Clock::now()).count();
      poll(ready.data(), ready.size(), static_cast<int>(std::max<long>(left, 0) + 1));
      EXPECT_TRUE(waking.advance(Clock::now()));
    }
    return waking.stage();
  }
  // One that plays a page server: a process that does what `work` says with its end of the channel.
  static sandbox::Worker played(const std::function<void(int)>& work) {
    std::array<int, 2> ends{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      work(ends[1]);
      _exit(0);
    }
    close(ends[1]);
    return {Fd(ends[0]), Fd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)))};
  }
  // A process that only lives, in the cgroup: what becomes of it?
  pid_t sleeper() {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) pause();
    }
    cgroup_.add(child);
    return child;
  }
  Stage end_of(const std::function<void(int)>& work, Clock::time_point until_when = Clock::now() + 30s) {
    Waking waking(played(work), cgroup_.kill(), until_when);
    return until(waking, Stage::kDied);
  }
  static void say(int channel, Said said) { (void)pages::send_report(channel, {said, 0, {}}); }

  Cgroup cgroup_;
  test::Listener listener_;
};

TEST_F(Wake, GoesThroughItsStagesAndLearnsWhatWasTouched) {
  const Sleeping snapshot(256);
  auto waking = start(snapshot, snapshot.keys());
  ASSERT_TRUE(waking) << waking.error().message();
  EXPECT_EQ(until(*waking, Stage::kReady), Stage::kReady);
  const pid_t guest = vmm(snapshot);
  EXPECT_EQ(until(*waking, Stage::kWhole), Stage::kWhole);
  EXPECT_FALSE(waking->touched().empty());
  EXPECT_EQ(test::ended_as(guest), test::kSawAllRight);
}

TEST_F(Wake, OfADiffOverItsBaseGoesTheSameWay) {
  const Sleeping snapshot = Sleeping::on_a_base(64);
  auto waking = start(snapshot, snapshot.keys());
  ASSERT_EQ(until(*waking, Stage::kReady), Stage::kReady);
  const pid_t guest = vmm(snapshot);
  EXPECT_EQ(until(*waking, Stage::kWhole), Stage::kWhole);
  EXPECT_EQ(test::ended_as(guest), test::kSawAllRight);
}

TEST_F(Wake, EndsTheMicroVmWhosePageServerIsKilled) {
  const Sleeping snapshot(1024);
  auto waking = start(snapshot, snapshot.keys());
  ASSERT_EQ(until(*waking, Stage::kReady), Stage::kReady);
  const pid_t guest = vmm(snapshot);
  ASSERT_EQ(until(*waking, Stage::kServing), Stage::kServing);
  syscall(SYS_pidfd_send_signal, waking->pidfd(), SIGKILL, nullptr, 0);
  EXPECT_EQ(until(*waking, Stage::kDied), Stage::kDied);
  EXPECT_EQ(test::ended_as(guest), -SIGKILL);
}

TEST_F(Wake, EndsTheMicroVmWhosePageServerHasTheWrongKey) {
  const Sleeping snapshot(4), other(4);
  const pid_t guest = sleeper();
  auto waking = start(snapshot, other.keys());
  EXPECT_EQ(until(*waking, Stage::kDied), Stage::kDied);
  EXPECT_EQ(test::ended_as(guest), -SIGKILL);
}

TEST_F(Wake, IsSaidToHaveGoneWhereTheMicroVmWent) {
  const Sleeping snapshot(1024);
  auto waking = start(snapshot, snapshot.keys());
  ASSERT_EQ(until(*waking, Stage::kReady), Stage::kReady);
  const pid_t guest = vmm(snapshot);
  ASSERT_EQ(until(*waking, Stage::kServing), Stage::kServing);
  kill(guest, SIGKILL);
  test::ended_as(guest);
  EXPECT_EQ(until(*waking, Stage::kDied), Stage::kGone);
}

// Whoever wakes dies in the middle: the page server goes on, and the microVM sees nothing wrong.
TEST_F(Wake, OutlivesWhoWakes) {
  const Sleeping snapshot(512);
  const pid_t waker = fork();
  if (waker == 0) {
    const SecretArena own = *SecretArena::make(1 << 16);
    auto waking = start(snapshot, snapshot.keys(own));
    _exit(waking && until(*waking, Stage::kReady) == Stage::kReady ? 0 : 1);
  }
  ASSERT_EQ(test::ended_as(waker), 0);
  const pid_t guest = vmm(snapshot);
  EXPECT_EQ(test::ended_as(guest), test::kSawAllRight);
}

TEST_F(Wake, EndsTheMicroVmOfAPageServerThatSaysNonsense) {
  for (const auto& work : std::vector<std::function<void(int)>>{
           [](int channel) { (void)!send(channel, "nonsense", 8, 0); },
           [](int channel) { say(channel, Said::kFirst); },
           [](int channel) { say(channel, Said::kWhole); },
           [](int channel) { say(channel, Said::kGone); },
           [](int channel) { say(channel, Said::kReady), say(channel, Said::kReady); },
           [](int channel) { say(channel, Said::kReady), say(channel, Said::kFirst), say(channel, Said::kFirst); },
           [](int channel) { say(channel, Said::kReady), say(channel, Said::kWhole), say(channel, Said::kWhole); },
           [](int channel) { say(channel, Said::kReady), say(channel, Said::kWhole), say(channel, Said::kReady); },
           [](int) {},                                                                                    // ends without a word
           [](int channel) { say(channel, Said::kReady), say(channel, Said::kWhole), _exit(1); },          // and not well
           [](int channel) { say(channel, Said::kReady), close(channel), pause(); },                       // closes its channel and lives
           [](int channel) { say(channel, Said::kReady), say(channel, Said::kWhole), close(channel), pause(); },
       }) {
    const pid_t guest = sleeper();
    EXPECT_EQ(end_of(work), Stage::kDied);
    EXPECT_EQ(test::ended_as(guest), -SIGKILL);
  }
}

TEST_F(Wake, EndsTheMicroVmThatIsNotWholeInItsTime) {
  const pid_t guest = sleeper();
  EXPECT_EQ(end_of([](int channel) { say(channel, Said::kReady), pause(); }, Clock::now() + 50ms), Stage::kDied);
  EXPECT_EQ(test::ended_as(guest), -SIGKILL);
}

TEST_F(Wake, LeavesAMicroVmAloneThatIsWhole) {
  const pid_t guest = sleeper();
  EXPECT_EQ(end_of([](int channel) { say(channel, Said::kReady), say(channel, Said::kFirst), say(channel, Said::kWhole); }), Stage::kWhole);
  int status = 0;
  EXPECT_EQ(waitpid(guest, &status, WNOHANG), 0);
  kill(guest, SIGKILL);
  test::ended_as(guest);
}

// Failing to kill is no small thing: it is said, and not passed over.
TEST_F(Wake, SaysThatItCouldNotEndTheMicroVm) {
  Waking waking(played([](int) {}), Fd(open("/dev/full", O_WRONLY | O_CLOEXEC)), Clock::now() + 30s);
  Status status;
  while (!waking.over()) status = waking.advance(Clock::now());
  EXPECT_FALSE(status);
}

}  // namespace
}  // namespace mvm::snapshot
