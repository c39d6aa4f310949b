// The policy's block devices, opened; loop devices below a directory of links. Runs in the node VM.
#include "broker/supervisor/devices.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace mvm::supervisor {
namespace {

namespace fs = std::filesystem;

class PolicyDevices : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(dev_.data()), nullptr);
    fs::create_directory(dev_ + "/vg0");
  }
  void TearDown() override {
    for (const std::string& loop : loops_) EXPECT_EQ(system(("losetup -d " + loop).c_str()), 0);
    fs::remove_all(dev_);
  }
  // A loop device of that many MiB, and a link to it; its path.
  std::string disk(const std::string& name, int mib) {
    const std::string file = dev_ + "/" + name + ".disk";
    std::ofstream(file).close();
    fs::resize_file(file, static_cast<std::uintmax_t>(mib) << 20);
    FILE* said = popen(("losetup --find --show " + file).c_str(), "r");
    char path[64] = {};
    EXPECT_EQ(std::fscanf(said, "%63s", path), 1);
    pclose(said);
    loops_.emplace_back(path);
    fs::create_symlink(path, dev_ + "/vg0/" + name);
    return path;
  }
  static void name(lang::Document& policy, const std::string& device, std::uint64_t mib) {
    lang::Statement line;
    line.word = lang::Word::kDevice;
    line.subject = pool_subject(*Name::from("vg0"), *Name::from(device));
    line.numbers[0] = mib;
    policy.statements.push_back(line);
  }
  [[nodiscard]] Errc refused(const lang::Document& policy) const {
    const auto opened = open_devices(policy, dev_);
    EXPECT_EQ(opened.refused.size(), 1u);
    return opened.refused.empty() ? Errc::kClosed : opened.refused[0].code;
  }
  std::string dev_ = "/var/tmp/mvm-devices-XXXXXX";
  std::vector<std::string> loops_;
};

TEST_F(PolicyDevices, AreOpenedInThePolicysOrder) {
  disk("a", 18), disk("b", 34);
  lang::Document policy;
  name(policy, "a", 16), name(policy, "b", 32);
  const auto opened = open_devices(policy, dev_);
  ASSERT_EQ(opened.devices.size(), 2u);
  EXPECT_EQ(opened.devices[0].name, "vg0/a");
  EXPECT_EQ(opened.devices[1].name, "vg0/b");
  EXPECT_EQ(opened.devices[1].mib, 32u);
  EXPECT_EQ(pwrite(opened.devices[0].claim.get(), "x", 1, 0), -1) << "what we keep cannot write";
  EXPECT_EQ(pwrite(opened.devices[0].fd.get(), "x", 1, 0), 1);
}

TEST_F(PolicyDevices, AreNotNamedByAPolicyThatNamesNone) {
  EXPECT_FALSE(open_devices({}, dev_).named);
  lang::Document policy;
  name(policy, "a", 16);
  EXPECT_TRUE(open_devices(policy, dev_).named) << "though it is not there";
}

TEST_F(PolicyDevices, AreForNobodyElseAsLongAsTheyAreClaimed) {
  const std::string path = disk("a", 18);
  lang::Document policy;
  name(policy, "a", 16);
  auto opened = open_devices(policy, dev_);
  ASSERT_EQ(opened.devices.size(), 1u);
  EXPECT_EQ(refused(policy), Errc::kBusy);
  EXPECT_NE(system(("mke2fs -q " + path + " 2>/dev/null").c_str()), 0);
  opened.devices[0].claim.reset();
  EXPECT_EQ(open_devices(policy, dev_).devices.size(), 1u) << "what the worker has claims nothing, for it lives on below guests";
}

TEST_F(PolicyDevices, AreUsedThoughOthersCannotBe) {
  disk("b", 18);
  lang::Document policy;
  name(policy, "a", 16), name(policy, "b", 16);
  const auto opened = open_devices(policy, dev_);
  ASSERT_EQ(opened.devices.size(), 1u);
  EXPECT_EQ(opened.devices[0].name, "vg0/b");
  EXPECT_EQ(opened.refused.size(), 1u);
}

TEST_F(PolicyDevices, HaveRoomForAHeaderToo) {
  disk("a", 17);
  lang::Document policy;
  name(policy, "a", 16);
  EXPECT_EQ(refused(policy), Errc::kLimit);
}

TEST_F(PolicyDevices, AreNotNamedTwice) {
  const std::string path = disk("a", 18);
  fs::create_symlink(path, dev_ + "/vg0/b");
  lang::Document policy;
  name(policy, "a", 16), name(policy, "b", 16);
  EXPECT_EQ(refused(policy), Errc::kBusy);
}

TEST_F(PolicyDevices, AreNotWhatIsMounted) {
  const std::string path = disk("a", 18);
  ASSERT_EQ(system(("mke2fs -q " + path + " && mount " + path + " /mnt").c_str()), 0);
  lang::Document policy;
  name(policy, "a", 16);
  EXPECT_EQ(refused(policy), Errc::kBusy);
  EXPECT_EQ(system("umount /mnt"), 0);
}

TEST_F(PolicyDevices, AreBlockDevices) {
  std::ofstream(dev_ + "/vg0/a").close();
  fs::resize_file(dev_ + "/vg0/a", 18 << 20);
  lang::Document policy;
  name(policy, "a", 16);
  EXPECT_EQ(refused(policy), Errc::kDenied);
  fs::remove(dev_ + "/vg0/a");
  EXPECT_EQ(refused(policy), Errc::kSystem) << "there is none";
}

}  // namespace
}  // namespace mvm::supervisor
