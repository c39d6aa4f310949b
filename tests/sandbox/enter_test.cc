// Needs root: what is given up must have been there before.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/fd.h"
#include "broker/sandbox/capset.h"
#include "broker/sandbox/enter.h"
#include "broker/sandbox/identity.h"
#include "tests/sandbox/child.h"
#include "tests/sandbox/policies.h"

namespace mvm {
namespace {

using sandbox::become;
using sandbox::enter;
using sandbox::Grants;
using sandbox::User;
using test::compiled;
using test::died_of_sigsys;
using test::in_child;
using test::kNobodyElse;
using test::worked;

constexpr User kUser{kNobodyElse, kNobodyElse};

// What a test's child may use to look around after it has entered.
constexpr const char* kLook =
    "allow prctl : to look\nallow capget : to look\nallow getrlimit : to look\nallow prlimit64 : to look\nallow umask : to look\n"
    "allow openat : to try\nallow read : to try\nallow write : to try\nallow close : to try\nallow mkdir : to try\nallow unlink : to try\n";

void enter_as_worker(const Grants& grants, std::span<const sandbox::Place> places = {}) {
  MUST(become(grants, kUser).has_value());
  MUST(enter(grants, places).has_value());
}

class Forbidden : public ::testing::TestWithParam<std::pair<const char*, long>> {};

TEST_P(Forbidden, EndsTheProcess) {
  const auto policy = compiled("allow read : why\n");
  EXPECT_TRUE(died_of_sigsys(in_child([&] {
    enter_as_worker(policy.grants());
    syscall(GetParam().second, 0, 0, 0, 0, 0, 0);
  }))) << GetParam().first;
}

INSTANTIATE_TEST_SUITE_P(Sandbox, Forbidden,
                         ::testing::Values(std::pair{"openat", SYS_openat}, std::pair{"socket", SYS_socket}, std::pair{"execve", SYS_execve},
                                           std::pair{"ptrace", SYS_ptrace}, std::pair{"clone", SYS_clone}, std::pair{"clone3", SYS_clone3},
                                           std::pair{"kill", SYS_kill}, std::pair{"seccomp", SYS_seccomp}, std::pair{"prctl", SYS_prctl},
                                           std::pair{"io_uring_setup", SYS_io_uring_setup}, std::pair{"userfaultfd", SYS_userfaultfd},
                                           std::pair{"bpf", SYS_bpf}, std::pair{"mmap", SYS_mmap}, std::pair{"x32 read", SYS_read | 0x40000000L}),
                         [](const auto& test) { std::string name = test.param.first; std::ranges::replace(name, ' ', '_'); return name; });

#if defined(__x86_64__)
TEST(Sandbox, EndsAProcessThatMakesAnI386Call) {
  const auto policy = compiled("allow read : why\n");
  EXPECT_TRUE(died_of_sigsys(in_child([&] {
    enter_as_worker(policy.grants());
    long number = 3;  // i386: read
    asm volatile("int $0x80" : "+a"(number) : "b"(0), "c"(0), "d"(0) : "memory");
  })));
}
#endif

TEST(Sandbox, LeavesWhatIsGranted) {
  const auto policy = compiled("allow read : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    enter_as_worker(policy.grants());
    char byte = 0;
    MUST(read(-1, &byte, 1) == -1);
  })));
}

TEST(Sandbox, KeepsExactlyTheGrantedCapabilities) {
  const auto policy = compiled(std::string(kLook) + "cap net_admin : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    enter_as_worker(policy.grants());
    const auto sets = sandbox::cap_sets();
    const sandbox::CapSet net = sandbox::cap_bit(CAP_NET_ADMIN);
    MUST(sets.has_value() && sets->effective == net && sets->permitted == net && sets->bounding == net);
    MUST(sets->inheritable == 0 && sets->ambient == 0);
  })));
}

TEST(Sandbox, KeepsCapabilitiesOverExecForTheJailerAlone) {
  const auto policy = compiled(std::string(kLook) + "cap sys_admin : why\nover-exec capabilities : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    enter_as_worker(policy.grants());
    const auto sets = sandbox::cap_sets();
    MUST(sets.has_value() && sets->ambient == sandbox::cap_bit(CAP_SYS_ADMIN));
  })));
}

