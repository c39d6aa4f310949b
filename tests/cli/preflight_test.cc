#include "cli/preflight.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace mvm::cli {
namespace {

TEST(KnownHole, IsInEveryReleaseThatTheAdvisoriesName) {
  for (const char* bad : {"v1.10.1", "v1.13.0", "v1.13.1", "v1.14.0", "v1.14.3", "v1.15.0", "v0.25.2"}) EXPECT_TRUE(has_known_hole(bad)) << bad;
  for (const char* good : {"v1.14.4", "v1.15.1", "v1.16.0", "v1.16.1", "v2.0.0"}) EXPECT_FALSE(has_known_hole(good)) << good;
}

TEST(KnownHole, IsInWhatIsNoVersion) {
  for (const char* odd : {"", "1.16.1", "v1.16", "v1..1", "vx.y.z"}) EXPECT_TRUE(has_known_hole(odd)) << odd;
}

// A host of files: /proc and /sys below a directory, state and binaries in it.
class FakeHost : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = "/run/mvm-preflight-" + std::to_string(getpid());
    std::filesystem::remove_all(root_);
    put("/proc/swaps", "Filename Type Size Used Priority\n");
    put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
    put("/sys/kernel/mm/ksm/run", "0\n");
    put("/sys/devices/system/cpu/smt/control", "off\n");
    put("/proc/sys/kernel/printk", "1\t4\t1\t7\n");
    put("/proc/self/mountinfo", "one\n");
    binary("firecracker", "Firecracker v1.16.1");
    binary("jailer", "Jailer v1.16.1");
    pin();
    std::filesystem::create_directories(root_ + "/state");
    ASSERT_EQ(chmod((root_ + "/state").c_str(), 0700), 0);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void put(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  // It leaves a file where it was run.
  void binary(const std::string& name, const std::string& version, const std::string& format = "v10.0.0") {
    put("/bin/" + name, "#!/bin/sh\n: >" + root_ + "/run-" + name + "\n[ $1 = --snapshot-version ] && echo '" + format + "' || echo '" + version + "'\n");
    ASSERT_EQ(chmod((root_ + "/bin/" + name).c_str(), 0755), 0);
  }
  void pin() { ASSERT_EQ(std::system(("cd " + root_ + "/bin && sha256sum firecracker jailer > ../pins").c_str()), 0); }
  Finding find(const std::string& part) {
    const auto findings = preflight({root_ + "/state", root_ + "/bin", root_ + "/pins", root_});
    const auto found = std::ranges::find_if(findings, [&](const Finding& f) { return f.check.find(part) != std::string::npos; });
    EXPECT_NE(found, findings.end()) << part;
    return *found;
  }
  Verdict verdict(const std::string& part) { return find(part).verdict; }

  std::string root_;
};

TEST_F(FakeHost, PassesWhereAllIsWell) {
  for (const char* part : {"cgroup v2", "swap", "state directory", "firecracker and its", "one version", "snapshots", "SMT", "KSM", "console", "mounts"}) {
    EXPECT_EQ(verdict(part), Verdict::kPass) << find(part).reading;
  }
}

TEST_F(FakeHost, WarnsWhereAVmmIsNotToBeReadByItsUser) {
  EXPECT_EQ(verdict("memory is read"), Verdict::kPass) << "no Yama";
  put("/proc/sys/kernel/yama/ptrace_scope", "0\n");
  EXPECT_EQ(verdict("memory is read"), Verdict::kPass);
  put("/proc/sys/kernel/yama/ptrace_scope", "1\n");
  EXPECT_EQ(verdict("memory is read"), Verdict::kWarn);
}

TEST_F(FakeHost, FailsWithoutAControllerAndNamesIt) {
  put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory\n");
  EXPECT_EQ(verdict("cgroup v2"), Verdict::kFail);
  EXPECT_NE(find("cgroup v2").remedy.find("pids"), std::string::npos);
}

TEST_F(FakeHost, FailsOnSwapThatIsNotEncrypted) {
  put("/proc/swaps", "Filename Type Size Used Priority\n/swapfile file 1024 0 -2\n");
  EXPECT_EQ(verdict("swap"), Verdict::kFail);
}

TEST_F(FakeHost, FailsWhereOthersMayWriteTheStateDirectoryOrAParent) {
  ASSERT_EQ(chmod((root_ + "/state").c_str(), 0777), 0);
  EXPECT_EQ(verdict("state directory"), Verdict::kFail);
  ASSERT_EQ(chmod((root_ + "/state").c_str(), 0700), 0);
  ASSERT_EQ(chmod(root_.c_str(), 0775), 0);
  EXPECT_EQ(verdict("state directory"), Verdict::kFail);
}

TEST_F(FakeHost, FailsOnABinaryThatIsASymlinkOrAnothersOrGone) {
  std::filesystem::rename(root_ + "/bin/jailer", root_ + "/bin/real");
  std::filesystem::create_symlink("real", root_ + "/bin/jailer");
  EXPECT_EQ(verdict("jailer and its"), Verdict::kFail);
  std::filesystem::remove(root_ + "/bin/jailer");
  EXPECT_EQ(verdict("jailer and its"), Verdict::kFail);
  EXPECT_EQ(verdict("one version"), Verdict::kFail);
  ASSERT_EQ(chown((root_ + "/bin/firecracker").c_str(), 1, 1), 0);
  EXPECT_EQ(verdict("firecracker and its"), Verdict::kFail);
}

TEST_F(FakeHost, FailsOnVersionsThatDifferAreUnpinnedOrHaveAHole) {
  binary("jailer", "Jailer v1.16.0");
  EXPECT_EQ(verdict("one version"), Verdict::kFail);  // not pinned, and differs
  pin();
  EXPECT_NE(find("one version").reading.find("differ"), std::string::npos);
  binary("jailer", "Jailer v1.14.2");
  binary("firecracker", "Firecracker v1.14.2");
  pin();
  EXPECT_NE(find("one version").reading.find("known hole"), std::string::npos);
}

TEST_F(FakeHost, RunsNoBinaryThatIsNotPinnedOrIsAnothersToChange) {
  const auto runs = [&] {
    std::filesystem::remove(root_ + "/run-firecracker");
    EXPECT_EQ(verdict("one version"), Verdict::kFail);
    EXPECT_EQ(verdict("snapshots"), Verdict::kWarn);
    return std::filesystem::exists(root_ + "/run-firecracker");
  };
  binary("firecracker", "Firecracker v1.16.1 of somebody's");
  EXPECT_FALSE(runs());
  binary("firecracker", "Firecracker v1.16.1");
  ASSERT_EQ(chmod((root_ + "/bin/firecracker").c_str(), 0777), 0);
  EXPECT_FALSE(runs());
}

TEST_F(FakeHost, SaysWhichSnapshotsFirecrackerWrites) {
  EXPECT_NE(find("snapshots").reading.find("format v10.0.0"), std::string::npos);
  binary("firecracker", "Firecracker v1.16.1", "an error");
  pin();
  EXPECT_EQ(verdict("snapshots"), Verdict::kWarn);
  EXPECT_NE(find("snapshots").reading.find("says an error"), std::string::npos);
}

TEST_F(FakeHost, WarnsAndStillMayStart) {
  put("/sys/kernel/mm/ksm/run", "1\n");
  put("/sys/devices/system/cpu/smt/control", "on\n");
  put("/proc/sys/kernel/printk", "7\t4\t1\t7\n");
  for (const char* part : {"KSM", "SMT", "console"}) {
    EXPECT_EQ(verdict(part), Verdict::kWarn);
    EXPECT_FALSE(find(part).remedy.empty());
  }
  EXPECT_TRUE(may_start({find("KSM"), find("swap")}));
  EXPECT_FALSE(may_start({find("KSM"), {"x", Verdict::kFail, "", ""}}));
}

}  // namespace
}  // namespace mvm::cli
