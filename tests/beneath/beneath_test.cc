#include "broker/beneath/beneath.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace mvm {
namespace {

namespace fs = std::filesystem;

class Beneath : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mvm-beneath-test-XXXXXX";
    path_ = mkdtemp(name);
    fd_ = Fd(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override { fs::remove_all(path_); }
  void touch(const std::string& name, const std::string& text = "x") { std::ofstream(path_ + "/" + name) << text; }
  std::string path_;
  Fd fd_;
};

TEST_F(Beneath, FollowsNoSymlinkAndLeavesNoDirectory) {
  fs::create_directories(path_ + "/a/b");
  fs::create_directory_symlink("b", path_ + "/a/link");
  touch("a/b/file");
  EXPECT_TRUE(open_beneath(fd_.get(), "a/b/file", O_RDONLY));
  EXPECT_EQ(open_beneath(fd_.get(), "a/link/file", O_RDONLY).error().sys_errno, ELOOP);
  EXPECT_EQ(open_beneath(fd_.get(), "../etc/passwd", O_RDONLY).error().sys_errno, EXDEV);
  EXPECT_EQ(open_beneath(fd_.get(), "/etc/passwd", O_RDONLY).error().sys_errno, EXDEV);
  EXPECT_EQ(open_absolute(path_ + "/a/link", O_RDONLY).error().sys_errno, ELOOP);
  EXPECT_TRUE(open_absolute(path_ + "/a/b", O_RDONLY));
  EXPECT_EQ(open_absolute("a", O_RDONLY).error().code, Errc::kDenied);
}

TEST_F(Beneath, CrossesNoMount) {
  const Fd root(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_EQ(open_beneath(root.get(), "proc/self/status", O_RDONLY).error().sys_errno, EXDEV);
  EXPECT_TRUE(open_beneath(root.get(), "proc/version", O_RDONLY, Mounts::kCross));
}

TEST_F(Beneath, MakesDirectoriesThatAreRootsAlone) {
  const std::string names[] = {"a", "b"};
  ASSERT_TRUE(make_directories(fd_.get(), names));
  ASSERT_TRUE(make_directories(fd_.get(), names));
  struct stat info{};
  ASSERT_EQ(stat((path_ + "/a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  ASSERT_EQ(chmod((path_ + "/a").c_str(), 0770), 0);
  EXPECT_EQ(make_directories(fd_.get(), names).error().code, Errc::kDenied);
}

TEST_F(Beneath, RefusesADirectoryOfSomeoneElse) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string names[] = {"a"};
  ASSERT_TRUE(make_directories(fd_.get(), names));
  ASSERT_EQ(chown((path_ + "/a").c_str(), 12345, 12345), 0);
  EXPECT_EQ(make_directories(fd_.get(), names).error().code, Errc::kDenied);
}

TEST_F(Beneath, ReadsAtMostSoMuch) {
  touch("file", std::string(100, 'a'));
  EXPECT_EQ(read_file(fd_.get(), "file", 100), std::string(100, 'a'));
  EXPECT_EQ(read_file(fd_.get(), "file", 99).error().code, Errc::kLimit);
}

TEST_F(Beneath, NeverCreatesWhatItWrites) {
  EXPECT_EQ(write_file(fd_.get(), "file", "x").error().sys_errno, ENOENT);
  EXPECT_FALSE(fs::exists(path_ + "/file"));
}

TEST_F(Beneath, RemovesATreeOfEveryKind) {
  fs::create_directories(path_ + "/t/a/b/c");
  fs::create_directories(path_ + "/outside");
  touch("outside/kept");
  touch("t/a/file");
  fs::create_directory_symlink(path_ + "/outside", path_ + "/t/link");
  fs::create_symlink("nowhere", path_ + "/t/a/dangling");
  ASSERT_EQ(mkfifo((path_ + "/t/a/b/fifo").c_str(), 0600), 0);
  fs::permissions(path_ + "/t/a/b/c", fs::perms::none);
  const auto removed = remove_tree(fd_.get(), "t");
  EXPECT_TRUE(removed) << removed.error().message();
  EXPECT_FALSE(fs::exists(path_ + "/t"));
  EXPECT_TRUE(fs::exists(path_ + "/outside/kept"));
  EXPECT_TRUE(remove_tree(fd_.get(), "t"));
}

TEST_F(Beneath, RemovesALinkAndNotWhatItPointsTo) {
  fs::create_directories(path_ + "/outside");
  touch("outside/kept");
  fs::create_directory_symlink("outside", path_ + "/t");
  ASSERT_TRUE(remove_tree(fd_.get(), "t"));
  EXPECT_TRUE(fs::exists(path_ + "/outside/kept"));
  EXPECT_FALSE(fs::is_symlink(path_ + "/t"));
}

// Deeper than descriptors last, and than a path may be long; the names are those that moving up would like to use.
TEST_F(Beneath, RemovesATreeHoweverDeep) {
  constexpr int kDepth = 500;
  ASSERT_EQ(mkdirat(fd_.get(), "t", 0700), 0);
  Fd at(openat(fd_.get(), "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(mkdirat(at.get(), ".0", 0700), 0);
    ASSERT_EQ(mkdirat(at.get(), ".1", 0700), 0);
    at = Fd(openat(at.get(), i % 2 == 0 ? ".0" : ".1", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  at.reset();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{kMaxOpenLevels + 16, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const auto removed = remove_tree(fd_.get(), "t");
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(removed) << removed.error().message();
  EXPECT_FALSE(fs::exists(path_ + "/t"));
}

TEST_F(Beneath, PrunesAsFarAsEmpty) {
  fs::create_directories(path_ + "/a/b/c");
  touch("a/kept");
  const std::string names[] = {"a", "b", "c"};
  prune(fd_.get(), names);
  EXPECT_FALSE(fs::exists(path_ + "/a/b"));
  EXPECT_TRUE(fs::exists(path_ + "/a/kept"));
}

}  // namespace
}  // namespace mvm
