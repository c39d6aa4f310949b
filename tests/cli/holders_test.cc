// Who has a device open, read from a copy of what /proc looks like, and once from the kernel's own.
#include "cli/holders.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/fd.h"

namespace mvm::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMine = "254:3";

class HoldersOfADevice : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "makes nodes";
    proc_ = testing::TempDir() + "proc-" + std::to_string(getpid());
    fs::create_directories(proc_ + "/sys");
    const bool made = mknod((proc_ + "/mine").c_str(), S_IFBLK | 0600, device_) == 0 && mknod((proc_ + "/other").c_str(), S_IFBLK | 0600, makedev(254, 4)) == 0 &&
                      mknod((proc_ + "/characters").c_str(), S_IFCHR | 0600, device_) == 0;
    ASSERT_TRUE(made);
  }
  void TearDown() override { fs::remove_all(proc_); }
  void process(const std::string& number, const std::string& command) const {
    for (const char* folder : {"/fd", "/map_files", "/ns"}) fs::create_directories(proc_ + "/" + number + folder);
    std::ofstream(proc_ + "/" + number + "/comm") << command << "\n";
    std::ofstream(proc_ + "/" + number + "/ns/mnt");
  }
  void opens(const std::string& number, const std::string& name, const std::string& what = "mine") const { fs::create_symlink(proc_ + "/" + what, proc_ + "/" + number + name); }
  [[nodiscard]] Held held() const { return holders_of(device_, proc_).value(); }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> all;
    for (const Holder& holder : held().holders) all.push_back(holder.process + " " + holder.command + ": " + holder.how);
    std::ranges::sort(all);
    return all;
  }

  const dev_t device_ = makedev(254, 3);
  std::string proc_;
};

using Lines = std::vector<std::string>;

TEST_F(HoldersOfADevice, AreProcessesByDescriptorAndMapping) {
  process("10", "dd");
  opens("10", "/fd/3");
  process("11", "mapper");
  opens("11", "/map_files/7f00-7f01");
  process("12", "idle");
  opens("12", "/fd/0", "other");
  opens("12", "/fd/1", "characters");
  opens("12", "/fd/2", "gone");
  fs::create_directories(proc_ + "/sys/fd");
  opens("sys", "/fd/3");
  EXPECT_EQ(lines(), (Lines{"10 dd: descriptor 3", "11 mapper: a mapping"}));
}

TEST_F(HoldersOfADevice, AreEachThereOnce) {
  process("10", "dd");
  for (const char* name : {"/fd/3", "/fd/4", "/fd/5"}) opens("10", name);
  const Lines all = lines();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_TRUE(all[0].ends_with(" and 2 more")) << all[0];
}

TEST_F(HoldersOfADevice, AreMountNamespacesEachByOneProcess) {
  for (const char* number : {"10", "11", "12"}) process(number, "shell");
  fs::remove(proc_ + "/11/ns/mnt");
  fs::create_hard_link(proc_ + "/10/ns/mnt", proc_ + "/11/ns/mnt");
  for (const char* number : {"10", "11"}) std::ofstream(proc_ + "/" + number + "/mountinfo") << "30 1 " << kMine << " / /mnt/a rw - ext4 x rw\n31 1 254:4 / /mnt/b rw - ext4 x rw\n";
  std::ofstream(proc_ + "/12/mountinfo") << "30 1 " << kMine << " / /mnt/c rw - ext4 x rw\n40 1 254:30 / /mnt/d rw\nhalf\n";
  const Lines all = lines();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(all[0].ends_with(": mounted at /mnt/a")) << all[0];
  EXPECT_EQ(all[1], "12 shell: mounted at /mnt/c");
}

TEST_F(HoldersOfADevice, AreOneWordEachWhateverTheyCallThemselves) {
  process("10", "a\x1b[2J; b: c");
  opens("10", "/fd/3");
  std::ofstream(proc_ + "/10/mountinfo") << "30 1 " << kMine << " / /mnt/\x1b" << std::string(200, 'n') << " rw\n";
  const Lines all = lines();
  ASSERT_EQ(all.size(), 2u);
  for (const std::string& line : all) {
    EXPECT_TRUE(line.starts_with("10 a\\x1b[2J\\x3b\\x20b:\\x20c: ")) << line;
    EXPECT_LT(line.size(), 160u);
  }
}

