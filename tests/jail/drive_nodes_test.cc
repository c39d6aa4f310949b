// Which device has a name, read from a copy of what sysfs looks like; and its node.
#include "broker/jail/drive_nodes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

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
  void device(const std::string& block, const std::string& name, const std::string& suspended, const std::string& number) const {
    fs::create_directories(path_ + "/" + block + "/dm");
    std::ofstream(path_ + "/" + block + "/dm/name") << name << "\n";
    std::ofstream(path_ + "/" + block + "/dm/suspended") << suspended << "\n";
    std::ofstream(path_ + "/" + block + "/dev") << number << "\n";
  }
  std::string path_;
  Fd block_;
};

TEST_F(DriveNodes, AreOfTheDeviceWithExactlyThatName) {
  EXPECT_EQ(device_named(block_.get(), "mvm-data-acme.workers.00000002").value(), makedev(254, 1));
  EXPECT_EQ(device_named(block_.get(), "mvm-data-acme.workers.0000000").error().code, Errc::kNotFound);
  EXPECT_EQ(device_named(block_.get(), "mvm-data-acme.workers.00000003").error().code, Errc::kNotFound);
}

TEST_F(DriveNodes, AreNotOfADeviceThatIsSuspendedOrWhoseNumberIsNone) {
  device("dm-2", "suspended", "1", "254:2");
  EXPECT_EQ(device_named(block_.get(), "suspended").error().code, Errc::kBusy);
  for (const char* number : {"", "254", "254:", ":1", "x:1"}) {
    device("dm-3", "numberless", "0", number);
    EXPECT_EQ(device_named(block_.get(), "numberless").error().code, Errc::kMalformed) << number;
  }
}

}  // namespace
}  // namespace mvm::jail
