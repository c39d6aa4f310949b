// Which device has a name, read from a copy of what sysfs looks like; and its node.
#include "broker/jail/drive_nodes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "base/fd.h"

namespace mvm::jail {
namespace {

namespace fs = std::filesystem;

class DriveNodes : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mvm-nodes-test-XXXXXX";
    path_ = mkdtemp(name);
    device("dm-0", "mvm-data-acme.workers.00000001", "0", "254:0");
    device("dm-1", "mvm-data-acme.workers.00000002", "0", "254:1");
    fs::create_directory(path_ + "/sda");
    block_ = Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override { fs::remove_all(path_); }
  void device(const std::string& block, const std::string& name, const std::string& suspended, const std::string& number, bool writes = true) const {
    fs::create_directories(path_ + "/" + block + "/dm");
    std::ofstream(path_ + "/" + block + "/dm/name") << name << "\n";
    std::ofstream(path_ + "/" + block + "/dm/suspended") << suspended << "\n";
    std::ofstream(path_ + "/" + block + "/dev") << number << "\n";
    std::ofstream(path_ + "/" + block + "/ro") << (writes ? "0\n" : "1\n");
  }
  std::string path_;
  Fd block_;
};

TEST_F(DriveNodes, AreOfTheDeviceWithExactlyThatName) {
  EXPECT_EQ(device_named(block_.get(), "mvm-data-acme.workers.00000002", Use::kReadWrite).value(), makedev(254, 1));
  EXPECT_EQ(device_named(block_.get(), "mvm-data-acme.workers.0000000", Use::kReadWrite).error().code, Errc::kNotFound);
  EXPECT_EQ(device_named(block_.get(), "mvm-data-acme.workers.00000003", Use::kReadWrite).error().code, Errc::kNotFound);
}

TEST_F(DriveNodes, ThatAreSharedAreOfADeviceThatNobodyCanWriteTo) {
  device("dm-2", "mvm-image-1", "0", "254:2", false);
  EXPECT_EQ(device_named(block_.get(), "mvm-image-1", Use::kRead).value(), makedev(254, 2));
  const auto expect_denied = [&] {
    const auto named = device_named(block_.get(), "mvm-image-1", Use::kRead);
    ASSERT_FALSE(named);
    EXPECT_EQ(named.error().code, Errc::kDenied);
  };
  device("dm-2", "mvm-image-1", "0", "254:2", true);
  expect_denied();
  fs::remove(path_ + "/dm-2/ro");
  expect_denied();
}

TEST_F(DriveNodes, AreTheirUidsAloneAndForItsUse) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  umask(077);
  device("dm-2", "mvm-image-1", "0", "254:2", false);
  ASSERT_TRUE(place_device(block_.get(), block_.get(), {"rootfs", "mvm-image-1", Use::kRead, 2'000'005}));
  ASSERT_TRUE(place_device(block_.get(), block_.get(), {"data", "mvm-data-acme.workers.00000001", Use::kReadWrite, 2'000'005}));
  for (const auto& [name, mode, number] : {std::tuple{"/rootfs", S_IFBLK | 0400, makedev(254, 2)}, {"/data", S_IFBLK | 0600, makedev(254, 0)}}) {
    struct stat info {};
    ASSERT_EQ(lstat((path_ + name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode, static_cast<mode_t>(mode)) << name;
    EXPECT_EQ(info.st_rdev, number) << name;
    EXPECT_EQ(info.st_uid, 2'000'005u);
    EXPECT_EQ(info.st_gid, 2'000'005u);
  }
  EXPECT_EQ(place_device(block_.get(), block_.get(), {"data", "mvm-data-acme.workers.00000002", Use::kReadWrite, 1}).error().sys_errno, EEXIST);
}

TEST_F(DriveNodes, AreNotOfADeviceThatIsSuspendedOrWhoseNumberIsNone) {
  device("dm-2", "suspended", "1", "254:2");
  EXPECT_EQ(device_named(block_.get(), "suspended", Use::kReadWrite).error().code, Errc::kBusy);
  for (const char* number : {"", "254", "254:", ":1", "x:1"}) {
    device("dm-3", "numberless", "0", number);
    EXPECT_EQ(device_named(block_.get(), "numberless", Use::kReadWrite).error().code, Errc::kMalformed) << number;
  }
}

}  // namespace
}  // namespace mvm::jail
