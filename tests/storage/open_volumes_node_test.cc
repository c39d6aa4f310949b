// Volumes opened and closed on real dm-crypt: device-mapper, loop devices, the kernel's keyring. Runs in the node VM.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "broker/storage/closing.h"
#include "tests/storage/opened_fixture.h"

namespace mvm::storage {
namespace {

TEST_F(OpenedVolumes, ShowWhatIsWrittenOnlyThroughTheDevice) {
  const auto opened = open_volumes().open(instance_, {1, key_});
  ASSERT_TRUE(opened) << opened.error().message();
  const std::string canary = "a canary that the guest wrote", loops = loops_of_ours();
  std::ifstream direct("/sys/devices/virtual/block/" + loops.substr(0, loops.find(' ')) + "/loop/dio");
  EXPECT_EQ(direct.get(), '1') << "loop I/O is direct";
  {
    const Fd data = node();
    std::uint64_t size = 0;
    ASSERT_EQ(ioctl(data.get(), BLKGETSIZE64, &size), 0);
    EXPECT_EQ(size, 16u << 20);
    ASSERT_EQ(pwrite(data.get(), canary.data(), canary.size(), 8192), static_cast<ssize_t>(canary.size()));
    ASSERT_EQ(fsync(data.get()), 0);
  }
  ASSERT_TRUE(open_volumes().close(instance_));
  EXPECT_EQ(devices_->find(name_).error().code, Errc::kNotFound);
  EXPECT_TRUE(without_loops()) << "a loop device clears itself";
  std::ifstream file(file_path(), std::ios::binary);
  const std::string raw{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(raw.find(canary), std::string::npos);
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  std::string read(canary.size(), ' ');
  ASSERT_EQ(pread(node().get(), read.data(), read.size(), 8192), static_cast<ssize_t>(read.size()));
  EXPECT_EQ(read, canary);
  EXPECT_TRUE(open_volumes().close(instance_));
  EXPECT_TRUE(open_volumes().close(instance_)) << "already closed is success";
}

TEST_F(OpenedVolumes, AreWhatCryptsetupCallsThem) {
  EXPECT_EQ(system(("cryptsetup luksDump --dump-json-metadata " + fresh_path() + " >/dev/null").c_str()), 0);
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  const std::string status = state_ + "/status";
  ASSERT_EQ(system(("cryptsetup status " + name_ + " >" + status).c_str()), 0);
  std::ifstream file(status);
  const std::string said{std::istreambuf_iterator<char>(file), {}};
  for (const char* line : {"type:    LUKS2", "cipher:  aes-xts-plain64", "keysize: 512 bits", "key location: keyring", "sector size:  4096", "mode:    read/write"}) {
    EXPECT_NE(said.find(line), std::string::npos) << line << " in\n" << said;
  }
  EXPECT_EQ(system(("cryptsetup close " + name_).c_str()), 0);
  std::ofstream(state_ + "/key", std::ios::binary).write(reinterpret_cast<const char*>(key_.bytes().data()), 32);
  EXPECT_EQ(system(("cryptsetup open --key-file " + state_ + "/key " + file_path() + " " + name_).c_str()), 0);
  const auto found = open_volumes().list().value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(found[0].whole) << "what cryptsetup opened is ours too";
  EXPECT_TRUE(open_volumes().close(instance_));
}

TEST_F(OpenedVolumes, DoNotOpenWithAnotherKey) {
  const auto opened = open_volumes().open(instance_, {1, key_of_bytes(arena_, 8)});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kDenied);
  EXPECT_EQ(devices_->find(name_).error().code, Errc::kNotFound);
  EXPECT_TRUE(without_loops());
}

TEST_F(OpenedVolumes, HaveNoKeyThatTheTableWouldTell) {
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  const auto table = devices_->table(name_);
  ASSERT_TRUE(table);
  EXPECT_NE(table->parameters.find(":64:logon:cryptsetup:"), std::string::npos) << table->parameters;
  EXPECT_TRUE(open_volumes().close(instance_));
}

TEST_F(OpenedVolumes, ThatAreHeldOpenSayByWhom) {
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  {
    const Fd held = node();
    const auto closed = open_volumes().close(instance_);
    ASSERT_FALSE(closed);
    EXPECT_EQ(closed.error().code, Errc::kBusy);
    EXPECT_NE(closed.error().tried.find("it is open 1 times"), std::string::npos) << closed.error().message();
  }
  ASSERT_TRUE(devices_->make({"holder", "holder-1", {2048, "linear", std::to_string(major(devices_->find(name_)->number)) + ":" + std::to_string(minor(devices_->find(name_)->number)) + " 0"}}));
  const auto closed = open_volumes().close(instance_);
  ASSERT_FALSE(closed);
  EXPECT_NE(closed.error().tried.find("(holder) stands on it"), std::string::npos) << closed.error().message();
  EXPECT_TRUE(devices_->remove("holder"));
  EXPECT_TRUE(open_volumes().close(instance_));
}

// What others call what they put on it is quoted, and so many of them are named and no more.
TEST_F(OpenedVolumes, ThatAreHeldByManySayByHowMany) {
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  const dev_t number = devices_->find(name_)->number;
  const std::string table = std::to_string(major(number)) + ":" + std::to_string(minor(number)) + " 0";
  const auto holder = [](std::size_t i) { return "a; b\x1b" + std::to_string(i); };
  for (std::size_t i = 0; i <= kMaxHoldersSaid; ++i) ASSERT_TRUE(devices_->make({holder(i), "holder-" + std::to_string(i), {2048, "linear", table}}));
  const std::string said = who_holds(number, name_);
  EXPECT_NE(said.find("(a\\x3b\\x20b\\x1b"), std::string::npos) << said;
  EXPECT_NE(said.find("; and 1 more"), std::string::npos) << said;
  for (std::size_t i = 0; i <= kMaxHoldersSaid; ++i) EXPECT_TRUE(devices_->remove(holder(i)));
  EXPECT_EQ(who_holds(number, name_), "");
  EXPECT_TRUE(open_volumes().close(instance_));
}

TEST_F(OpenedVolumes, ThatALoopDeviceIsSetUpOnSayWhich) {
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  const dev_t number = devices_->find(name_)->number;
  const std::string node = "/dev/dm-" + std::to_string(minor(number)), loop = state_ + "/loop";
  ASSERT_EQ(system(("losetup -f --show " + node + " >" + loop).c_str()), 0);
  std::string device;
  std::ifstream(loop) >> device;
  EXPECT_EQ(who_holds(number, name_), "; " + device.substr(5) + " is set up on it");
  EXPECT_EQ(system(("losetup -d " + device).c_str()), 0);
  EXPECT_TRUE(open_volumes().close(instance_));
}

TEST_F(OpenedVolumes, OfSomebodyElseWithOurNameAreLeftAlone) {
  ASSERT_TRUE(devices_->make({name_, "not-one-of-ours", {2048, "zero", ""}}));
  EXPECT_TRUE(open_volumes().list().value().empty());
  EXPECT_TRUE(open_volumes().close(instance_)) << "there is nothing of ours to close";
  EXPECT_EQ(open_volumes().open(instance_, {1, key_}).error().code, Errc::kExists);
  EXPECT_TRUE(devices_->find(name_));
  EXPECT_TRUE(without_loops());
  EXPECT_TRUE(devices_->remove(name_));
}

TEST_F(OpenedVolumes, OnAnotherFileThanTheirOwnAreNotWhole) {
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  EXPECT_TRUE(open_volumes().list().value()[0].whole);
  fs::rename(file_path(), state_ + "/elsewhere");
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  const auto found = open_volumes().list().value();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_FALSE(found[0].whole);
  EXPECT_TRUE(open_volumes().close(instance_)) << "and can be closed";
}

TEST_F(OpenedVolumes, AreOneAtATime) {
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  EXPECT_EQ(open_volumes().open(instance_, {1, key_}).error().code, Errc::kExists);
  const Fd data = node();
  EXPECT_TRUE(data.valid()) << "the first is none the worse for it";
}

TEST_F(OpenedVolumes, OpenOnlyWithTheVersionThatIsTheirs) {
  EXPECT_EQ(open_volumes().open(instance_, {2, key_}).error().code, Errc::kDenied);
  EXPECT_EQ(devices_->find(name_).error().code, Errc::kNotFound);
}

TEST_F(OpenedVolumes, LoseWhatAnInterruptedChangeOfKeysLeft) {
  const auto other = key_of_bytes(arena_, 8);
  const auto file = volumes_->open(instance_);
  ASSERT_TRUE(add_luks_key(file->get(), key_, other, arena_));
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  EXPECT_EQ(unlock_luks(file->get(), other, arena_).error().code, Errc::kDenied);
  EXPECT_EQ(unlock_luks(file->get(), key_, arena_)->keyslots, 1);
  EXPECT_TRUE(open_volumes().close(instance_));
}

}  // namespace
}  // namespace mvm::storage
