// The files of drives, on a ramfs of the test's own; with who makes and wipes them killed between any two system calls.
#include "broker/storage/drives.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <type_traits>

#include "drive/build.h"
#include "tests/storage/killed.h"

namespace mvm::storage {
namespace {

namespace fs = std::filesystem;
using drive::kConfigLabel, drive::kSecretsLabel;

const Subject kInstance = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1});
const std::string kName = "acme.workers.a3f7b2c1.secrets";

std::string content_of(int file) {
  std::string all(2 * drive::kDriveBytes, '?');
  const ssize_t got = pread(file, all.data(), all.size(), 0);
  all.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return all;
}

class DrivesInMemory : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    umask(07);
    path_ = "/var/tmp/mvm-drives-test-XXXXXX";
    ASSERT_NE(mkdtemp(path_.data()), nullptr);
    ASSERT_EQ(mount("ramfs", path_.c_str(), "ramfs", 0, nullptr), 0) << strerror(errno);
    const std::string secret(5000, 'S');
    const drive::File file{"token", {reinterpret_cast<const std::uint8_t*>(secret.data()), secret.size()}};
    ASSERT_TRUE(drive::build({&file, 1}, {kSecretsLabel, sha256("content"), drive::kSecretsMode}, drive_));
  }
  void TearDown() override {
    if (path_.empty()) return;
    umount2(path_.c_str(), MNT_DETACH);
    fs::remove_all(path_);
  }
  [[nodiscard]] Fd directory() const { return Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
  [[nodiscard]] Drives drives() const { return Drives::make(directory()).value(); }
  [[nodiscard]] Fd opened(const std::string& name) const { return Fd(open((path_ + "/" + name).c_str(), O_RDONLY | O_CLOEXEC)); }
  [[nodiscard]] std::string wanted() const { return {drive_.begin(), drive_.end()}; }

  std::string path_;
  std::vector<std::uint8_t> drive_ = std::vector<std::uint8_t>(drive::kDriveBytes);
};

