// A VMM that is held while its guest's memory is read out of it, and one whose memory cannot be read, which writes all of it. With the double.
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/jail/sleep_fixture.h"

namespace mvm::jail {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

class Held : public SleepFixture {
 protected:
  void SetUp() override {
    if (real()) GTEST_SKIP() << "asks the doubled guest";
    SleepFixture::SetUp();
  }
  void make_warm(const std::string& mischief = {}) {
    if (!mischief.empty()) misbehave(mischief);
    const auto made = to_jail(jail_task(wire::Op::kMake));
    ASSERT_TRUE(made.ok) << made.error.message();
    ASSERT_EQ(ask_guest("dirty 100"), "written");
    ASSERT_TRUE(to_jail(move_task(lang::kRunning, lang::kWarm)).ok);
  }
  wire::Answer dumped(std::uint32_t seq = 1) {
    auto answer = to_jail(snapshot_task(wire::Op::kDump, seq));
    EXPECT_TRUE(answer.ok) << answer.error.message();
    return answer;
  }
  void let_go() { ASSERT_TRUE(to_jail(snapshot_task(wire::Op::kClear, 1)).ok); }
  void expect_all_of_it_is_written() {
    const auto asleep = sleeps_warm(1);
    ASSERT_TRUE(asleep) << asleep.error().message();
    EXPECT_FALSE(held_);
    write_image("rootfs", "a root file system\n");
    const auto awake = wakes(1);
    ASSERT_TRUE(awake) << awake.error().message();
    EXPECT_EQ(looked_at(), all_right());
  }
};

TEST_F(Held, WaitsWhereItsMemoryWouldGoUntilItIsLetGo) {
  make_warm();
  dumped();
  ASSERT_THAT(members(), testing::SizeIs(1));
  const std::string call = content_of("/proc/" + std::to_string(members().front()) + "/syscall");
  EXPECT_TRUE(call.starts_with(std::to_string(SYS_openat) + ' ') || call.starts_with(std::to_string(SYS_open) + ' ')) << call;
  EXPECT_GT(fs::file_size(memory_path() + "/state"), 0u);
  let_go();
  EXPECT_THAT(in_memory(), ElementsAre("firecracker.log"));
  ASSERT_TRUE(to_jail(move_task(lang::kWarm, lang::kRunning)).ok);
  EXPECT_EQ(ask_guest("state"), "running");
}

TEST_F(Held, AndLetGoAndHeldAgainSleepsAndWakesToEveryByte) {
  make_warm();
  dumped();
  let_go();
  ASSERT_TRUE(to_jail(move_task(lang::kWarm, lang::kRunning)).ok);
  ASSERT_EQ(ask_guest("dirty 100"), "written");
  const auto asleep = falls_asleep(2);
  ASSERT_TRUE(asleep) << asleep.error().message();
  EXPECT_TRUE(held_);
  const auto awake = wakes(2);
  ASSERT_TRUE(awake) << awake.error().message();
  EXPECT_EQ(looked_at(), all_right());
}

TEST_F(Held, WhoseVmmIsKilledIsNotSealed) {
  make_warm();
  const auto answer = dumped();
  for (const pid_t pid : members()) kill(pid, SIGKILL);
  for (int i = 0; i < 3000 && !members().empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_THAT(members(), IsEmpty());
  const auto event = hear(10'000);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->ended, instance_);
  EXPECT_FALSE(to_sealer(seal_task(1, answer)).ok);
  EXPECT_FALSE(fs::exists(state_ + "/snapshots/acme"));
  let_go();
  ASSERT_TRUE(to_jail(jail_task(wire::Op::kUnmake)).ok);
  EXPECT_FALSE(fs::exists(memory_path()));
}

// What was given for a statement that came to nothing is not taken for the next.
TEST_F(Held, IsSealedForItsOwnStatementAlone) {
  make_warm();
  const auto first = dumped(1);
  EXPECT_EQ(to_sealer(seal_task(2, first)).error.code, Errc::kNotFound) << "another line";
  EXPECT_EQ(to_sealer(seal_task(1, first)).error.code, Errc::kNotFound) << "it was let go";
  let_go();
  const auto again = dumped(1);
  wire::Task of_another = seal_task(1, again);
  of_another.statement.subject.instance.value = 1;
  fs::create_directory(memory_ + "/acme.workers.00000001");
  EXPECT_EQ(to_sealer(of_another).error.code, Errc::kNotFound) << "another instance";
  fs::remove_all(memory_ + "/acme.workers.00000001");
  let_go();
  dumped(1);
  let_go();
  const auto asleep = sleeps_warm(2);
  ASSERT_TRUE(asleep) << asleep.error().message() << ": behind one that nobody took";
  EXPECT_TRUE(held_);
}

// As where it is not dumpable, or a security module says who may be read by whom.
TEST_F(Held, IsNotWhatMayNotBeReadAndWritesAllOfItsMemory) {
  make_warm("undumpable");
  expect_all_of_it_is_written();
}

TEST_F(Held, IsLetGoWhereItsMemoryCannotBeFoundAndWritesAllOfIt) {
  make_warm("no-tables");
  expect_all_of_it_is_written();
}

TEST_F(Held, AndWokenFromAFileIsReadWhetherItsPagesAreThereOrNot) {
  test::kill_and_wait(worker_);
  has_userfaultfd_ = false;
  start_workers();
  make_warm();
  for (std::uint32_t seq = 1; seq <= 3; ++seq) {
    const auto asleep = sleeps_warm(seq);
    ASSERT_TRUE(asleep) << asleep.error().message();
    EXPECT_TRUE(held_) << seq;
    const auto awake = wakes(seq);
    ASSERT_TRUE(awake) << awake.error().message();
    if (seq == 3) break;  // twice before most of its pages were touched
    ASSERT_TRUE(to_jail(move_task(lang::kRunning, lang::kWarm)).ok);
  }
  EXPECT_EQ(looked_at(), all_right());
}

// Any process of the cgroup's that is that user's; this one opens a pipe that nobody reads.
TEST_F(Held, IsWhoWaitsToOpenThatPathAndNoOther) {
  const std::string directory = state_ + "-open", path = directory + "/pipe";
  ASSERT_TRUE(fs::create_directory(directory));
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  ASSERT_EQ(chmod(directory.c_str(), 0755) | chown(path.c_str(), kUid, kUid), 0);
  fs::create_directory(anchor_path() + "/vm");
  const pid_t child = fork();
  if (child == 0) {
    if (setresgid(kUid, kUid, kUid) == 0 && setresuid(kUid, kUid, kUid) == 0) execl("/bin/sh", "sh", "-c", (": >" + path).c_str(), nullptr);
    _exit(1);
  }
  std::ofstream(anchor_path() + "/vm/cgroup.procs") << child;
  const Fd cgroup(open(anchor_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  auto process = VmmProcess::open(cgroup.get(), kUid);
  for (int i = 0; i < 3000 && !process; ++i) {  // until it is a program
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    process = VmmProcess::open(cgroup.get(), kUid);
  }
  ASSERT_TRUE(process) << process.error().message();
  const auto waits = [&](const std::string& for_path) { return process->waits_to_open(for_path).value_or(VmmProcess::Waits::kNo) == VmmProcess::Waits::kYes; };
  for (int i = 0; i < 3000 && !waits(path); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(waits(path));
  EXPECT_FALSE(waits(path + "e"));
  EXPECT_FALSE(waits(path.substr(0, path.size() - 1)));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(VmmProcess::open(cgroup.get(), kUid).error().code, Errc::kNotFound);
  EXPECT_FALSE(waits(path));
  fs::remove(anchor_path() + "/vm");
  fs::remove_all(directory);
}

// What it takes to put a guest to sleep beside the guest: in all who take part, and in the memory file system.
class MemoryOfASleep : public Held, public testing::WithParamInterface<std::uint32_t> {
 protected:
  static constexpr std::int64_t kMost = 64 << 20;
  static std::int64_t status_of(pid_t pid, const std::string& name) {
    std::istringstream status(content_of("/proc/" + std::to_string(pid) + "/status"));
    for (std::string word; status >> word;) {
      std::int64_t kib = 0;
      if (word == name + ":" && status >> kib) return kib << 10;
    }
    ADD_FAILURE() << name << " of " << pid;
    return 0;
  }
  // From here on the kernel keeps the most that each has had (proc(5), clear_refs).
  void begin() {
    who_ = {members().front(), getpid(), worker_pid()};
    for (const pid_t pid : who_) {
      std::ofstream("/proc/" + std::to_string(pid) + "/clear_refs") << "5";
      before_ += status_of(pid, "VmRSS");
    }
  }
  [[nodiscard]] std::int64_t over() const {
    std::int64_t bytes = -before_;
    for (const pid_t pid : who_) bytes += status_of(pid, "VmHWM");
    for (const auto& entry : fs::directory_iterator(memory_path())) {
      struct stat info {};
      if (stat(entry.path().c_str(), &info) == 0) bytes += info.st_blocks * 512;
    }
    return bytes;
  }
  [[nodiscard]] pid_t worker_pid() const {
    std::istringstream info(content_of("/proc/self/fdinfo/" + std::to_string(worker_.pidfd.get())));
    for (std::string word; info >> word;) {
      pid_t pid = 0;
      if (word == "Pid:" && info >> pid) return pid;
    }
    return 0;
  }

 private:
  std::vector<pid_t> who_;
  std::int64_t before_ = 0;
};

TEST_P(MemoryOfASleep, IsBoundedWhateverTheGuestsSize) {
  mib_ = GetParam();
  make_warm();
  dumped();  // the double's guest has its memory from here on
  let_go();
  begin();
  const auto answer = dumped(2);
  const std::int64_t held = over();
  ASSERT_TRUE(to_sealer(seal_task(2, answer)).ok);
  const std::int64_t most = std::max(held, over());
  RecordProperty("over", std::to_string(most));
  std::printf("asleep, a guest of %u MiB has taken %.1f MiB more\n", mib_, static_cast<double>(most) / (1 << 20));
  EXPECT_LE(most, kMost);
}

// What the measure is worth: it sees a memory that is written once more.
TEST_P(MemoryOfASleep, IsThatOfTheGuestOnceMoreWhereAllOfItIsWritten) {
  mib_ = GetParam();
  make_warm("undumpable");
  dumped();
  let_go();
  begin();
  dumped(2);
  EXPECT_GE(over(), std::int64_t{mib_} << 20);
}

// The same by the microVM's own cgroup, where there is a memory controller.
TEST_P(MemoryOfASleep, IsBoundedInItsCgroupWhateverTheGuestsSize) {
  if (content_of(cgroup_ + "/cgroup.controllers").find("memory") == std::string::npos) GTEST_SKIP() << "no memory controller here";
  mib_ = GetParam();
  for (const char* above : {"", "/acme", "/acme/workers"}) std::ofstream(cgroup_ + above + "/cgroup.subtree_control") << "+memory";
  make_warm();
  dumped();
  let_go();
  const auto before = std::stoll(content_of(anchor_path() + "/memory.current"));
  ASSERT_TRUE(to_sealer(seal_task(2, dumped(2))).ok);
  const auto most = std::stoll(content_of(anchor_path() + "/memory.peak"));
  std::printf("asleep, the cgroup of a guest of %u MiB has had %.1f MiB more\n", mib_, static_cast<double>(most - before) / (1 << 20));
  EXPECT_LE(most - before, kMost);
}

INSTANTIATE_TEST_SUITE_P(Of, MemoryOfASleep, testing::Values(64U, 256U), [](const auto& size) { return std::to_string(size.param) + "MiB"; });

}  // namespace
}  // namespace mvm::jail
