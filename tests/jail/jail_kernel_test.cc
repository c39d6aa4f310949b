// The life of a microVM on a real kernel: cgroup, namespaces, devices, tap, API. With the doubles, or, given
// MVM_FIRECRACKER_DIR, with the real Firecracker as far as it can be told apart from nothing by its API alone.
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include "broker/jail/launch.h"
#include "tests/jail/jail_fixture.h"

namespace mvm::jail {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

// What any Firecracker does.
class JailKernel : public JailFixture {};

std::vector<std::string> status_lines(pid_t pid, std::vector<std::string> names) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  std::vector<std::string> found;
  for (std::string line; std::getline(status, line);) {
    for (const std::string& name : names) {
      if (line.starts_with(name + ":")) found.push_back(line);
    }
  }
  return found;
}

TEST_F(JailKernel, MakesAMicrovmAndEndsItWithoutATrace) {
  anchor();
  const auto made = make();
  ASSERT_TRUE(made.ok) << made.error.message();
  EXPECT_EQ(made.seq, 7u);
  EXPECT_THAT(members(), SizeIs(1));
  const auto ended = unmake();
  ASSERT_TRUE(ended.ok) << ended.error.message();
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(state_ + "/jails"));
}

TEST_F(JailKernel, RunsTheVmmAsItsOwnUidInNamespacesOfItsOwnWithNoCapability) {
  anchor();
  ASSERT_TRUE(make().ok);
  ASSERT_THAT(members(), SizeIs(1));
  const pid_t pid = members().front();
  const std::string uid = std::to_string(kUid);
  const std::string four = "\t" + uid + "\t" + uid + "\t" + uid + "\t" + uid;
  EXPECT_THAT(status_lines(pid, {"Uid", "Gid", "CapPrm", "CapEff", "CapAmb"}),
              testing::ElementsAre("Uid:" + four, "Gid:" + four, "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
                                   "CapAmb:\t0000000000000000"));
  for (const char* space : {"mnt", "pid"}) {
    const auto theirs = fs::read_symlink("/proc/" + std::to_string(pid) + "/ns/" + space);
    EXPECT_NE(theirs, fs::read_symlink(std::string("/proc/self/ns/") + space)) << space;
  }
  EXPECT_EQ(content_of("/proc/" + std::to_string(pid) + "/environ"), "");
  const std::string limits = content_of("/proc/" + std::to_string(pid) + "/limits");
  EXPECT_THAT(limits, HasSubstr("Max file size             268435456            268435456"));
  EXPECT_THAT(limits, HasSubstr("Max open files            2048                 2048"));
  for (const char* fd : {"0", "1"}) {
    EXPECT_EQ(fs::read_symlink("/proc/" + std::to_string(pid) + "/fd/" + fd), "/dev/null") << fd;
  }
}