TEST_F(HoldersOfADevice, AreNotMoreThanALimit) {
  for (std::size_t i = 0; i < kMaxHolders + 3; ++i) {
    process(std::to_string(1000 + i), "dd");
    opens(std::to_string(1000 + i), "/fd/3");
  }
  EXPECT_EQ(held().holders.size(), kMaxHolders);
  EXPECT_EQ(held().more, 3u);
}

TEST_F(HoldersOfADevice, AreLookedForToALimit) {
  process("10", "dd");
  opens("10", "/fd/3");
  std::ofstream(proc_ + "/10/mountinfo") << "30 1 " << kMine << " / /mnt/a rw\n";
  const auto within = [&](std::size_t looks) { return holders_of(device_, proc_, looks).value(); };
  EXPECT_EQ(within(3).holders.size(), 2u);
  EXPECT_TRUE(within(3).all);  // the descriptor, the line, and that there is no other
  EXPECT_EQ(within(1).holders.size(), 1u);
  EXPECT_FALSE(within(1).all);
  EXPECT_TRUE(within(0).holders.empty());
}

TEST_F(HoldersOfADevice, MayBeAmongWhatIsNotSeen) {
  process("10", "dd");
  opens("10", "/fd/3");
  fs::permissions(proc_, fs::perms(0755));
  fs::permissions(proc_ + "/10/fd", fs::perms(0700));
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65534) != 0) _exit(9);
    const Held seen = held();
    _exit(seen.holders.empty() && seen.unseen == 1 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(held().unseen, 0u);
}

TEST_F(HoldersOfADevice, AreNoneWhereThereIsNothingToLookAt) {
  EXPECT_TRUE(held().holders.empty());
  EXPECT_FALSE(holders_of(device_, proc_ + "/none"));
}

// A node of a device that there is not can be made, but not opened; so this looks for one that is open already, by anybody.
TEST(HoldersOnThisMachine, AreFoundByTheKernelsOwnTree) {
  const Fd loop(open("/dev/loop0", O_RDONLY | O_CLOEXEC));
  if (!loop.valid()) GTEST_SKIP() << "no loop device to open";
  struct stat info {};
  ASSERT_EQ(fstat(loop.get(), &info), 0);
  const Held held = holders_of(info.st_rdev).value();
  const auto mine = std::ranges::find(held.holders, std::to_string(getpid()), &Holder::process);
  ASSERT_NE(mine, held.holders.end());
  EXPECT_EQ(mine->how, "descriptor " + std::to_string(loop.get()));
}

TEST(NamedDevice, IsOfDeviceMapperAndHasExactlyThatName) {
  const std::string block = testing::TempDir() + "block-" + std::to_string(getpid());
  const auto device = [&](const std::string& kernel_name, const std::string& name, const std::string& number) {
    fs::create_directories(block + "/" + kernel_name + "/dm");
    std::ofstream(block + "/" + kernel_name + "/dm/name") << name << "\n";
    std::ofstream(block + "/" + kernel_name + "/dev") << number << "\n";
  };
  device("dm-0", "mvm-data-acme.db.00000001", "254:0");
  device("dm-1", "mvm-data-acme.db.0000000", "254:1");
  device("loop3", "mvm-data-acme.db.00000002", "7:3");
  device("dm-4", "numberless", "x");
  EXPECT_EQ(device_of_name("mvm-data-acme.db.00000001", block), makedev(254, 0));
  for (const char* none : {"mvm-data-acme.db.00000002", "mvm-data-acme.db", "numberless", ""}) EXPECT_FALSE(device_of_name(none, block)) << none;
  EXPECT_FALSE(device_of_name("x", block + "/none"));
  fs::remove_all(block);
}

}  // namespace
}  // namespace mvm::cli
