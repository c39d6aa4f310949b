// Needs root.
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

#include <array>

#include "broker/sandbox/capset.h"
#include "broker/sandbox/identity.h"
#include "tests/sandbox/child.h"
#include "tests/sandbox/policies.h"

namespace mvm {
namespace {

using sandbox::become;
using sandbox::cap_bit;
using sandbox::cap_sets;
using sandbox::CapSet;
using sandbox::CapSets;
using sandbox::User;
using test::compiled;
using test::in_child;
using test::kNobodyElse;
using test::worked;

constexpr User kUser{kNobodyElse, kNobodyElse};

TEST(Identity, FindsASystemUser) {
  EXPECT_EQ(sandbox::user_named("root"), (User{0, 0}));
  EXPECT_EQ(sandbox::user_named("nobody"), (User{65534, 65534}));
}

TEST(Identity, FindsNoUserThatIsNotThere) {
  for (const char* name : {"mvm-nobody-of-that-name", "", "roo", "root:x"}) {
    const auto user = sandbox::user_named(name);
    ASSERT_FALSE(user.has_value()) << name;
    EXPECT_EQ(user.error().code, Errc::kNotFound);
  }
}

TEST(Identity, BecomesTheUserWithoutGroupsOrAWayBack) {
  const auto policy = compiled("");
  EXPECT_TRUE(worked(in_child([&] {
    const gid_t group = 0;
    MUST(setgroups(1, &group) == 0);
    MUST(become(policy.grants(), kUser).has_value());
    std::array<uid_t, 3> ids{};
    MUST(getresuid(&ids[0], &ids[1], &ids[2]) == 0 && ids == (std::array<uid_t, 3>{kUser.uid, kUser.uid, kUser.uid}));
    MUST(getresgid(&ids[0], &ids[1], &ids[2]) == 0 && ids == (std::array<uid_t, 3>{kUser.gid, kUser.gid, kUser.gid}));
    MUST(getgroups(0, nullptr) == 0);
    MUST(setuid(0) != 0 && setgid(0) != 0);
  })));
}

TEST(Identity, HoldsExactlyTheGrantInEverySet) {
  const auto policy = compiled("cap net_admin : why\ncap sys_admin : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), kUser).has_value());
    const CapSet caps = cap_bit(CAP_NET_ADMIN) | cap_bit(CAP_SYS_ADMIN);
    MUST(*cap_sets() == (CapSets{caps, caps, caps, caps, caps}));
  })));
}

TEST(Identity, LocksTheSecurebits) {
  const auto policy = compiled("cap setpcap : so that only the lock is in the way\n");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), kUser).has_value());
    MUST(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) != 0);
    MUST(prctl(PR_SET_SECUREBITS, prctl(PR_GET_SECUREBITS) | SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0);
    MUST(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0);
  })));
}

TEST(Identity, RaisesNoAmbientCapabilityLater) {
  const auto policy = compiled("cap net_admin : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), kUser).has_value());
    MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
    MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0) != 0);
  })));
}

// What the jailer counts on when it becomes the microVM's user, and why the jail worker must be uid 0 itself.
TEST(Identity, LeavingRootLosesEveryCapability) {
  const auto policy = compiled("cap setuid : why\ncap sys_admin : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), User{0, 0}).has_value());
    MUST(setresuid(kNobodyElse, kNobodyElse, kNobodyElse) == 0);
    const auto sets = cap_sets();
    MUST(sets->permitted == 0 && sets->effective == 0 && sets->ambient == 0);
  })));
}

TEST(Identity, LeavingAnotherUserWouldKeepThem) {
  const auto policy = compiled("cap setuid : why\ncap sys_admin : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), kUser).has_value());
    MUST(setresuid(kNobodyElse + 1, kNobodyElse + 1, kNobodyElse + 1) == 0);
    MUST(cap_sets()->permitted != 0);
  })));
}

TEST(Identity, FailsWithoutTheRightToChange) {
  const auto policy = compiled("");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(become(policy.grants(), kUser).has_value());
    MUST(!become(policy.grants(), User{kNobodyElse + 1, kNobodyElse + 1}).has_value());
  })));
}

TEST(Identity, FailsWhereACapabilityOfTheGrantIsNotThere) {
  const auto policy = compiled("cap net_admin : why\n");
  EXPECT_TRUE(worked(in_child([&] {
    MUST(sandbox::drop_bounding(~cap_bit(CAP_NET_ADMIN)).has_value());
    MUST(!become(policy.grants(), kUser).has_value());
  })));
}

}  // namespace
}  // namespace mvm