TEST_F(JailKernel, ClosesTheJailBeforeTheGuestRuns) {
  anchor();
  ASSERT_TRUE(make().ok);
  for (const char* folder : {"", "/run", "/dev", "/dev/net"}) {
    struct stat info{};
    ASSERT_EQ(stat((root_path() + folder).c_str(), &info), 0);
    EXPECT_EQ(info.st_uid, 0u) << folder;
    EXPECT_EQ(info.st_mode & 07777, 0711u) << folder;
  }
  struct stat info{};
  ASSERT_EQ(stat((root_path() + "/rootfs").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode, S_IFBLK | 0400u) << "its own to read";
  EXPECT_FALSE(fs::exists(root_path() + "/kernel")) << "the guest has it in its memory";
}

TEST_F(JailKernel, PausesAndResumes) {
  anchor();
  ASSERT_TRUE(make().ok);
  EXPECT_EQ(found(lang::Word::kJail)->state, lang::kRunning);
  const auto paused = move(lang::kRunning, lang::kWarm);
  ASSERT_TRUE(paused.ok) << paused.error.message();
  EXPECT_EQ(found(lang::Word::kJail)->state, lang::kWarm);
  EXPECT_TRUE(found(lang::Word::kJail)->alive);
  ASSERT_TRUE(move(lang::kWarm, lang::kRunning).ok);
  EXPECT_EQ(found(lang::Word::kJail)->state, lang::kRunning);
}

TEST_F(JailKernel, MakesAWarmOne) {
  anchor();
  auto warm = task(wire::Op::kMake, lang::Word::kJail);
  warm.statement.numbers[4] = lang::kWarm;
  const auto made = run(warm);
  ASSERT_TRUE(made.ok) << made.error.message();
  EXPECT_EQ(found(lang::Word::kJail)->state, lang::kWarm);
}

TEST_F(JailKernel, FindsAMicrovmAgainAfterARestartOfTheWorker) {
  anchor();
  ASSERT_TRUE(make().ok);
  const auto before = members();
  executor_.reset();
  start_worker();
  EXPECT_EQ(members(), before);
  const auto jail = found(lang::Word::kJail);
  ASSERT_TRUE(jail);
  EXPECT_TRUE(jail->alive);
  EXPECT_EQ(jail->state, lang::kRunning);
  EXPECT_TRUE(found(lang::Word::kCgroup)->alive);
  // And it is watched again.
  ASSERT_EQ(kill(before.front(), SIGKILL), 0);
  pollfd ended{executor_->watch().fd(), POLLIN, 0};
  ASSERT_EQ(poll(&ended, 1, 5000), 1);
  EXPECT_THAT(executor_->watch().take_ended(), testing::ElementsAre(instance_));
}

TEST_F(JailKernel, SaysOnceThatAMicrovmEndedByItself) {
  anchor();
  ASSERT_TRUE(make().ok);
  EXPECT_THAT(executor_->watch().take_ended(), IsEmpty());
  ASSERT_EQ(kill(members().front(), SIGKILL), 0);
  pollfd ended{executor_->watch().fd(), POLLIN, 0};
  ASSERT_EQ(poll(&ended, 1, 5000), 1);
  EXPECT_THAT(executor_->watch().take_ended(), testing::ElementsAre(instance_));
  EXPECT_THAT(executor_->watch().take_ended(), IsEmpty());
  const auto jail = found(lang::Word::kJail);
  ASSERT_TRUE(jail);
  EXPECT_FALSE(jail->alive);
}

TEST_F(JailKernel, SaysNothingOfAnEndThatWasAskedFor) {
  anchor();
  ASSERT_TRUE(make().ok);
  ASSERT_TRUE(unmake().ok);
  pollfd ended{executor_->watch().fd(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 100), 0);
}

TEST_F(JailKernel, EndsWhatIsAlreadyGone) {
  EXPECT_TRUE(unmake().ok);
  anchor();
  EXPECT_TRUE(unmake().ok);
  EXPECT_TRUE(run(wire::Op::kUnmake, lang::Word::kCgroup).ok);
  EXPECT_TRUE(run(wire::Op::kUnmake, lang::Word::kCgroup).ok);
  EXPECT_FALSE(fs::exists(cgroup_ + "/acme"));
}

TEST_F(JailKernel, RefusesAJailWithoutItsAnchor) {
  const auto made = make();
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.code, Errc::kNotFound);
}

TEST_F(JailKernel, RefusesAJailWhoseCgroupHasProcesses) {
  anchor();
  ASSERT_TRUE(make().ok);
  const auto before = members();
  const auto again = make();
  ASSERT_FALSE(again.ok);
  EXPECT_EQ(again.error.code, Errc::kBusy);
  EXPECT_EQ(members(), before);
}

TEST_F(JailKernel, ClearsAwayAJailWhoseProcessHasGone) {
  anchor();
  ASSERT_TRUE(make().ok);
  ASSERT_EQ(kill(members().front(), SIGKILL), 0);
  const auto cgroup = open_absolute(anchor_path(), O_RDONLY | O_DIRECTORY);
  while (*population(cgroup->get()) == Population::kPopulated) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  const auto again = make();
  EXPECT_TRUE(again.ok) << again.error.message();
}

