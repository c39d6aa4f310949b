#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "broker/sandbox/landlock.h"
#include "tests/sandbox/policies.h"
#include "tests/sandbox/verdict.h"

namespace mvm {
namespace {

using seccomp::Compiled;
using test::compiled;
using test::call;
using test::lines_of;
using test::verdict;

TEST(CompileGrants, KillsWhateverIsNotGranted) {
  const Compiled policy = compiled("allow read : to read\n");
  for (int number = 0; number < 1024; ++number) {
    const bool granted = number == SYS_read || number == SYS_exit_group;
    EXPECT_EQ(verdict(policy.grants(), call(number)), granted ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS) << number;
  }
}

TEST(CompileGrants, KillsCallsOfOtherArchitectures) {
  const Compiled policy = compiled("allow read : to read\n");
  for (const std::uint32_t arch : std::array<std::uint32_t, 4>{AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_S390X, 0}) {
    seccomp_data data = call(SYS_read);
    data.arch = arch;
    EXPECT_EQ(verdict(policy.grants(), data), SECCOMP_RET_KILL_PROCESS);
  }
}

TEST(CompileGrants, KillsCallsOfX32) {
  const Compiled policy = compiled("allow read : to read\n");
  EXPECT_EQ(verdict(policy.grants(), call(SYS_read | 0x40000000)), SECCOMP_RET_KILL_PROCESS);
}

TEST(CompileGrants, HoldsAllConditionsOfALineAtOnce) {
  const Compiled policy = compiled("allow socket arg0=AF_NETLINK arg2=NETLINK_ROUTE : routes\nallow socket arg0=AF_UNIX : here\n");
  EXPECT_EQ(verdict(policy.grants(), call(SYS_socket, 16, 3, 0)), SECCOMP_RET_ALLOW);
  EXPECT_EQ(verdict(policy.grants(), call(SYS_socket, 16, 3, 12)), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(verdict(policy.grants(), call(SYS_socket, 1, 1, 12)), SECCOMP_RET_ALLOW);
  EXPECT_EQ(verdict(policy.grants(), call(SYS_socket, 2, 1, 0)), SECCOMP_RET_KILL_PROCESS);
}

TEST(CompileGrants, ComparesUnderAMask) {
  const Compiled policy = compiled("allow mmap arg2&PROT_EXEC|PROT_WRITE=PROT_WRITE : data\n");
  EXPECT_EQ(verdict(policy.grants(), call(SYS_mmap, 0, 0, 3)), SECCOMP_RET_ALLOW);
  EXPECT_EQ(verdict(policy.grants(), call(SYS_mmap, 0, 0, 7)), SECCOMP_RET_KILL_PROCESS);
  EXPECT_EQ(verdict(policy.grants(), call(SYS_mmap, 0, 0, 1)), SECCOMP_RET_KILL_PROCESS);
}

TEST(CompileGrants, AnswersWithAnErrorWhereTheLineSaysSo) {
  const Compiled policy = compiled("errno ENOSYS clone3 : glibc then uses clone\n");
  EXPECT_EQ(verdict(policy.grants(), call(SYS_clone3)), SECCOMP_RET_ERRNO | 38U);
}

TEST(CompileGrants, KeepsCapabilitiesLimitsAndPaths) {
  const Compiled policy = compiled("cap net_admin : links\nlimit nofile 9 : few\npath /dev/net/tun read-file,write-file : taps\npath $state ro : records\n");
  const sandbox::Grants grants = policy.grants();
  EXPECT_EQ(grants.capabilities, sandbox::cap_bit(CAP_NET_ADMIN));
  ASSERT_EQ(grants.limits.size(), 1U);
  EXPECT_EQ(grants.limits[0].resource, RLIMIT_NOFILE);
  EXPECT_EQ(grants.limits[0].value, 9U);
  ASSERT_EQ(grants.paths.size(), 2U);
  EXPECT_EQ(grants.paths[0].access, 0b110U);
  EXPECT_EQ(grants.paths[1].path, "$state");
  EXPECT_EQ(grants.paths[1].access, 0b1100U);
}

class RefusesPolicy : public ::testing::TestWithParam<const char*> {};

TEST_P(RefusesPolicy, WithALineThatIsNoGrant) { EXPECT_ANY_THROW(compiled(std::string(GetParam()) + "\n")) << GetParam(); }

INSTANTIATE_TEST_SUITE_P(CompileGrants, RefusesPolicy,
                         ::testing::Values("allow read", "allow read :", "allow read : ", " : why", "allow : why", "allow raed : why",
                                           "allow read arg6=1 : why", "allow read arg0 : why", "allow read argx=1 : why", "allow read arg0=NOPE : why",
                                           "allow read arg0=1x : why", "cap net_admni : why", "cap : why", "cap net_admin sys_admin : why",
                                           "limit nofile : why", "limit files 3 : why", "path /x : why", "path /x fly : why", "path /x , : why",
                                           "user other : why", "errno ENOWAY read : why", "errno ENOSYS : why", "grant read : why",
                                           "over-exec all : why", "files none : why"));

TEST(CompileGrants, RefusesAPolicyWithoutAUser) {
  EXPECT_ANY_THROW(Compiled("test", lines_of("allow read : why\n")));
}

}  // namespace
}  // namespace mvm
