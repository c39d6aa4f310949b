#include "broker/jail/cgroup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace mvm::jail {
namespace {

namespace fs = std::filesystem;

TEST(SettingsOf, AreTheLimitsInTheKernelsUnits) {
  const std::vector<Setting> expected = {{"cpu.max", "200000 100000"}, {"memory.max", "1207959552"}, {"memory.swap.max", "0"},
                                         {"memory.oom.group", "1"},    {"pids.max", "64"},           {"io.max", "8:0 rbps=104857600 wbps=104857600"}};
  EXPECT_EQ(settings_of({200, 1152, 64, 100}, "8:0"), expected);
}

TEST(SettingsOf, LeaveIoAloneWhereThereIsNoLimit) {
  const auto settings = settings_of({1, 16, 1, 0}, "8:0");
  ASSERT_TRUE(settings);
  EXPECT_THAT(*settings, testing::SizeIs(5));
  EXPECT_EQ(settings->front(), (Setting{"cpu.max", "1000 100000"}));
}

TEST(SettingsOf, DoNotOverflowAtTheirBounds) {
  const auto settings = settings_of({3200, (1 << 20) + 128, 4096, 65'536}, "259:0");
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->at(0).value, "3200000 100000");
  EXPECT_EQ(settings->at(1).value, "1099645845504");
  EXPECT_EQ(settings->at(5).value, "259:0 rbps=68719476736 wbps=68719476736");
}

TEST(SettingsOf, RefuseAnIoLimitWithoutADisk) {
  const auto settings = settings_of({1, 16, 1, 5}, "");
  ASSERT_FALSE(settings);
  EXPECT_EQ(settings.error().code, Errc::kUnsupported);
}

TEST(IoDeviceOf, IsNoneOnAFileSystemWithoutADisk) {
  const Fd proc(open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(io_device_of(proc.get()), "");
}

TEST(InstancesBelow, FindsInstancesAndPassesOverAllElse) {
  char name[] = "/tmp/mvm-cgroup-test-XXXXXX";
  const std::string root = mkdtemp(name);
  for (const char* path : {"acme/workers/i-00000001", "acme/workers/i-00000002", "acme/batch", "acme/workers/other", "acme/workers/i-0000000G",
                           "Acme/workers/i-00000003", "acme/.hidden/i-00000004", "zeta/p/below/i-00000005"}) {
    fs::create_directories(root + "/" + path);
  }
  const Fd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto plain = instances_below(fd.get());
  const auto below = instances_below(fd.get(), "below");
  fs::remove_all(root);
  ASSERT_TRUE(plain && below);
  std::vector<std::string> found;
  for (const Subject& instance : *plain) found.push_back(to_string(instance));
  EXPECT_THAT(found, testing::UnorderedElementsAre("acme/workers/i-00000001", "acme/workers/i-00000002"));
  ASSERT_THAT(*below, testing::SizeIs(1));
  EXPECT_EQ(to_string(below->front()), "zeta/p/i-00000005");
}

TEST(UsageOf, IsReadAsTheKernelWritesItAndNotOtherwise) {
  char name[] = "/tmp/mvm-usage-test-XXXXXX";
  const std::string root = mkdtemp(name);
  const Fd fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const auto with = [&](const std::string& cpu, const std::string& memory) {
    std::ofstream(root + "/cpu.stat") << cpu;
    std::ofstream(root + "/memory.current") << memory;
    return usage(fd.get());
  };
  EXPECT_FALSE(usage(fd.get())) << "there is none";
  std::ofstream(root + "/cpu.stat") << "usage_usec 7\n";
  const auto bare = usage(fd.get());
  ASSERT_TRUE(bare) << bare.error().message();
  EXPECT_EQ(bare->cpu, 7u);
  EXPECT_FALSE(bare->memory) << "without a memory controller";
  const auto read = with("usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n", "4096\n");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->cpu, 1234u);
  EXPECT_EQ(read->memory, 4096u);
  for (const char* cpu : {"", "usage_usec \n", "usage_usec 12", "user_usec 12\n", "usage_usec -1\n", "usage_usec 99999999999999999999\n"}) EXPECT_FALSE(with(cpu, "4096\n")) << cpu;
  for (const char* memory : {"", "\n", "max\n", "4096"}) EXPECT_FALSE(with("usage_usec 1\n", memory)) << memory;
  fs::remove_all(root);
}

}  // namespace
}  // namespace mvm::jail
