// An instance's cgroup where the controllers are there: in the node VM. What is written is read back, and holds.
#include "tests/jail/jail_fixture.h"

namespace mvm::jail {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class CgroupLimits : public JailFixture {
 protected:
  void SetUp() override {
    JailFixture::SetUp();
    if (IsSkipped()) return;
    if (content_of(cgroup_ + "/cgroup.controllers").find("memory") == std::string::npos) GTEST_SKIP() << "needs cgroup v2 controllers";
  }
  wire::Answer make_cgroup(lang::CgroupView limits) {
    auto what = task(wire::Op::kMake, lang::Word::kCgroup);
    what.statement.numbers = {limits.cpu_percent, limits.mem_mib, limits.pids, limits.io_mib_per_s};
    return run(what);
  }
  std::string limit(const std::string& file) { return content_of(anchor_path() + "/" + file); }
};

TEST_F(CgroupLimits, AreTheKernelsOwnOnceMade) {
  const auto made = make_cgroup({200, 1152, 64, 100});
  ASSERT_TRUE(made.ok) << made.error.message();
  EXPECT_EQ(limit("cpu.max"), "200000 100000\n");
  EXPECT_EQ(limit("memory.max"), "1207959552\n");
  EXPECT_EQ(limit("memory.swap.max"), "0\n");
  EXPECT_EQ(limit("memory.oom.group"), "1\n");
  EXPECT_EQ(limit("pids.max"), "64\n");
  EXPECT_THAT(limit("io.max"), HasSubstr(" rbps=104857600 wbps=104857600 "));
  EXPECT_TRUE(found(lang::Word::kCgroup));
  EXPECT_FALSE(found(lang::Word::kCgroup)->alive);
  EXPECT_TRUE(run(wire::Op::kUnmake, lang::Word::kCgroup).ok);
  EXPECT_FALSE(fs::exists(cgroup_ + "/acme"));
}

TEST_F(CgroupLimits, AreNotGivenTwice) {
  ASSERT_TRUE(make_cgroup({100, 1152, 64, 0}).ok);
  const auto again = make_cgroup({200, 256, 64, 0});
  ASSERT_FALSE(again.ok);
  EXPECT_EQ(again.error.code, Errc::kExists);
  EXPECT_EQ(limit("cpu.max"), "100000 100000\n");
}

TEST_F(CgroupLimits, AreThoseOfTheMicrovm) {
  ASSERT_TRUE(make_cgroup({200, 1152, 64, 0}).ok);
  const auto made = make();
  ASSERT_TRUE(made.ok) << made.error.message();
  const auto living = members();  // where there is KVM, a kernel thread of it too
  ASSERT_FALSE(living.empty());
  for (const auto pid : living) {
    const std::string in = content_of("/proc/" + std::to_string(pid) + "/cgroup");
    EXPECT_THAT(in, HasSubstr("0::/" + fs::path(cgroup_).filename().string() + "/acme/workers/i-a3f7b2c1/vm"));
  }
  ASSERT_TRUE(unmake().ok);
  EXPECT_EQ(limit("pids.max"), "64\n");  // the anchor stays
  EXPECT_TRUE(make().ok);
}

TEST_F(CgroupLimits, HoldAndLeaveNothingOfAMicrovmThatTheyDoNotLetStart) {
  ASSERT_TRUE(make_cgroup({200, 1152, 1, 0}).ok);
  const auto made = make();
  ASSERT_FALSE(made.ok);
  EXPECT_THAT(made.error.on, HasSubstr("Failed cloning into a new child process"));
  EXPECT_THAT(members(), IsEmpty());
  EXPECT_FALSE(fs::exists(state_ + "/jails"));
}

TEST_F(CgroupLimits, LeaveNothingWhereOneOfThemIsRefused) {
  const auto made = make_cgroup({0, 1152, 64, 0});  // cpu.max wants at least a millisecond
  ASSERT_FALSE(made.ok);
  EXPECT_THAT(made.error.on, testing::Eq("cpu.max"));
  EXPECT_FALSE(fs::exists(cgroup_ + "/acme"));
}

}  // namespace
}  // namespace mvm::jail
