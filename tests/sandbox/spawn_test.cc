// Needs root: a worker gets a user of its own.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <csignal>
#include <filesystem>

#include "broker/sandbox/spawn.h"
#include "tests/sandbox/child.h"
#include "tests/sandbox/policies.h"

namespace mvm {
namespace {

using sandbox::spawn;
using sandbox::SpawnRequest;
using sandbox::User;
using sandbox::Worker;
using test::compiled;
using test::kNobodyElse;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr User kUser{kNobodyElse, kNobodyElse};

class Spawn : public ::testing::Test {
 protected:
  // A copy that any user may run, wherever the build folder is.
  void SetUp() override {
    char name[] = "/tmp/mvm-spawn-XXXXXX";
    root_ = mkdtemp(name);
    std::filesystem::permissions(root_, std::filesystem::perms(0755));
    std::filesystem::copy_file(MVM_SPAWN_PROBE, root_ + "/probe");
    probe_ = Fd(open((root_ + "/probe").c_str(), O_PATH | O_CLOEXEC));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
  Fd probe_;
};

std::string told(const Worker& worker) {
  std::array<char, 8192> text{};
  const ssize_t got = recv(worker.channel.get(), text.data(), text.size(), 0);
  return {text.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
}

int ended(const Worker& worker) {
  siginfo_t info{};
  waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(worker.pidfd.get()), &info, WEXITED);
  return info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
}

TEST_F(Spawn, GivesTheWorkerItsChannelAndNothingElseOfOurs) {
  const auto policy = compiled("cap net_admin : why\n");
  setenv("MVM_SECRET", "1", 1);
  const Fd ours(open("/etc/passwd", O_RDONLY));  // not close-on-exec: the mistake that this must survive
  const auto worker = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser});
  ASSERT_TRUE(worker.has_value()) << worker.error().message();
  const std::string text = told(*worker);
  EXPECT_THAT(text, HasSubstr("descriptors 0 1 2 3 \n"));
  EXPECT_THAT(text, HasSubstr("environment empty\n"));
  EXPECT_THAT(text, HasSubstr("argument test\n"));
  EXPECT_THAT(text, HasSubstr("directory /\n"));
  EXPECT_THAT(text, HasSubstr("session own\n"));
}

TEST_F(Spawn, GivesTheWorkerAUserAndTheGrantedCapabilities) {
  const auto policy = compiled("cap net_admin : why\n");
  const auto worker = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser});
  ASSERT_TRUE(worker.has_value()) << worker.error().message();
  const std::string text = told(*worker);
  EXPECT_THAT(text, HasSubstr("Uid:\t64999\t64999\t64999\t64999\n"));
  EXPECT_THAT(text, HasSubstr("Gid:\t64999\t64999\t64999\t64999\n"));
  EXPECT_THAT(text, HasSubstr("Groups:\t \n"));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_THAT(text, HasSubstr(std::string(set) + ":\t0000000000001000\n"));
  }
}

TEST_F(Spawn, GivesRootsUidNoMoreThanTheGrant) {
  const auto policy = compiled("");
  const auto worker = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = User{0, 0}});
  ASSERT_TRUE(worker.has_value()) << worker.error().message();
  EXPECT_THAT(told(*worker), HasSubstr("CapEff:\t0000000000000000\n"));
}

TEST_F(Spawn, ClearsTheSignalsThatTheStarterBlockedAndIgnored) {
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  std::signal(SIGPIPE, SIG_IGN);
  const auto policy = compiled("");
  const auto worker = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser});
  std::signal(SIGPIPE, SIG_DFL);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_TRUE(worker.has_value()) << worker.error().message();
  const std::string text = told(*worker);
  EXPECT_THAT(text, HasSubstr("SigBlk:\t0000000000000000\n"));
  EXPECT_THAT(text, HasSubstr("SigIgn:\t0000000000000000\n"));
}

