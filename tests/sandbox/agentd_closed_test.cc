// What whoever takes agentd over may not do, by the grants that the build compiled into it. Needs root: what is given up must have
// been there before.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <ostream>

#include "base/fd.h"
#include "broker/sandbox/enter.h"
#include "broker/sandbox/identity.h"
#include "seccomp/agentd.grants.h"
#include "tests/sandbox/child.h"

namespace mvm {
namespace {

using test::died_of_sigsys;
using test::in_child;
using test::worked;

constexpr sandbox::User kUser{64'999, 64'999};

// The five directories that agentd holds, and one that it does not, with a file in each that anyone may read and write.
class AgentdMayNot : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mvm-closed-XXXXXX";
    root_ = mkdtemp(name);
    chmod(root_.c_str(), 0755);
    for (const char* each : {"/desired", "/policy", "/run", "/sealed", "/vault", "/else"}) {
      std::filesystem::create_directory(root_ + each);
      chmod((root_ + each).c_str(), 0777);
      std::ofstream(root_ + each + "/file") << "x";
      chmod((root_ + each + "/file").c_str(), 0666);
    }
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  template <class Body>
  int inside(Body body) const {
    return in_child([&] {
      const Fd desired(open((root_ + "/desired").c_str(), O_PATH)), policy(open((root_ + "/policy").c_str(), O_PATH)),
          run(open((root_ + "/run").c_str(), O_PATH)), sealed(open((root_ + "/sealed").c_str(), O_PATH)), vault(open((root_ + "/vault").c_str(), O_PATH));
      const sandbox::Place places[] = {{"$desired", desired.get()}, {"$policy", policy.get()}, {"$status", run.get()}, {"$sealed", sealed.get()}, {"$vault", vault.get()}};
      MUST(sandbox::become(grants::kAgentd, kUser).has_value());
      MUST(sandbox::enter(grants::kAgentd, places).has_value());
      body();
    });
  }
  [[nodiscard]] bool opens(const std::string& name, int flags) const {
    return Fd(openat(AT_FDCWD, (name.starts_with("/etc") ? name : root_ + name).c_str(), flags | O_CLOEXEC, 0600)).valid();
  }

  std::string root_;
};

TEST_F(AgentdMayNot, OpenAnythingButWhatItIsFor) {
  EXPECT_TRUE(worked(inside([&] {
    MUST(opens("/desired/file", O_RDONLY) && opens("/desired", O_RDONLY | O_DIRECTORY) && opens("/policy/file", O_RDONLY) && opens("/sealed/file", O_RDONLY) && opens("/vault/file", O_RDONLY));
    MUST(opens("/run/new", O_WRONLY | O_CREAT | O_EXCL) && rename((root_ + "/run/new").c_str(), (root_ + "/run/file").c_str()) == 0);
    for (const char* closed : {"/else/file", "/run/file", "/etc/passwd", "/etc/hostname"}) MUST(!opens(closed, O_RDONLY) && errno == EACCES);
    for (const char* closed : {"/desired/file", "/policy/file", "/sealed/file", "/vault/file", "/else/file"}) MUST(!opens(closed, O_WRONLY) && errno == EACCES);
    for (const char* closed : {"/desired/new", "/policy/new", "/sealed/new", "/vault/new", "/else/new"}) MUST(!opens(closed, O_WRONLY | O_CREAT) && errno == EACCES);
    for (const char* closed : {"/policy", "/run", "/sealed", "/vault", "/else"}) MUST(!opens(closed, O_RDONLY | O_DIRECTORY) && errno == EACCES);
    for (const char* kept : {"/desired/file", "/policy/file", "/sealed/file", "/vault/file", "/else/file"}) MUST(unlink((root_ + kept).c_str()) != 0 && errno == EACCES);
    MUST(rename((root_ + "/run/file").c_str(), (root_ + "/desired/file").c_str()) != 0);
  })));
}

// Each call with arguments that the kernel would take, so that it is the filter that ends it and not a condition that it misses.
struct Call {
  const char* name;
  long number;
  long args[3];
};
void PrintTo(const Call& call, std::ostream* out) { *out << call.name; }

class AgentdMayNotCall : public AgentdMayNot, public ::testing::WithParamInterface<Call> {};

TEST_P(AgentdMayNotCall, AndEnds) {
  const Call& call = GetParam();
  EXPECT_TRUE(died_of_sigsys(inside([&] { syscall(call.number, call.args[0], call.args[1], call.args[2], 0, 0, 0); })));
}

constexpr long kWriteExec = PROT_READ | PROT_WRITE | PROT_EXEC;
INSTANTIATE_TEST_SUITE_P(
    Sandbox, AgentdMayNotCall,
    ::testing::Values(Call{"execve", SYS_execve, {}}, Call{"execveat", SYS_execveat, {}}, Call{"fork", SYS_fork, {}}, Call{"vfork", SYS_vfork, {}},
                      Call{"clone", SYS_clone, {}}, Call{"clone3", SYS_clone3, {}}, Call{"ptrace", SYS_ptrace, {}},
                      Call{"process_vm_readv", SYS_process_vm_readv, {}}, Call{"pidfd_getfd", SYS_pidfd_getfd, {}}, Call{"kill", SYS_kill, {1}},
                      Call{"internet_socket", SYS_socket, {AF_INET, SOCK_STREAM | SOCK_CLOEXEC}},
                      Call{"internet_6_socket", SYS_socket, {AF_INET6, SOCK_STREAM | SOCK_CLOEXEC}},
                      Call{"internet_socket_of_the_type_it_may_have", SYS_socket, {AF_INET, SOCK_SEQPACKET | SOCK_CLOEXEC}},
                      Call{"netlink_socket", SYS_socket, {AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC}},
                      Call{"other_unix_socket", SYS_socket, {AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC}}, Call{"bind", SYS_bind, {-1}},
                      Call{"listen", SYS_listen, {-1}}, Call{"mmap_exec", SYS_mmap, {0, 4096, kWriteExec}}, Call{"mprotect", SYS_mprotect, {}},
                      Call{"mount", SYS_mount, {}}, Call{"unshare", SYS_unshare, {}}, Call{"setns", SYS_setns, {-1}}, Call{"setuid", SYS_setuid, {}},
                      Call{"chmod", SYS_chmod, {}}, Call{"symlink", SYS_symlink, {}}, Call{"link", SYS_link, {}}, Call{"mkdir", SYS_mkdir, {}},
                      Call{"ioctl", SYS_ioctl, {-1}}, Call{"dup_by_fcntl", SYS_fcntl, {0, F_DUPFD}}, Call{"io_uring_setup", SYS_io_uring_setup, {}},
                      Call{"bpf", SYS_bpf, {}}, Call{"keyctl", SYS_keyctl, {}}, Call{"userfaultfd", SYS_userfaultfd, {}}, Call{"seccomp", SYS_seccomp, {}},
                      Call{"memfd_that_cannot_be_sealed", SYS_memfd_create, {0, MFD_CLOEXEC}}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace mvm
