// The policy's block devices, opened; loop devices below a directory of links. Runs in the node VM.
#include "broker/supervisor/devices.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

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
    EXPECT_FALSE(opened);
    return opened ? Errc::kClosed : opened.error().code;
  }
  std::string dev_ = "/var/tmp/mvm-devices-XXXXXX";
  std::vector<std::string> loops_;
};

TEST_F(PolicyDevices, AreOpenedInThePolicysOrder) {
  disk("a", 18), disk("b", 34);
  lang::Document policy;
  name(policy, "a", 16), name(policy, "b", 32);
  const auto opened = open_devices(policy, dev_);
  ASSERT_TRUE(opened) << opened.error().message();
  ASSERT_EQ(opened->size(), 2u);
  EXPECT_EQ((*opened)[0].name, "vg0/a");
  EXPECT_EQ((*opened)[1].name, "vg0/b");
  EXPECT_EQ(refused(policy), Errc::kBusy) << "while somebody has them";
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
