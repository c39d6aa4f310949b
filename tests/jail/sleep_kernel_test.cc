// Sleep and wake of a microVM: the jail worker as a process with its grants, page servers as it starts them, the sealing in this process, and a VMM that
// looks at every byte. With the double.
#include "tests/jail/sleep_fixture.h"

namespace mvm::jail {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Sleep = RunningFixture;

TEST_F(Sleep, AndWakeBringBackEveryByte) {
  for (std::uint32_t seq = 1; seq <= 3; ++seq) {
    ASSERT_EQ(ask_guest("dirty 100"), "written");
    const auto asleep = falls_asleep(seq);
    ASSERT_TRUE(asleep) << asleep.error().message();
    EXPECT_TRUE(held_);
    EXPECT_FALSE(fs::exists(memory_path()));
    EXPECT_FALSE(fs::exists(state_ + "/jails"));
    EXPECT_THAT(members(), IsEmpty());
    ASSERT_TRUE(fs::exists(snapshot_path()));
    const auto awake = wakes(seq);
    ASSERT_TRUE(awake) << awake.error().message();
    EXPECT_EQ(looked_at(), all_right()) << "wake " << seq;
    EXPECT_FALSE(fs::exists(state_ + "/snapshots/acme"));
  }
}

TEST_F(Sleep, LeavesAMicrovmWarmAndNothingElseWhereItsStateCannotBeWritten) {
  ASSERT_TRUE(to_jail(move_task(lang::kRunning, lang::kWarm)).ok);
  const auto before = in_memory();
  // No room, as where the memory file system is full: the file is there already, and is a directory.
  fs::create_directory(memory_path() + "/state");
  const auto dumped = to_jail(snapshot_task(wire::Op::kDump, 1));
  EXPECT_FALSE(dumped.ok);
  fs::remove(memory_path() + "/state");
  EXPECT_EQ(in_memory(), before);
  EXPECT_TRUE(to_jail(move_task(lang::kWarm, lang::kRunning)).ok);
  EXPECT_EQ(ask_guest("state"), "running");
}

TEST_F(Sleep, RefusesOneThatRuns) {
  const auto before = in_memory();
  const auto dumped = to_jail(snapshot_task(wire::Op::kDump, 1));
  EXPECT_THAT(dumped.error.message(), HasSubstr("PUT /snapshot/create: status 400"));
  EXPECT_EQ(in_memory(), before);
  EXPECT_EQ(ask_guest("state"), "running");
}

TEST_F(Sleep, WritesNothingThatTheVmmCouldNotHaveWrittenInItsJail) {
  ASSERT_TRUE(to_jail(move_task(lang::kRunning, lang::kWarm)).ok);
  ASSERT_TRUE(to_jail(snapshot_task(wire::Op::kDump, 1)).ok);
  struct stat info {};
  ASSERT_EQ(stat(memory_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u);
  EXPECT_EQ(info.st_mode & 07777, 0711u);
  for (const auto& [name, mode] : {std::pair{"/hold", S_IFIFO | 0600u}, {"/state", S_IFREG | 0660u}}) {
    ASSERT_EQ(stat((memory_path() + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, kUid) << name;
    EXPECT_EQ(info.st_mode, mode) << name;
  }
  EXPECT_THAT(in_memory(), ElementsAre("firecracker.log", "hold", "state"));
  ASSERT_TRUE(to_jail(snapshot_task(wire::Op::kClear, 1)).ok);
  EXPECT_THAT(in_memory(), ElementsAre("firecracker.log"));
}

// What nobody waits for any more is cleared away by the next worker, and the microVM goes on.
TEST_F(Sleep, OfADeadWorkerIsClearedAwayByTheNext) {
  ASSERT_TRUE(to_jail(move_task(lang::kRunning, lang::kWarm)).ok);
  ASSERT_TRUE(to_jail(snapshot_task(wire::Op::kDump, 1)).ok);
  test::kill_and_wait(worker_);
  start_workers();
  ASSERT_TRUE(to_jail(move_task(lang::kWarm, lang::kRunning)).ok);
  EXPECT_THAT(in_memory(), ElementsAre("firecracker.log"));
  EXPECT_EQ(ask_guest("state"), "running");
}

class Wake : public Sleep {
 protected:
  void SetUp() override {
    Sleep::SetUp();
    if (IsSkipped()) return;
    const auto asleep = falls_asleep(1);
    ASSERT_TRUE(asleep) << asleep.error().message();
  }
  // The first two steps: loaded, paused, its page server at work.
  void load() {
    ASSERT_TRUE(to_sealer(wake_task(wire::Op::kHandOver, 1)).ok);
    const auto made = to_jail(wake_task(wire::Op::kMake, 1));
    ASSERT_TRUE(made.ok) << made.error.message();
  }
  [[nodiscard]] std::vector<pid_t> page_servers() const {
    std::vector<pid_t> pids;
    std::ifstream procs(anchor_path() + "/pages/cgroup.procs");
    for (pid_t pid; procs >> pid;) pids.push_back(pid);
    return pids;
  }
  void expect_refused(const char* why) {
    const auto handed = to_sealer(wake_task(wire::Op::kHandOver, 1));
    EXPECT_FALSE(handed.ok);
    EXPECT_THAT(handed.error.message(), HasSubstr(why));
  }
  void expect_it_wakes() {
    const auto awake = wakes(1);
    ASSERT_TRUE(awake) << awake.error().message();
    EXPECT_EQ(looked_at(), all_right());
  }
};

TEST_F(Wake, IsPausedUntilItsSnapshotIsSpent) {
  load();
  EXPECT_EQ(ask_guest("state"), "paused");
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kSpend, 1)).ok);
  EXPECT_EQ(ask_guest("state"), "paused");
  ASSERT_TRUE(to_jail(wake_task(wire::Op::kRelease, 1)).ok);
  EXPECT_EQ(ask_guest("state"), "running");
}

TEST_F(Wake, StaysWarmWhereItsLineSaysSo) {
  load();
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kSpend, 1)).ok);
  ASSERT_TRUE(to_jail(wake_task(wire::Op::kRelease, 1, lang::kWarm)).ok);
  EXPECT_EQ(ask_guest("state"), "paused");
}