TEST(Sandbox, RefusesToGoOnWithoutACapabilityItWasGranted) {
  const auto given = compiled(""), wanted = compiled("cap net_admin : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(given.grants(), kUser).has_value());
    MUST(!enter(wanted.grants()).has_value());
  })));
}

TEST(Sandbox, DropsACapabilityThatItWasNotGranted) {
  const auto given = compiled("cap net_admin : why\n"), wanted = compiled(kLook);
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(given.grants(), kUser).has_value());
    MUST(enter(wanted.grants()).has_value());
    MUST(sandbox::cap_sets()->permitted == 0);
  })));
}

// Its jailer would start without them, and fail late.
TEST(Sandbox, RefusesToGoOnWhereTheKernelHoldsOtherCapabilitiesThanTheGrant) {
  const auto policy = compiled("cap sys_admin : why\nover-exec capabilities : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), kUser).has_value());
    MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
    const auto ok = enter(policy.grants());
    MUST(!ok.has_value() && ok.error().code == Errc::kDenied);
  })));
}

TEST(Sandbox, RefusesToRunAsRoot) {
  const auto policy = compiled("");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), User{0, 0}).has_value());
    const auto ok = enter(policy.grants());
    MUST(!ok.has_value() && ok.error().code == Errc::kDenied);
  })));
}

TEST(Sandbox, RefusesASecondThread) {
  const auto policy = compiled("");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), kUser).has_value());
    std::jthread other([](std::stop_token stop) {
      while (!stop.stop_requested()) usleep(1000);
    });
    const auto ok = enter(policy.grants());
    MUST(!ok.has_value() && ok.error().code == Errc::kDenied);
  })));
}

TEST(Sandbox, RefusesAFilterThatIsEmpty) {
  const auto policy = compiled("");
  EXPECT_TRUE(worked(in_child([&] {
    Grants grants = policy.grants();
    grants.filter = {};
    MUST(become(grants, kUser).has_value());
    MUST(!enter(grants).has_value());
  })));
}

TEST(Sandbox, CannotBeDumpedOrGainPrivileges) {
  const auto policy = compiled(kLook);
  EXPECT_TRUE(worked(in_child([&] {
    enter_as_worker(policy.grants());
    MUST(prctl(PR_GET_DUMPABLE) == 0);
    MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    rlimit core{1, 1};
    MUST(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
    MUST(umask(0) == 077);
  })));
}

TEST(Sandbox, SetsEachLimitSoftAndHard) {
  const auto policy = compiled(std::string(kLook) + "limit nofile 9 : why\nlimit fsize 4096 : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    enter_as_worker(policy.grants());
    rlimit limit{};
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 9 && limit.rlim_max == 9);
    MUST(getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur == 4096 && limit.rlim_max == 4096);
  })));
}

class SandboxFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mvm-sandbox-XXXXXX";
    root_ = mkdtemp(name);
    for (const char* each : {"", "/in", "/out"}) {
      std::filesystem::create_directory(root_ + each);
      chmod((root_ + each).c_str(), 0777);
    }
    for (const char* each : {"/in/file", "/out/file"}) {
      std::ofstream(root_ + each) << "x";
      chmod((root_ + each).c_str(), 0666);
    }
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_;
};

bool opens(const std::string& path, int flags) {
  const Fd fd(open(path.c_str(), flags | O_CLOEXEC, 0600));
  return fd.valid();
}

TEST_F(SandboxFiles, OpensNothingWithoutAPath) {
  const auto policy = compiled(kLook);
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), kUser).has_value());
    MUST(opens(root_ + "/in/file", O_RDWR));
    MUST(enter(policy.grants()).has_value());
    MUST(!opens(root_ + "/in/file", O_RDONLY) && errno == EACCES);
    MUST(!opens("/etc/passwd", O_RDONLY) && errno == EACCES);
    MUST(!opens("/", O_RDONLY | O_DIRECTORY) && errno == EACCES);
  })));
}