TEST_F(DrivesInMemory, AreFilesOfWhatWasBuilt) {
  umask(0);  // the mode is the file's own
  ASSERT_TRUE(drives().write(kInstance, kSecretsLabel, drive_));
  const Fd file = opened(kName);
  EXPECT_EQ(content_of(file.get()), wanted());
  struct stat info {};
  ASSERT_EQ(fstat(file.get(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u) << "so that it is wiped by its group when it is another's";
  EXPECT_EQ(drives().write(kInstance, kSecretsLabel, drive_).error().code, Errc::kExists);
  EXPECT_EQ(content_of(file.get()), wanted()) << "and the one that is there stays as it is";
  ASSERT_TRUE(drives().write(kInstance, kConfigLabel, drive_)) << "another kind is another drive";
  const auto secrets = drives().list(kSecretsLabel).value(), config = drives().list(kConfigLabel).value();
  ASSERT_EQ(secrets.size(), 1u);
  EXPECT_TRUE(secrets[0].instance == kInstance && secrets[0].whole);
  EXPECT_EQ(config.size(), 1u);
}

// What a maker left that was killed is for recovery to wipe; nobody goes on with it.
TEST_F(DrivesInMemory, AreNotMadeOfWhatAnotherMakerLeft) {
  const std::string left = path_ + "/" + kName + ".new";
  {
    const Fd file(open(left.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::write(file.get(), "left", 4), 4);
  }
  EXPECT_EQ(drives().write(kInstance, kSecretsLabel, drive_).error().code, Errc::kExists);
  EXPECT_EQ(content_of(opened(kName + ".new").get()), "left");
  ASSERT_TRUE(drives().wipe(kInstance, kSecretsLabel));
  EXPECT_TRUE(fs::is_empty(path_));
}

// A page for each block that is not zero: this is what hostd's limit reckons with.
TEST_F(DrivesInMemory, TakeTheMemoryOfWhatIsInThem) {
  ASSERT_TRUE(drives().write(kInstance, kSecretsLabel, drive_));
  const Fd file = opened(kName);
  const std::vector<unsigned char> there = [&] {
    void* const at = mmap(nullptr, drive::kDriveBytes, PROT_READ, MAP_SHARED, file.get(), 0);
    std::vector<unsigned char> pages(drive::kDriveBytes / drive::kBlock);
    if (at == MAP_FAILED || mincore(at, drive::kDriveBytes, pages.data()) != 0) pages.clear();
    return pages;
  }();
  ASSERT_FALSE(there.empty());
  EXPECT_LT(std::ranges::count_if(there, [](unsigned char page) { return (page & 1) != 0; }), 16);
}

TEST_F(DrivesInMemory, AreOverwrittenBeforeTheyAreRemoved) {
  ASSERT_TRUE(drives().write(kInstance, kSecretsLabel, drive_));
  const Fd still_open = opened(kName);
  ASSERT_TRUE(drives().wipe(kInstance, kSecretsLabel));
  EXPECT_EQ(content_of(still_open.get()), std::string(drive::kDriveBytes, '\0'));
  EXPECT_TRUE(fs::is_empty(path_));
  EXPECT_TRUE(drives().wipe(kInstance, kSecretsLabel)) << "and once more is nothing";
}

TEST_F(DrivesInMemory, AreKeptOnNothingThatHasADisk) {
  for (const char* other : {"/var/tmp", "/dev/shm"}) {
    EXPECT_EQ(Drives::make(Fd(open(other, O_RDONLY | O_DIRECTORY | O_CLOEXEC))).error().code, Errc::kDenied) << other;
  }
}

static_assert(!std::is_constructible_v<Drives, Fd>, "but by make(), which looks where they are");

TEST_F(DrivesInMemory, AreNotMoreThanTheirLimit) {
  for (std::size_t i = 0; i + 1 < kMaxDrives; ++i) Fd(open((path_ + "/" + std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(drives().write(kInstance, kSecretsLabel, drive_));
  EXPECT_EQ(drives().write(kInstance, kConfigLabel, drive_).error().code, Errc::kLimit);
}

TEST_F(DrivesInMemory, OfAMakerThatWasKilledAreKnownForWhatTheyAre) {
  unsigned kills = 0;
  for (unsigned call = 1;; ++call, ++kills) {
    const Ended ended = killed_at(call, [&] { return drives().write(kInstance, kSecretsLabel, drive_).has_value(); });
    ASSERT_NE(ended, Ended::kFailed);
    const auto left = drives().list(kSecretsLabel).value();
    ASSERT_LE(left.size(), 1u);
    EXPECT_TRUE(left.empty() || !left[0].whole || content_of(opened(kName).get()) == wanted()) << "call " << call;
    EXPECT_EQ(left.empty(), fs::is_empty(path_)) << "call " << call << ": what no inventory shows";
    ASSERT_TRUE(drives().wipe(kInstance, kSecretsLabel));
    EXPECT_TRUE(fs::is_empty(path_)) << "call " << call;
    if (ended == Ended::kDone) break;
  }
  EXPECT_GT(kills, 10u);
}

TEST_F(DrivesInMemory, AreNeverWithoutTheirNameBeforeTheyAreWiped) {
  unsigned kills = 0;
  for (unsigned call = 1;; ++call, ++kills) {
    ASSERT_TRUE(drives().write(kInstance, kSecretsLabel, drive_));
    const Fd still_open = opened(kName);
    const Ended ended = killed_at(call, [&] { return drives().wipe(kInstance, kSecretsLabel).has_value(); });
    ASSERT_NE(ended, Ended::kFailed);
    const bool named = fs::exists(path_ + "/" + kName);
    EXPECT_TRUE(named || content_of(still_open.get()) == std::string(drive::kDriveBytes, '\0')) << "call " << call;
    ASSERT_TRUE(drives().wipe(kInstance, kSecretsLabel));
    if (ended == Ended::kDone) break;
  }
  EXPECT_GT(kills, 100u);
}

}  // namespace
}  // namespace mvm::storage