// A snapshot of Firecracker's has the limiters of its devices as they were.
TEST_F(Wake, IsLimitedAsItsTapAndCgroupSayNow) {
  const std::string before = R"("bandwidth":{"refill_time":1000,"size":268435456},"ops":{"refill_time":1000,"size":200000})";
  const std::string now = R"("bandwidth":{"refill_time":1000,"size":10000000},"ops":{"refill_time":1000,"size":1000})";
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kHandOver, 1)).ok);
  wire::Task make = wake_task(wire::Op::kMake, 1);
  make.place.pps = 1000, make.place.mbps = 80, make.place.io = 20;
  const auto made = to_jail(make);
  ASSERT_TRUE(made.ok) << made.error.message();
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kSpend, 1)).ok);
  ASSERT_TRUE(to_jail(wake_task(wire::Op::kRelease, 1)).ok);
  EXPECT_EQ(ask_guest("limits eth0"), "{\"rx_rate_limiter\":{" + now + "},\"tx_rate_limiter\":{" + now + "}}") << "and not " << before;
  EXPECT_THAT(ask_guest("limits rootfs"), HasSubstr(R"("bandwidth":{"refill_time":1000,"size":20971520})"));
}

TEST_F(Wake, IsNotHadTwice) {
  load();
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kSpend, 1)).ok);
  ASSERT_TRUE(to_jail(jail_task(wire::Op::kUnmake)).ok);
  expect_refused("spent");
  const auto items = to_sealer(task(wire::Op::kInventory, lang::Word::kJail)).items;
  ASSERT_EQ(items.size(), 1u);
  EXPECT_FALSE(items[0].alive);
}

TEST_F(Wake, ThatWasBrokenOffBeforeIsHadAgain) {
  load();
  ASSERT_TRUE(to_jail(jail_task(wire::Op::kUnmake)).ok);
  expect_it_wakes();
}

TEST_F(Wake, NeedsWhatWasHandedOver) {
  const auto made = to_jail(wake_task(wire::Op::kMake, 1));
  EXPECT_EQ(made.error.code, Errc::kNotFound);
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(memory_path()));
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kHandOver, 1)).ok);
  EXPECT_EQ(to_jail(wake_task(wire::Op::kMake, 2)).error.code, Errc::kDenied) << "of another line";
  expect_it_wakes();
}

TEST_F(Wake, OnAnotherHostIsRefusedBeforeAnythingIsMade) {
  for (Digest snapshot::HostFits::* each : {&snapshot::HostFits::kernel, &snapshot::HostFits::cpu}) {
    sealer_->fits.*each = sha256("another");
    expect_refused(each == &snapshot::HostFits::kernel ? "another host kernel" : "another host CPU");
    sealer_->fits = fits_;
  }
  const Digest image = std::exchange(image_, sha256("another image"));
  expect_refused("another image");
  image_ = image;
  EXPECT_FALSE(fs::exists(memory_path()));
  expect_it_wakes();
}

TEST_F(Wake, ByAnotherVersionOfFirecrackerIsRefusedAndTheSnapshotStays) {
  write_image("rootfs", "mvm-double version 1.15.0\n");
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kHandOver, 1)).ok);
  const auto made = to_jail(wake_task(wire::Op::kMake, 1));
  EXPECT_THAT(made.error.message(), HasSubstr("another version of Firecracker"));
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_THAT(page_servers(), IsEmpty());
  write_image("rootfs", "a root file system\n");
  expect_it_wakes();
}