TEST_F(JailKernel, MakesAJailAgainInACgroupThatWasKilled) {
  anchor();
  ASSERT_TRUE(make().ok);
  ASSERT_TRUE(unmake().ok);
  EXPECT_TRUE(fs::exists(anchor_path()));
  const auto again = make();
  EXPECT_TRUE(again.ok) << again.error.message();
}

TEST_F(JailKernel, UnmakesACgroupWithAllThatIsInIt) {
  anchor();
  ASSERT_TRUE(make().ok);
  ASSERT_TRUE(run(wire::Op::kUnmake, lang::Word::kCgroup).ok);
  EXPECT_FALSE(fs::exists(cgroup_ + "/acme"));
  EXPECT_FALSE(found(lang::Word::kCgroup));
  const auto left = found(lang::Word::kJail);
  ASSERT_TRUE(left);  // its directory, for the supervisor to sweep
  EXPECT_FALSE(left->alive);
}

TEST_F(JailKernel, LeavesNothingOfAMakeWhoseTapIsNotThere) {
  anchor();
  auto wrong = task(wire::Op::kMake, lang::Word::kJail);
  wrong.place.slot = 9;
  const auto made = run(wrong);
  ASSERT_FALSE(made.ok);
  EXPECT_THAT(made.error.tried, StartsWith("PUT /network-interfaces/eth0: status 400"));
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(state_ + "/jails"));
}

TEST_F(JailKernel, RefusesATapOfAnotherUid) {
  anchor();
  auto wrong = task(wire::Op::kMake, lang::Word::kJail);
  wrong.place.uid = kUid + 1;
  EXPECT_FALSE(run(wrong).ok);
  EXPECT_THAT(members(), IsEmpty());
}

TEST_F(JailKernel, RefusesAnImageThatTheJailCouldChange) {
  anchor();
  const std::string kernel = state_ + "/images/" + to_hex(image_.bytes) + "/kernel";
  fs::permissions(kernel, static_cast<fs::perms>(0644));
  EXPECT_EQ(make().error.code, Errc::kDenied);
  fs::permissions(kernel, static_cast<fs::perms>(0444));
  ASSERT_EQ(chown(kernel.c_str(), kUid, kUid), 0);
  EXPECT_EQ(make().error.code, Errc::kDenied);
  EXPECT_FALSE(fs::exists(state_ + "/jails"));
}

TEST_F(JailKernel, StartsNothingWhoseImageIsNotOpen) {
  anchor();
  fs::rename(block_path() + "/dm-0", block_path() + "/gone");
  EXPECT_EQ(make().error.code, Errc::kNotFound);
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(state_ + "/jails"));
}

TEST_F(JailKernel, StartsNothingOnAKernelThatIsNotTheManifests) {
  anchor();
  const std::string kernel = content_of(state_ + "/images/" + to_hex(image_.bytes) + "/kernel");
  std::string flipped = kernel;
  flipped[flipped.size() / 2] ^= 1;
  for (const std::string& other : {flipped, kernel + "x", kernel.substr(1), std::string()}) {
    write_image("kernel", other);
    const auto made = make();
    EXPECT_EQ(made.error.code, Errc::kCorrupt) << other.size() << ": " << made.error.message();
    EXPECT_THAT(members(), IsEmpty());
    EXPECT_FALSE(fs::exists(state_ + "/jails"));
  }
  write_image("kernel", kernel);
  EXPECT_TRUE(make().ok);
}

// Whose first bytes are those of the manifest's kernel, up to where a piece of what is read ends.
TEST_F(JailKernel, StartsNothingOnAKernelThatGoesOnAfterTheManifests) {
  anchor();
  const std::string kernel(1 << 20, 'k');
  manifest_.kernel = {sha256(kernel), kernel.size()};
  image_ = sha256(lang::print(lang::document_of(manifest_)));
  write_image("rootfs", "a root file system");
  write_image("kernel", kernel + "x");
  const auto made = make();
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.code, Errc::kCorrupt);
}