TEST_F(Spawn, HandsOverExtraDescriptorsAndArgumentsInOrder) {
  const Fd first(open("/etc/passwd", O_RDONLY | O_CLOEXEC)), second(open("/etc/group", O_RDONLY | O_CLOEXEC));
  const std::array extra = {second.get(), first.get()};
  const std::array<std::string, 2> arguments = {"one", "two"};
  const auto policy = compiled("");
  const auto worker = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser, .extra = extra, .arguments = arguments});
  ASSERT_TRUE(worker.has_value()) << worker.error().message();
  const std::string text = told(*worker);
  EXPECT_THAT(text, HasSubstr("descriptors 0 1 2 3 4 5 \n"));
  EXPECT_THAT(text, HasSubstr("argument test\nargument one\nargument two\n"));
}

TEST_F(Spawn, RefusesMoreDescriptorsOrArgumentsThanTheLimit) {
  const auto policy = compiled("");
  std::vector<int> extra(sandbox::kMaxExtraFds, 0);
  std::vector<std::string> arguments(sandbox::kMaxArguments, "x");
  EXPECT_TRUE(spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser, .extra = extra, .arguments = arguments}).has_value());
  extra.push_back(0);
  const auto many = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser, .extra = extra});
  ASSERT_FALSE(many.has_value());
  EXPECT_EQ(many.error().code, Errc::kLimit);
  arguments.push_back("x");
  EXPECT_FALSE(spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser, .arguments = arguments}).has_value());
}

TEST_F(Spawn, ClosingTheChannelEndsTheWorkerAndThePidfdTells) {
  const auto policy = compiled("");
  auto worker = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser});
  ASSERT_TRUE(worker.has_value());
  told(*worker);
  worker->channel.reset();
  EXPECT_EQ(ended(*worker), 0);
}

TEST_F(Spawn, SaysWhyAnExecutableCannotBeRun) {
  std::filesystem::permissions(root_ + "/probe", std::filesystem::perms(0600));
  const auto policy = compiled("");
  const auto worker = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser});
  ASSERT_FALSE(worker.has_value());
  EXPECT_EQ(worker.error().sys_errno, EACCES);
  EXPECT_EQ(worker.error().tried, "execveat");
}

TEST_F(Spawn, SaysWhichStepBeforeExecFailed) {
  const auto policy = compiled("");
  EXPECT_TRUE(test::worked(test::in_child([&] {
    MUST(sandbox::become(policy.grants(), kUser).has_value());  // no right to change user any more
    const auto worker = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = User{kNobodyElse + 1, kNobodyElse + 1}});
    MUST(!worker.has_value() && worker.error().sys_errno == EPERM);
  })));
}

TEST_F(Spawn, TheWorkerDiesWithItsStarter) {
  const auto policy = compiled("cap net_admin : why\n");
  std::array<int, 2> pair{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const Fd kept(pair[0]), passed(pair[1]);
  const std::array extra = {passed.get()};  // the worker holds it open as long as it lives
  char byte = 0;
  const pid_t starter = fork();
  if (starter == 0) {
    close(kept.get());
    const auto worker = spawn({.executable = probe_.get(), .grants = policy.grants(), .user = kUser, .extra = extra});
    MUST(worker.has_value());
    told(*worker);
    [[maybe_unused]] const auto sent = write(passed.get(), "x", 1);
    // Keeps the channel open in a process that outlives it, so that only the death signal can end the worker.
    if (fork() == 0) {
      _exit(static_cast<int>(read(passed.get(), &byte, 1)));
    }
    pause();
  }
  ASSERT_EQ(read(kept.get(), &byte, 1), 1);
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/%d/task/%d/children", starter, starter);
  std::ifstream children(path.data());
  pid_t worker = 0;
  children >> worker;
  ASSERT_GT(worker, 0);
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, worker, 0)));
  kill(starter, SIGKILL);
  waitpid(starter, nullptr, 0);
  pollfd waited{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(poll(&waited, 1, 5000), 1);
}

}  // namespace
}  // namespace mvm