TEST_F(Wake, FromAnOlderFileIsRefused) {
  fs::copy_file(snapshot_path(), state_ + "/older");
  ASSERT_TRUE(wakes(1));
  ASSERT_EQ(looked_at(), all_right());
  while (fs::exists(memory_path() + "/waking")) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(falls_asleep(1)) << "with the same line";
  fs::copy_file(snapshot_path(), state_ + "/newest");
  fs::copy_file(state_ + "/older", snapshot_path(), fs::copy_options::overwrite_existing);
  expect_refused("another file than the newest");
  fs::copy_file(state_ + "/newest", snapshot_path(), fs::copy_options::overwrite_existing);
  expect_it_wakes();
}

TEST_F(Wake, FromAnothersFileIsRefused) {
  wire::Task other = wake_task(wire::Op::kHandOver, 1);
  other.statement.subject.instance.value = 1;
  fs::copy_file(snapshot_path(), state_ + "/snapshots/acme/workers/i-00000001.snap");
  EXPECT_THAT(to_sealer(other).error.message(), HasSubstr("another instance"));
  other.statement.subject = instance_subject(*Name::from("beta"), *Name::from("workers"), InstanceId{1});
  fs::create_directories(state_ + "/snapshots/beta/workers");
  fs::copy_file(snapshot_path(), state_ + "/snapshots/beta/workers/i-00000001.snap");
  EXPECT_EQ(to_sealer(other).error.code, Errc::kCorrupt) << "its own tenant's key does not open it";
}

TEST_F(Wake, EndsTheMicrovmWhosePageServerIsKilled) {
  load();
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kSpend, 1)).ok);
  ASSERT_THAT(page_servers(), testing::SizeIs(1));
  ASSERT_EQ(kill(page_servers().front(), SIGKILL), 0);
  const auto event = hear(10'000);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->seq, 0u);
  EXPECT_EQ(event->ended, instance_);
  EXPECT_THAT(members(), IsEmpty());
}

TEST_F(Wake, HasAPageServerThatIsAUserOfItsOwnInTheInstancesCgroup) {
  load();
  ASSERT_THAT(page_servers(), testing::SizeIs(1));
  std::ifstream status("/proc/" + std::to_string(page_servers().front()) + "/status");
  std::string all{std::istreambuf_iterator<char>(status), {}};
  EXPECT_THAT(all, HasSubstr("Uid:\t65534\t65534\t65534\t65534"));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) EXPECT_THAT(all, HasSubstr(std::string(set) + ":\t0000000000000000")) << set;
  EXPECT_THAT(all, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(all, HasSubstr("Seccomp_filters:\t2"));
}

// A restart in the middle, as the mark says: nobody would hear how the page server ends.
TEST_F(Wake, OfADeadWorkerIsEndedByTheNext) {
  expect_it_wakes();
  while (fs::exists(memory_path() + "/waking")) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  test::kill_and_wait(worker_);
  std::ofstream(memory_path() + "/waking") << "";
  start_workers();
  const auto answer = to_jail(task(wire::Op::kInventory, lang::Word::kJail));
  for (const wire::Item& item : answer.items) EXPECT_NE(item.word, lang::Word::kJail);
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(memory_path()));
}

TEST_F(Wake, IsMarkedUntilItIsWhole) {
  ASSERT_TRUE(to_sealer(wake_task(wire::Op::kHandOver, 1)).ok);
  std::thread stopper([&] {
    for (int i = 0; i < 2000 && page_servers().empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (const pid_t pid : page_servers()) kill(pid, SIGSTOP);
  });
  const auto packet = wire::encode(wake_task(wire::Op::kMake, 1));
  ASSERT_EQ(send(worker_.channel.get(), packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size()));
  stopper.join();
  ASSERT_FALSE(page_servers().empty());
  EXPECT_TRUE(fs::exists(memory_path() + "/waking"));
  for (const pid_t pid : page_servers()) kill(pid, SIGCONT);
  const auto made = hear();
  ASSERT_TRUE(made && made->ok) << made->error.message();
  for (int i = 0; i < 1000 && fs::exists(memory_path() + "/waking"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(fs::exists(memory_path() + "/waking"));
}

TEST_F(Wake, ThatIsWholeOutlivesItsWorker) {
  expect_it_wakes();
  while (fs::exists(memory_path() + "/waking")) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(fs::exists(memory_path() + "/touched"));
  const auto before = members();
  test::kill_and_wait(worker_);
  start_workers();
  EXPECT_TRUE(to_jail(move_task(lang::kRunning, lang::kWarm)).ok);
  EXPECT_EQ(members(), before);
  ASSERT_TRUE(to_jail(move_task(lang::kWarm, lang::kRunning)).ok);
}

}  // namespace
}  // namespace mvm::jail
