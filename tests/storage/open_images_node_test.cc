// Images opened, shared and closed on real dm-verity, and what a byte that is wrong comes to. Runs in the node VM.
#include "broker/storage/open_images.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/derived.h"
#include "tests/base/every.h"
#include "tests/images/image_directory.h"
#include "tests/storage/killed.h"

namespace mvm::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kBlocks = 300, kBlock = 4096;

class OpenedImages : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    umask(077);
    ASSERT_EQ(system("modprobe -a loop dm_mod dm_verity"), 0);
    ASSERT_NE(mkdtemp(scratch_.data()), nullptr);
    devices_.emplace(Fd(open("/dev/mapper/control", O_RDWR | O_CLOEXEC)));
    loops_.emplace(Fd(open("/dev/loop-control", O_RDWR | O_CLOEXEC)), Fd(open(scratch_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    image_ = built_.build(kBlocks);
    ASSERT_TRUE(built_.store().import(built_.open_built().get()));
    rootfs_ = built_.store().verify(image_)->manifest.rootfs;
    name_ = image_device_name(image_);
    directory_ = Fd(open((built_.state() / "images").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override {
    if (devices_) (void)devices_->remove(name_);
    EXPECT_TRUE(without_loops());
    fs::remove_all(scratch_);
  }
  [[nodiscard]] OpenImages images() const { return {*devices_, *loops_, directory_.get()}; }
  [[nodiscard]] Status open_it() const { return images().open(image_, rootfs_); }
  [[nodiscard]] Fd node(int flags = O_RDONLY) const {
    const std::string path = scratch_ + "/node";
    fs::remove(path);
    EXPECT_EQ(mknod(path.c_str(), S_IFBLK | 0600, devices_->find(name_)->number), 0);
    return Fd(open(path.c_str(), flags | O_CLOEXEC));
  }
  // 0, or the errno of reading that block.
  [[nodiscard]] int read_block(std::uint64_t block) const {
    const Fd device = node();
    std::string bytes(kBlock, ' ');
    const ssize_t got = pread(device.get(), bytes.data(), bytes.size(), static_cast<off_t>(block * kBlock));
    return got == static_cast<ssize_t>(kBlock) ? 0 : errno;
  }
  void flip(const std::string& file, std::uint64_t at) const {
    const fs::path path = built_.filed(image_) / file;
    const Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));  // root's, whatever its mode
    char byte = 0;
    ASSERT_EQ(pread(fd.get(), &byte, 1, static_cast<off_t>(at)), 1);
    byte = static_cast<char>(byte ^ 1);
    ASSERT_EQ(pwrite(fd.get(), &byte, 1, static_cast<off_t>(at)), 1);
    ASSERT_EQ(fsync(fd.get()), 0);
  }
  [[nodiscard]] static int run(const std::string& command) { return system((command + " >/dev/null 2>&1").c_str()); }
  [[nodiscard]] std::string loops_of_ours() const {
    std::string found;
    for (const auto& entry : fs::directory_iterator("/sys/devices/virtual/block")) {
      std::ifstream file(entry.path() / "loop/backing_file");
      std::string line;
      if (std::getline(file, line) && line.find(to_hex(image_.bytes)) != std::string::npos) found += entry.path().filename().string() + " ";
    }
    return found;
  }
  // As opened_fixture.h says.
  [[nodiscard]] bool without_loops() const {
    for (int i = 0; i < 200 && !loops_of_ours().empty(); ++i) usleep(20'000);
    return loops_of_ours().empty();
  }
  void expect_nothing_mapped() const {
    EXPECT_EQ(devices_->find(name_).error().code, Errc::kNotFound);
    EXPECT_TRUE(without_loops());
  }
  [[nodiscard]] FoundImage only_one() const {
    const auto found = images().list();
    EXPECT_TRUE(found && found->size() == 1);
    return found && found->size() == 1 ? found->front() : FoundImage{};
  }

  test::ImageDirectory built_;
  std::string scratch_ = "/var/tmp/mvm-images-test-XXXXXX";
  Digest image_;
  lang::RootfsView rootfs_{};
  std::string name_;
  Fd directory_;
  std::optional<DeviceMapper> devices_;
  std::optional<Loops> loops_;
};

TEST_F(OpenedImages, AreOneDeviceWhichIsReadAndNeverWritten) {
  const auto opened = open_it();
  ASSERT_TRUE(opened) << opened.error().message();
  const dev_t number = devices_->find(name_)->number;
  ASSERT_TRUE(open_it()) << "for another jail";
  EXPECT_EQ(devices_->find(name_)->number, number);
  EXPECT_EQ(std::ranges::count(loops_of_ours(), ' '), 2);
  const auto found = only_one();
  EXPECT_EQ(found.image, image_);
  EXPECT_TRUE(found.whole);
  EXPECT_FALSE(found.damaged);
  std::string read(kBlocks * kBlock, ' ');
  ASSERT_EQ(pread(node().get(), read.data(), read.size(), 0), static_cast<ssize_t>(read.size()));
  EXPECT_EQ(read, test::get(built_.built() / "rootfs"));
  std::ifstream read_only("/sys/dev/block/" + std::to_string(major(number)) + ":" + std::to_string(minor(number)) + "/ro");
  EXPECT_EQ(read_only.get(), '1');
  const Fd device = node(O_RDWR);
  EXPECT_TRUE(!device.valid() || pwrite(device.get(), "x", 1, 0) < 0 || fsync(device.get()) != 0);
  EXPECT_EQ(read.substr(0, 1), test::get(built_.filed(image_) / "rootfs").substr(0, 1));
}

TEST_F(OpenedImages, AreWhatVeritysetupCallsThem) {
  ASSERT_TRUE(open_it());
  const std::string status = scratch_ + "/status";
  ASSERT_EQ(system(("veritysetup status " + name_ + " >" + status).c_str()), 0);
  const std::string said = test::get(status);
  for (const std::string& line : {std::string("type:        VERITY"), std::string("status:      verified"), std::string("hash type:   1"), std::string("hash name:   sha256"),
                                  std::string("mode:        readonly"), "root hash:   " + to_hex(rootfs_.root.bytes)}) {
    EXPECT_NE(said.find(line), std::string::npos) << line << " in\n" << said;
  }
  const std::string files = (built_.filed(image_) / "rootfs").string() + " " + (built_.filed(image_) / "verity").string();
  EXPECT_EQ(run("veritysetup verify " + files + " " + to_hex(rootfs_.root.bytes)), 0);
}

TEST_F(OpenedImages, AreClosedWhenNobodyHasThemAndNotBefore) {
  ASSERT_TRUE(open_it());
  {
    const Fd held = node();
    const auto closed = images().close(image_);
    ASSERT_FALSE(closed);
    EXPECT_EQ(closed.error().code, Errc::kBusy);
    EXPECT_NE(closed.error().message().find("it is open 1 times"), std::string::npos) << closed.error().message();
    EXPECT_EQ(read_block(0), 0) << "whoever has it goes on";
  }
  EXPECT_TRUE(images().close(image_));
  EXPECT_TRUE(images().close(image_)) << "already closed is success";
  expect_nothing_mapped();
}

TEST_F(OpenedImages, WithAByteThatIsWrongAreAnErrorThereAndAFinding) {
  for (const bool in_tree : {false, true}) {
    const std::uint64_t block = in_tree ? 3 * 128 - 100 : 7;  // the tree's first level is its last blocks
    flip(in_tree ? "verity" : "rootfs", in_tree ? fs::file_size(built_.filed(image_) / "verity") - kBlock + 40 * 32 : block * kBlock + 100);
    ASSERT_TRUE(open_it());
    EXPECT_FALSE(only_one().damaged) << "nobody has read it";
    int errors = 0;
    for (std::uint64_t each = 0; each < kBlocks; ++each) {
      const int error = read_block(each);
      errors += error == EIO;
      EXPECT_TRUE(error == 0 || error == EIO);
      EXPECT_TRUE(in_tree || error == 0 || each == block);
    }
    EXPECT_GE(errors, 1);
    EXPECT_TRUE(in_tree || errors == 1);
    EXPECT_TRUE(only_one().damaged);
    EXPECT_TRUE(only_one().whole);
    EXPECT_EQ(open_it().error().code, Errc::kCorrupt) << "no other jail is made of it";
    EXPECT_FALSE(built_.store().verify(image_));
    EXPECT_TRUE(images().close(image_));
    flip(in_tree ? "verity" : "rootfs", in_tree ? fs::file_size(built_.filed(image_) / "verity") - kBlock + 40 * 32 : block * kBlock + 100);
    EXPECT_TRUE(built_.store().verify(image_));
  }
}

TEST_F(OpenedImages, AreNothingButWhatTheRootHashSays) {
  lang::RootfsView other = rootfs_;
  other.root.bytes[0] ^= 1;
  ASSERT_TRUE(images().open(image_, other));
  EXPECT_EQ(read_block(0), EIO);
  const Fd held = node();
  EXPECT_EQ(open_it().error().code, Errc::kBusy) << "it is open with another root hash, and in use";
}

TEST_F(OpenedImages, ThatAreOpenAsAnotherAndUnusedAreMadeAnew) {
  lang::RootfsView other = rootfs_;
  other.root.bytes[0] ^= 1;
  ASSERT_TRUE(images().open(image_, other));
  ASSERT_TRUE(open_it());
  EXPECT_EQ(read_block(0), 0);
}

TEST_F(OpenedImages, AreNotForeignDevicesOfThatName) {
  ASSERT_EQ(run("dmsetup create " + name_ + " --table '0 2048 zero'"), 0);
  EXPECT_EQ(open_it().error().code, Errc::kDenied);
  EXPECT_TRUE(images().close(image_)) << "there is none of ours";
  EXPECT_TRUE(images().list()->empty());
  EXPECT_EQ(devices_->table(name_)->type, "zero") << "it is left alone";
}

TEST_F(OpenedImages, OfWhichAPartWasLeftAreMadeAnew) {
  ASSERT_EQ(run("dmsetup create " + name_ + " --notable --uuid CRYPT-VERITY-" + to_hex(image_.bytes).substr(0, 32) + "-" + name_), 0);
  EXPECT_FALSE(only_one().whole);
  ASSERT_TRUE(open_it());
  EXPECT_TRUE(only_one().whole);
  EXPECT_EQ(read_block(0), 0);
}

TEST_F(OpenedImages, OfFilesThatAreNoLongerTheImagesAreNotUsed) {
  ASSERT_TRUE(open_it());
  for (const char* name : {"rootfs", "verity"}) {
    const fs::path file = built_.filed(image_) / name;
    fs::rename(file, file.string() + ".old");
    fs::copy_file(file.string() + ".old", file);
    EXPECT_FALSE(only_one().whole) << name;
    {
      const Fd held = node();
      const auto opened = open_it();
      ASSERT_FALSE(opened) << name;
      EXPECT_EQ(opened.error().code, Errc::kBusy);
    }
    EXPECT_TRUE(open_it());
    EXPECT_TRUE(only_one().whole) << name;
  }
}

TEST_F(OpenedImages, ThatAreSuspendedAreMadeAnew) {
  ASSERT_TRUE(open_it());
  ASSERT_EQ(run("dmsetup suspend " + name_), 0);
  ASSERT_FALSE(only_one().whole) << "whoever reads it waits";
  ASSERT_TRUE(open_it());
  ASSERT_TRUE(only_one().whole);
  EXPECT_EQ(read_block(0), 0);
}

TEST_F(OpenedImages, AreNotOfAnImageThatIsNotThereOrWhoseFilesAreNone) {
  Digest other = image_;
  other.bytes[0] ^= 1;
  EXPECT_EQ(images().open(other, rootfs_).error().code, Errc::kNotFound);
  const fs::path rootfs = built_.filed(image_) / "rootfs";
  fs::remove(rootfs);
  ASSERT_EQ(mkfifo(rootfs.c_str(), 0444), 0);
  EXPECT_EQ(open_it().error().code, Errc::kDenied);
  fs::remove(rootfs);
  fs::create_symlink(built_.built() / "rootfs", rootfs);
  EXPECT_EQ(open_it().error().sys_errno, ELOOP);
  expect_nothing_mapped();
}

TEST_F(OpenedImages, WhoseOpenerIsKilledAnywhereAreClosedAndOpenedAgain) {
  const test::Every calls(3);
  for (unsigned call = calls.first;; call += calls.step) {
    const Ended ended = killed_at(call, [&] { return open_it().has_value(); });
    ASSERT_NE(ended, Ended::kFailed) << "call " << call;
    ASSERT_TRUE(images().list());
    EXPECT_TRUE(images().close(image_)) << "call " << call;
    expect_nothing_mapped();
    if (testing::Test::HasFailure() || ended == Ended::kDone) break;
  }
}

TEST_F(OpenedImages, WhoseCloserIsKilledAnywhereAreOpenOrClosed) {
  const test::Every calls(3);
  for (unsigned call = calls.first;; call += calls.step) {
    ASSERT_TRUE(open_it()) << "call " << call;
    const Ended ended = killed_at(call, [&] { return images().close(image_).has_value(); });
    ASSERT_NE(ended, Ended::kFailed) << "call " << call;
    EXPECT_TRUE(images().close(image_));
    expect_nothing_mapped();
    if (testing::Test::HasFailure() || ended == Ended::kDone) break;
  }
}

}  // namespace
}  // namespace mvm::storage