TEST_F(SandboxFiles, ReadsButDoesNotWriteBelowAReadOnlyPath) {
  const auto policy = compiled(std::string(kLook) + "path " + root_ + "/in ro : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    enter_as_worker(policy.grants());
    MUST(opens(root_ + "/in/file", O_RDONLY));
    MUST(!opens(root_ + "/in/file", O_WRONLY) && errno == EACCES);
    MUST(!opens(root_ + "/in/new", O_WRONLY | O_CREAT) && errno == EACCES);
    MUST(!opens(root_ + "/out/file", O_RDONLY) && errno == EACCES);
  })));
}

TEST_F(SandboxFiles, WritesBelowAPlaceThatMainOpened) {
  const auto policy = compiled(std::string(kLook) + "path $state rw : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    const Fd in(open((root_ + "/in").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const sandbox::Place place{"$state", in.get()};
    enter_as_worker(policy.grants(), {&place, 1});
    MUST(opens(root_ + "/in/new", O_WRONLY | O_CREAT));
    MUST(!opens(root_ + "/out/new", O_WRONLY | O_CREAT) && errno == EACCES);
    MUST(mkdir((root_ + "/in/directory").c_str(), 0700) == 0);
    MUST(unlink((root_ + "/in/file").c_str()) == 0);
  })));
}

TEST_F(SandboxFiles, RefusesAPlaceThatWasNotGiven) {
  const auto policy = compiled("path $state rw : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), kUser).has_value());
    const auto ok = enter(policy.grants());
    MUST(!ok.has_value() && ok.error().code == Errc::kNotFound);
  })));
}

TEST_F(SandboxFiles, RefusesAGrantedPathThatIsNotThereOrIsALink) {
  std::filesystem::create_symlink(root_ + "/out", root_ + "/link");
  for (const char* name : {"/absent", "/link"}) {
    const auto policy = compiled("path " + root_ + name + " ro : why\n");
    EXPECT_TRUE(worked(in_child([&] {
      MUST(become(policy.grants(), kUser).has_value());
      MUST(!enter(policy.grants()).has_value());
    }))) << name;
  }
}

// A socket of this machine's own, and whether a connection to it comes to be.
class Listening {
 public:
  Listening() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    socklen_t size = sizeof address_;
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address_), size) != 0 || listen(fd_.get(), 4) != 0 ||
        getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address_), &size) != 0) {
      std::abort();
    }
  }
  [[nodiscard]] std::uint16_t port() const { return ntohs(address_.sin_port); }
  [[nodiscard]] bool connects() const {
    const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0;
  }

 private:
  Fd fd_;
  sockaddr_in address_{};
};

TEST(Sandbox, ConnectsToTheGrantedPortAlone) {
  const auto abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U);
  if (abi < 4) GTEST_SKIP() << "this kernel's Landlock knows of no ports (ABI " << abi << ")";
  const auto policy = compiled(std::string(kLook) + "allow socket : to try\nallow connect : to try\nallow bind : to try\n");
  const Listening granted, other;
  for (const bool any : {true, false}) {
    EXPECT_TRUE(worked(in_child([&] {
      Grants grants = policy.grants();
      grants.connect_port = any ? granted.port() : 0;
      MUST(granted.connects() && other.connects());
      enter_as_worker(grants);
      MUST(granted.connects() == any);
      MUST(!other.connects() && errno == EACCES);
      const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(granted.port());
      MUST(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == EACCES);
    }))) << any;
  }
}

// Why the jail worker has no Landlock: this is what its jailer must do.
TEST(Sandbox, LandlockRefusesMount) {
  const std::string grants = std::string(kLook) + "cap sys_admin : why\nover-exec capabilities : why\nallow mount : why\n";
  for (const bool landlock : {true, false}) {
    const auto policy = compiled(grants + (landlock ? "" : "files inherited-by-jailer : why\n"));
    EXPECT_TRUE(worked(in_child([&] {
      MUST(syscall(SYS_unshare, CLONE_NEWNS) == 0);
      MUST(become(policy.grants(), User{0, 0}).has_value());
      MUST(enter(policy.grants()).has_value());
      const bool mounted = syscall(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) == 0;
      MUST(mounted == !landlock);
    }))) << landlock;
  }
}

}  // namespace
}  // namespace mvm
