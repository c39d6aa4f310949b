// Which device has a name, read from a copy of what sysfs looks like; and its node.
#include "broker/jail/drive_nodes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <tuple>

#include "base/fd.h"

namespace mvm::jail {
namespace {

namespace fs = std::filesystem;

class DriveNodes : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mvm-nodes-test-XXXXXX";
    path_ = mkdtemp(name);
    device("dm-0", "mvm-data-acme.workers.00000001", "0", "254:0");
    device("dm-1", "mvm-data-acme.workers.00000002", "0", "254:1");
    fs::create_directory(path_ + "/sda");
    block_ = Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override { fs::remove_all(path_); }
  void device(const std::string& block, const std::string& name, const std::string& suspended, const std::string& number, bool writes = true) const {
    fs::create_directories(path_ + "/" + block + "/dm");
    std::ofstream(path_ + "/" + block + "/dm/name") << name << "\n";
    std::ofstream(path_ + "/" + block + "/dm/suspended") << suspended << "\n";
    std::ofstream(path_ + "/" + block + "/dev") << number << "\n";
    std::ofstream(path_ + "/" + block + "/ro") << (writes ? "0\n" : "1\n");
  }
  std::string path_;
  Fd block_;
};

TEST_F(DriveNodes, AreOfTheDeviceWithExactlyThatName) {
  EXPECT_EQ(device_named(block_.get(), "mvm-data-acme.workers.00000002", Use::kReadWrite).value(), makedev(254, 1));
  EXPECT_EQ(device_named(block_.get(), "mvm-data-acme.workers.0000000", Use::kReadWrite).error().code, Errc::kNotFound);
  EXPECT_EQ(device_named(block_.get(), "mvm-data-acme.workers.00000003", Use::kReadWrite).error().code, Errc::kNotFound);
}

// Another kind of device may have a directory like that; one that is just being made, or goes, has no name.
TEST_F(DriveNodes, AreOfDeviceMapperAndOfWhatHasAName) {
  device("loop9", "not-of-device-mapper", "0", "7:9");
  fs::create_directories(path_ + "/dm-8/dm");
  for (const char* name : {"not-of-device-mapper", ""}) {
    const auto named = device_named(block_.get(), name, Use::kReadWrite);
    ASSERT_FALSE(named);
    EXPECT_EQ(named.error().code, Errc::kNotFound) << named.error().message();
  }
}

TEST_F(DriveNodes, ThatAreSharedAreOfADeviceThatNobodyCanWriteTo) {
  device("dm-2", "mvm-image-1", "0", "254:2", false);
  EXPECT_EQ(device_named(block_.get(), "mvm-image-1", Use::kRead).value(), makedev(254, 2));
  const auto expect_denied = [&] {
    const auto named = device_named(block_.get(), "mvm-image-1", Use::kRead);
    ASSERT_FALSE(named);
    EXPECT_EQ(named.error().code, Errc::kDenied);
  };
  device("dm-2", "mvm-image-1", "0", "254:2", true);
  expect_denied();
  fs::remove(path_ + "/dm-2/ro");
  expect_denied();
}

TEST_F(DriveNodes, AreTheirUidsAloneAndForItsUse) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  umask(0);  // the modes are the nodes' own
  device("dm-2", "mvm-image-1", "0", "254:2", false);
  ASSERT_TRUE(place_device(block_.get(), block_.get(), {"rootfs", "mvm-image-1", Use::kRead, 2'000'005}));
  ASSERT_TRUE(place_device(block_.get(), block_.get(), {"data", "mvm-data-acme.workers.00000001", Use::kReadWrite, 2'000'005}));
  for (const auto& [name, mode, number] : {std::tuple{"/rootfs", S_IFBLK | 0400, makedev(254, 2)}, {"/data", S_IFBLK | 0600, makedev(254, 0)}}) {
    struct stat info {};
    ASSERT_EQ(lstat((path_ + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode, static_cast<mode_t>(mode)) << name;
    EXPECT_EQ(info.st_rdev, number) << name;
    EXPECT_EQ(info.st_uid, 2'000'005u);
    EXPECT_EQ(info.st_gid, 2'000'005u);
  }
  EXPECT_EQ(place_device(block_.get(), block_.get(), {"data", "mvm-data-acme.workers.00000002", Use::kReadWrite, 1}).error().sys_errno, EEXIST);
}

// Whatever has the name already stays what it is, and where a link leads to there is nothing made.
TEST_F(DriveNodes, AreNotMadeWhereSomethingIs) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const DriveNode node{"data", "mvm-data-acme.workers.00000001", Use::kReadWrite, 2'000'005};
  const auto expect_there = [&] {
    const auto placed = place_device(block_.get(), block_.get(), node);
    ASSERT_FALSE(placed);
    EXPECT_EQ(placed.error().sys_errno, EEXIST);
  };
  std::ofstream(path_ + "/data") << "a copy";
  expect_there();
  struct stat info {};
  ASSERT_EQ(lstat((path_ + "/data").c_str(), &info), 0);
  EXPECT_TRUE(S_ISREG(info.st_mode));
  EXPECT_EQ(info.st_uid, 0u);
  fs::remove(path_ + "/data");
  fs::create_symlink(path_ + "/elsewhere", path_ + "/data");
  expect_there();
  EXPECT_FALSE(fs::exists(path_ + "/elsewhere"));
}

// Stops a child of ours at its call of fchownat, and lets it go on after `meanwhile`. Gives its exit code.
int interrupted_at_fchownat(const std::function<bool()>& what, const std::function<void()>& meanwhile) {
  const pid_t child = fork();
  if (child == 0) {
    sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fchownat, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{4, code};
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(2);
    _exit(what() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL);
  ptrace(PTRACE_CONT, child, nullptr, nullptr);
  while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
    if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8))) meanwhile();
    ptrace(PTRACE_CONT, child, nullptr, nullptr);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(DriveNodes, AreGivenAwayAndNotWhatALinkLeadsTo) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string victim = path_ + "/victim";
  std::ofstream(victim) << "of root";
  bool stopped = false;
  const auto place = [&] { return place_device(block_.get(), block_.get(), {"data", "mvm-data-acme.workers.00000001", Use::kReadWrite, 2'000'005}).has_value(); };
  const int code = interrupted_at_fchownat(place, [&] {
    stopped = true;
    fs::remove(path_ + "/data");
    fs::create_symlink(victim, path_ + "/data");
  });
  EXPECT_TRUE(stopped);
  EXPECT_EQ(code, 0);
  struct stat info {};
  ASSERT_EQ(stat(victim.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u);
}

TEST_F(DriveNodes, AreNotOfADeviceThatIsSuspendedOrWhoseNumberIsNone) {
  device("dm-2", "suspended", "1", "254:2");
  const auto expect_busy = [&] {
    const auto named = device_named(block_.get(), "suspended", Use::kReadWrite);
    ASSERT_FALSE(named);
    EXPECT_EQ(named.error().code, Errc::kBusy);
  };
  expect_busy();
  fs::remove(path_ + "/dm-2/dm/suspended");
  expect_busy();
  for (const char* number : {"", "254", "254:", ":1", "x:1", "254 1", "254-1", "254:x", "99999999999:1", "254:99999999999"}) {
    device("dm-3", "numberless", "0", number);
    const auto named = device_named(block_.get(), "numberless", Use::kReadWrite);
    ASSERT_FALSE(named) << number;
    EXPECT_EQ(named.error().code, Errc::kMalformed) << number;
  }
}

}  // namespace
}  // namespace mvm::jail
