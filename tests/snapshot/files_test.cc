// The files of snapshots: names, whose they are, and what becomes of them. Needs root.
#include "broker/snapshot/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>

#include "snapshot-file/header.h"

namespace mvm::snapshot {
namespace {

namespace fs = std::filesystem;

class SnapshotFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    umask(077);
    char name[] = "/var/tmp/mvm-files-test-XXXXXX";
    root_ = mkdtemp(name);
  }
  void TearDown() override {
    if (!root_.empty()) fs::remove_all(root_);
  }
  [[nodiscard]] Files files() const { return Files(Fd(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))); }
  void make(std::uint8_t byte = 1) const {
    const auto file = files().begin(instance_);
    ASSERT_TRUE(file) << file.error().message();
    const std::string content(snapshot_file::kHeaderBytes + 1000, static_cast<char>(byte));
    ASSERT_EQ(write(file->get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
    ASSERT_TRUE(files().keep(instance_));
  }
  [[nodiscard]] std::string path(const char* suffix = ".snap") const { return root_ + "/acme/workers/i-a3f7b2c1" + suffix; }
  static std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  const Subject instance_ = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1});
  std::string root_;
};

TEST_F(SnapshotFiles, AreOursAloneInDirectoriesThatAreOursAlone) {
  make();
  for (const char* each : {"/acme", "/acme/workers", "/acme/workers/i-a3f7b2c1.snap"}) {
    struct stat info {};
    ASSERT_EQ(stat((root_ + each).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, S_ISDIR(info.st_mode) ? 0700u : 0600u) << each;
  }
  EXPECT_TRUE(files().open(instance_));
}

TEST_F(SnapshotFiles, AreRefusedWhereSomebodyElseHasAPart) {
  make();
  for (const char* each : {"/acme", "/acme/workers", "/acme/workers/i-a3f7b2c1.snap"}) {
    const std::string on = root_ + each;
    const auto mode = fs::status(on).permissions();
    fs::permissions(on, mode | fs::perms::group_read);
    EXPECT_EQ(files().open(instance_).error().code, Errc::kDenied) << each;
    EXPECT_EQ(files().spend(instance_).error().code, Errc::kDenied) << each;
    fs::permissions(on, mode);
    ASSERT_EQ(chown(on.c_str(), 65534, 65534), 0);
    EXPECT_EQ(files().open(instance_).error().code, Errc::kDenied) << each;
    ASSERT_EQ(chown(on.c_str(), 0, 0), 0);
  }
  ASSERT_EQ(link(path().c_str(), (root_ + "/another").c_str()), 0);
  EXPECT_EQ(files().open(instance_).error().code, Errc::kDenied) << "by another name, too";
}

TEST_F(SnapshotFiles, AreReachedByNoLink) {
  make();
  fs::rename(path(), root_ + "/elsewhere");
  fs::create_symlink(root_ + "/elsewhere", path());
  EXPECT_EQ(files().open(instance_).error().sys_errno, ELOOP);
  fs::remove(path());
  fs::rename(root_ + "/elsewhere", path());
  fs::rename(root_ + "/acme", root_ + "/moved");
  fs::create_directory_symlink(root_ + "/moved", root_ + "/acme");
  EXPECT_FALSE(files().open(instance_));
}

TEST_F(SnapshotFiles, AreNothingUntilTheyAreKept) {
  ASSERT_TRUE(files().begin(instance_));
  EXPECT_EQ(files().open(instance_).error().code, Errc::kNotFound);
  ASSERT_EQ(files().list()->size(), 1u);
  EXPECT_EQ(files().list()->front().good, Good::kNo);
  files().give_up(instance_);
  EXPECT_FALSE(fs::exists(root_ + "/acme"));
}

TEST_F(SnapshotFiles, AreNotWrittenOver) {
  make(1);
  EXPECT_EQ(files().begin(instance_).error().code, Errc::kExists);
  EXPECT_EQ(content_of(path())[0], 1);
}

TEST_F(SnapshotFiles, AreBegunAnewWhereOneWasBrokenOff) {
  ASSERT_TRUE(files().begin(instance_));
  std::ofstream(path(".new")) << "half";
  make(2);
  EXPECT_EQ(content_of(path())[0], 2);
  EXPECT_FALSE(fs::exists(path(".new")));
}

TEST_F(SnapshotFiles, OpenNoMoreOnceTheyAreSpentAndWhoReadsReadsOn) {
  make(7);
  const auto reading = files().open(instance_);
  ASSERT_TRUE(files().spend(instance_));
  EXPECT_EQ(files().open(instance_).error().code, Errc::kCorrupt);
  EXPECT_EQ(files().list()->front().good, Good::kNo);
  const std::string content = content_of(path());
  const std::size_t key = snapshot_file::kHeaderBytes - snapshot_file::kWrappedBytes;
  EXPECT_EQ(content.substr(key, snapshot_file::kWrappedBytes), std::string(snapshot_file::kWrappedBytes, '\0'));
  EXPECT_EQ(content.substr(0, key), std::string(key, 7));
  EXPECT_EQ(content.substr(snapshot_file::kHeaderBytes), std::string(1000, 7));
  char byte = 0;
  EXPECT_EQ(pread(reading->get(), &byte, 1, static_cast<off_t>(snapshot_file::kHeaderBytes)), 1);
}

TEST_F(SnapshotFiles, HaveNoKeyLeftWhereTheyAreDestroyed) {
  make(7);
  const auto held = files().open(instance_);
  ASSERT_TRUE(files().destroy(instance_));
  EXPECT_FALSE(fs::exists(root_ + "/acme"));
  std::string key(snapshot_file::kWrappedBytes, 'x');
  ASSERT_EQ(pread(held->get(), key.data(), key.size(), static_cast<off_t>(snapshot_file::kHeaderBytes - key.size())), static_cast<ssize_t>(key.size()));
  EXPECT_EQ(key, std::string(key.size(), '\0'));
  EXPECT_TRUE(files().destroy(instance_)) << "already gone";
}

// Beside the instances', under a name that none of them has.
TEST_F(SnapshotFiles, OfAPoolsBaseAreToldFromThoseOfItsInstances) {
  make();
  const Subject pool = pool_subject(instance_.tenant, instance_.pool);
  const auto begun = files().begin(pool);
  ASSERT_TRUE(begun) << begun.error().message();
  const auto listed = [&](const Subject& whose) -> std::optional<Good> {
    const auto found = files().list();
    const auto at = std::ranges::find(*found, whose, &FoundSnapshot::whose);
    return at == found->end() ? std::nullopt : std::optional(at->good);
  };
  EXPECT_EQ(listed(pool), Good::kNo) << "half made";
  const std::string content(snapshot_file::kHeaderBytes, 'x');
  ASSERT_EQ(write(begun->get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  ASSERT_TRUE(files().keep(pool));
  EXPECT_EQ(listed(pool), Good::kYes);
  EXPECT_EQ(listed(instance_), Good::kYes);
  EXPECT_EQ(content_of(root_ + "/acme/workers/base.snap"), content);
  EXPECT_EQ(files().begin(pool).error().code, Errc::kExists);
  ASSERT_TRUE(files().destroy(pool));
  EXPECT_EQ(listed(pool), std::nullopt);
  EXPECT_EQ(listed(instance_), Good::kYes);
}

}  // namespace
}  // namespace mvm::snapshot
