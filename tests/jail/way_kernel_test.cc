// Which way memory comes back is what the kernel says, and is looked at without power.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "broker/jail/way.h"

namespace mvm::jail {
namespace {

class ChooseWay : public testing::Test {
 protected:
  ~ChooseWay() override { std::filesystem::remove(path_); }
  Result<ChosenWay> among(const std::string& devices) {
    std::ofstream(path_) << devices;
    return choose_way(path_);
  }
  std::string path_ = "/dev/shm/mvm-misc-" + std::to_string(getpid());
};

TEST_F(ChooseWay, IsWholeWhereTheKernelListsNoUserfaultfd) {
  for (const char* devices : {"", "232 kvm\n", "126 userfaultfds\n"}) {
    const auto way = among(devices);
    ASSERT_TRUE(way);
    EXPECT_EQ(way->way, Way::kWhole) << devices;
    EXPECT_EQ(way->why, "this kernel has no /dev/userfaultfd");
  }
}

TEST_F(ChooseWay, IsPageByPageWhereItDoes) {
  if (const int fd = static_cast<int>(syscall(SYS_userfaultfd, 1)); fd < 0) GTEST_SKIP() << "no userfaultfd for us here";
  else close(fd);
  const auto way = among("232 kvm\n126 userfaultfd\n");
  ASSERT_TRUE(way);
  EXPECT_EQ(way->way, Way::kPageByPage) << way->why;
}

TEST_F(ChooseWay, IsNoneWhereTheListCannotBeRead) { EXPECT_FALSE(choose_way("/dev/shm/mvm-there-is-no-such-file")); }

}  // namespace
}  // namespace mvm::jail
