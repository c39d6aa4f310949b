// jail.policy against what is known of Firecracker's published builds, which these tests cannot run.
#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/syscall.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/sandbox/policies.h"
#include "tests/sandbox/verdict.h"

namespace mvm {
namespace {

struct Call {
  std::string text;
  std::string name;
  seccomp_data data;
};

std::vector<Call> published_calls() {
  std::ifstream file(MVM_FIRECRACKER_CALLS);
  std::vector<Call> calls;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream words(line);
    Call found{line, {}, {}};
    words >> found.name;
    found.data = test::call(seccomp_syscall_resolve_name(found.name.c_str()));
    for (std::string argument; words >> argument;) found.data.args[argument[0] - '0'] = std::stoull(argument.substr(2));
    calls.push_back(found);
  }
  return calls;
}

std::vector<seccomp::Line> jail_policy() { return seccomp::read_policy(MVM_POLICIES "/jail.policy"); }

TEST(JailCalls, LetsFirecrackerMakeEveryCallThatItsPublishedFilterAllows) {
  const seccomp::Compiled policy("jail", jail_policy());
  const auto calls = published_calls();
  ASSERT_GT(calls.size(), 90U);
  for (const Call& each : calls) EXPECT_EQ(test::verdict(policy.grants(), each.data), SECCOMP_RET_ALLOW) << each.text;
}

// Calls of musl, and those of glibc or of the bare kernel that they stand for.
const std::map<std::string, std::string> kMusl = {{"open", "openat"},       {"stat", "newfstatat"},  {"fstat", "newfstatat"},
                                                  {"lstat", "newfstatat"},  {"access", "newfstatat"}, {"mknod", "mknodat"}};
// In the source of v1.16 (the jailer's runtime), before any filter of Firecracker's.
const std::set<std::string> kBeforeTheFilter = {"getuid", "ioctl"};

TEST(JailCalls, GrantsNothingToPublishedBuildsThatIsNotKnownOfThem) {
  std::set<std::string> published, granted;
  for (const Call& each : published_calls()) published.insert(each.name);
  for (const auto& line : jail_policy()) {
    if (line.what == "allow") granted.insert(line.args[0]);
  }
  for (const auto& line : jail_policy()) {
    if (line.reason.starts_with("published")) {
      EXPECT_TRUE(published.contains(line.args[0]) || kBeforeTheFilter.contains(line.args[0])) << line.text();
    }
    if (line.reason.starts_with("musl")) {
      ASSERT_TRUE(kMusl.contains(line.args[0])) << line.text();
      EXPECT_TRUE(granted.contains(kMusl.at(line.args[0]))) << line.text();
    }
  }
}

TEST(JailCalls, ForbidsWhatNeitherJailerNorFirecrackerDo) {
  const seccomp::Compiled policy("jail", jail_policy());
  const std::vector<std::pair<const char*, seccomp_data>> calls = {
      {"a user namespace", test::call(SYS_unshare, 0x10000000)},   {"a user namespace by clone", test::call(SYS_clone, 0x10000000 | 17)},
      {"a network socket", test::call(SYS_socket, 2, 1, 0)},       {"a netlink socket", test::call(SYS_socket, 16, 3, 0)},
      {"ptrace", test::call(SYS_ptrace)},                          {"bpf", test::call(SYS_bpf)},
      {"a kernel module", test::call(SYS_finit_module)},           {"kexec", test::call(SYS_kexec_load)},
      {"the name of a socket", test::call(SYS_mknodat, 0, 0, 0140600)},
      {"code in memory", test::call(SYS_mmap, 0, 4096, 4)},
      {"code made of data", test::call(SYS_mprotect, 0, 4096, 5)}, {"typing at a terminal", test::call(SYS_ioctl, 0, 0x5412)},
      {"a chroot", test::call(SYS_chroot)},                        {"another's memory", test::call(SYS_process_vm_writev)},
      {"keys", test::call(SYS_keyctl)},                            {"a namespace of others", test::call(SYS_setns)},
      {"a clock", test::call(SYS_settimeofday)},                   {"a reboot", test::call(SYS_reboot)}};
  for (const auto& [what, data] : calls) EXPECT_EQ(test::verdict(policy.grants(), data), SECCOMP_RET_KILL_PROCESS) << what;
}

}  // namespace
}  // namespace mvm