TEST_F(JailKernel, WritesNoMoreOfAKernelThanTheManifestSays) {
  anchor();
  const std::string kernel = content_of(state_ + "/images/" + to_hex(image_.bytes) + "/kernel");
  write_image("kernel", kernel + std::string(2 << 20, 'k'));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit limit{kernel.size() + (1 << 20), before.rlim_max};
  const auto was = signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const auto made = make();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, was);
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.code, Errc::kCorrupt) << made.error.message();
}

TEST_F(JailKernel, BelievesNoManifestButTheOneThatTheImageIsNamedBy) {
  anchor();
  write_image("kernel", "another kernel");
  manifest_.kernel = {sha256("another kernel"), 14};
  EXPECT_EQ(make().error.code, Errc::kDenied);
  auto without = task(wire::Op::kMake, lang::Word::kJail);
  without.manifest.reset();
  EXPECT_EQ(run(without).error.code, Errc::kDenied);
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(state_ + "/jails"));
}

TEST_F(JailKernel, RefusesASymlinkInPlaceOfAnImage) {
  anchor();
  const std::string kernel = state_ + "/images/" + to_hex(image_.bytes) + "/kernel";
  fs::rename(kernel, state_ + "/elsewhere");
  fs::create_symlink(state_ + "/elsewhere", kernel);
  const auto made = make();
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.sys_errno, ELOOP);
}

TEST_F(JailKernel, RefusesASymlinkOnTheJailersPath) {
  anchor();
  fs::create_directory(state_ + "/other");
  fs::create_directory(state_ + "/jails");
  fs::create_directory_symlink(state_ + "/other", state_ + "/jails/acme");
  const auto made = make();
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.sys_errno, ELOOP);
  EXPECT_TRUE(fs::is_empty(state_ + "/other"));
}

TEST_F(JailKernel, RefusesAStateDirectoryThatIsNoLongerAtItsPath) {
  anchor();
  fs::rename(state_, state_ + ".moved");
  fs::create_directory(state_);
  const auto made = make();
  EXPECT_EQ(made.error.code, Errc::kDenied);
  EXPECT_THAT(made.error.tried, HasSubstr("no longer at its path"));
  fs::remove(state_);
  fs::rename(state_ + ".moved", state_);
}

TEST_F(JailKernel, RefusesRootAsTheJailsUid) {
  anchor();
  auto wrong = task(wire::Op::kMake, lang::Word::kJail);
  wrong.place.uid = 0;
  EXPECT_EQ(run(wrong).error.code, Errc::kDenied);
}

TEST_F(JailKernel, RefusesOtherWorkersStatements) {
  anchor();
  EXPECT_EQ(run(wire::Op::kMake, lang::Word::kTap).error.code, Errc::kUnsupported);
  EXPECT_EQ(run(wire::Op::kMove, lang::Word::kCgroup).error.code, Errc::kUnsupported);
}

TEST_F(JailKernel, SaysWhichControllerACgroupLineLacks) {
  if (content_of(cgroup_ + "/cgroup.controllers").find("memory") != std::string::npos) GTEST_SKIP() << "they are all there";
  const auto made = run(wire::Op::kMake, lang::Word::kCgroup);
  ASSERT_FALSE(made.ok);
  EXPECT_EQ(made.error.code, Errc::kUnsupported);
  EXPECT_FALSE(fs::exists(cgroup_ + "/acme"));
}

TEST_F(JailKernel, RunsNoBinaryThatIsNotRootsAloneOrThatALinkLeadsTo) {
  anchor();
  const std::string binaries = state_ + "/binaries";
  fs::create_directory(binaries);
  for (const char* name : {"firecracker", "jailer"}) fs::copy_file(firecracker_dir() + "/" + name, binaries + "/" + name);
  for (const char* name : {"firecracker", "jailer"}) {
    const std::string path = binaries + "/" + name;
    start_worker(binaries);
    for (const unsigned mode : {0775u, 0757u, 0644u}) {
      ASSERT_EQ(chmod(path.c_str(), mode), 0);
      EXPECT_EQ(make().error.code, Errc::kDenied) << name << " " << mode;
    }
    ASSERT_EQ(chmod(path.c_str(), 0755), 0);
    ASSERT_EQ(chown(path.c_str(), kUid, 0), 0);
    EXPECT_EQ(make().error.code, Errc::kDenied) << name;
    ASSERT_EQ(chown(path.c_str(), 0, 0), 0);
    fs::rename(path, path + ".was");
    fs::create_symlink(path + ".was", path);
    EXPECT_EQ(make().error.sys_errno, ELOOP) << name;
    fs::remove(path);
    fs::rename(path + ".was", path);
  }
  fs::create_directory_symlink(binaries, state_ + "/link");
  start_worker(state_ + "/link");
  EXPECT_EQ(make().error.sys_errno, ELOOP);
  start_worker(binaries);
  const auto made = make();
  EXPECT_TRUE(made.ok) << made.error.message();
}

TEST_F(JailKernel, TalksToNoJailThatIsRoots) {
  anchor();
  ASSERT_TRUE(make().ok);
  ASSERT_EQ(chown((memory_path() + "/firecracker.log").c_str(), 0, 0), 0);
  EXPECT_EQ(move(lang::kRunning, lang::kWarm).error.code, Errc::kCorrupt);
}

TEST_F(JailKernel, TellsOfProcessesWhoseJailIsGone) {
  anchor();
  ASSERT_TRUE(make().ok);
  fs::remove_all(state_ + "/jails");
  const auto left = found(lang::Word::kJail);
  ASSERT_TRUE(left);
  EXPECT_FALSE(left->alive);
  ASSERT_TRUE(unmake().ok);
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(found(lang::Word::kJail));
}

TEST_F(JailKernel, TellsAnInventoryInPartsOfABoundedSize) {
  const auto parts = [&] {
    std::vector<wire::Answer> answers;
    executor_->run(task(wire::Op::kInventory, lang::Word::kJail), [&](const wire::Answer& answer) { answers.push_back(answer); });
    return answers;
  };
  const auto leave_jails = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      fs::create_directories(state_ + "/jails/acme/workers/firecracker/" + to_string(InstanceId{static_cast<std::uint32_t>(i)}));
    }
  };
  EXPECT_THAT(parts(), SizeIs(1));
  EXPECT_THAT(parts().front().items, IsEmpty());
  leave_jails(0, wire::kMaxItems);
  auto answers = parts();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_THAT(answers[0].items, SizeIs(wire::kMaxItems));
  EXPECT_FALSE(answers[0].more);
  leave_jails(wire::kMaxItems, wire::kMaxItems + 1);
  answers = parts();
  ASSERT_THAT(answers, SizeIs(2));
  EXPECT_TRUE(answers[0].more);
  EXPECT_THAT(answers[0].items, SizeIs(wire::kMaxItems));
  EXPECT_FALSE(answers[1].more);
  EXPECT_THAT(answers[1].items, SizeIs(1));
  EXPECT_TRUE(answers[0].ok && answers[1].ok);
}

TEST(Said, IsBoundedAndQuotedByItsFirstLine) {
  const auto said = Said::make();
  ASSERT_TRUE(said);
  EXPECT_EQ(said->quoted(), "");
  const std::string line = "no \x1b[31mway\nmore\n";
  ASSERT_EQ(write(said->fd(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
  EXPECT_EQ(said->quoted(), "no ?[31mway");
  const std::string flood(kMaxSaid, 'x');
  EXPECT_LT(write(said->fd(), flood.data(), flood.size()), static_cast<ssize_t>(flood.size()));
  EXPECT_EQ(write(said->fd(), flood.data(), flood.size()), -1);
  EXPECT_EQ(ftruncate(said->fd(), 1 << 20), -1);
}

}  // namespace
}  // namespace mvm::jail
