// Who has a device open, as far as a mount table tells; a file system in memory has a device number, too. Needs root.
#include "broker/storage/closing.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/one_word.h"
#include "tests/sandbox/child.h"

namespace mvm::storage {
namespace {

namespace fs = std::filesystem;

class Holders : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    root_ = testing::TempDir() + "holders-" + std::to_string(getpid());
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  // In a mount namespace of its own, with a file system at `root`/first, and the same one at each of the others.
  static std::string said_of(const std::string& root, const std::vector<std::string>& names) {
    MUST(unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    MUST(mount("none", root.c_str(), "tmpfs", 0, nullptr) == 0);
    for (const std::string& name : names) {
      MUST(fs::create_directory(root + "/" + name));
      if (name == names.front()) MUST(mount("none", (root + "/" + name).c_str(), "tmpfs", 0, nullptr) == 0);
      else MUST(mount((root + "/" + names.front()).c_str(), (root + "/" + name).c_str(), nullptr, MS_BIND, nullptr) == 0);
    }
    struct stat info {};
    MUST(stat((root + "/" + names.front()).c_str(), &info) == 0);
    return who_holds(info.st_dev, "none");
  }
  std::string root_;
};

TEST_F(Holders, AreWhereItIsMounted) {
  EXPECT_TRUE(test::worked(test::in_child([&] { MUST(said_of(root_, {"a", "b"}) == "; mounted at " + one_word(root_ + "/a") + "; mounted at " + one_word(root_ + "/b")); })));
}

TEST_F(Holders, AreOneWordHoweverTheyAreCalled) {
  EXPECT_TRUE(test::worked(test::in_child([&] {
    const std::string said = said_of(root_, {"\x1b]0;x\x07"});
    MUST(said.find('\x1b') == std::string::npos && said.find("\\x1b]0\\x3bx\\x07") != std::string::npos);
    MUST(std::ranges::count(said, ';') == 1);
  })));
}

TEST_F(Holders, AreNotMoreThanALimit) {
  const auto with = [&](std::size_t count) {
    return test::worked(test::in_child([&] {
      std::vector<std::string> names;
      for (std::size_t i = 0; i < count; ++i) names.push_back(std::string(200, 'n') + std::to_string(i));
      const std::string said = said_of(root_, names);
      MUST(said.size() <= kMaxHoldersSaid * (kMaxWord + 20) + 20);
      MUST(said.ends_with("; and 1 more") == (count == kMaxHoldersSaid + 1));
    }));
  };
  EXPECT_TRUE(with(kMaxHoldersSaid));
  EXPECT_TRUE(with(kMaxHoldersSaid + 1));
}

TEST_F(Holders, AreNoneOfADeviceThatThereIsNot) { EXPECT_EQ(who_holds(makedev(4095, 1 << 19), "none"), ""); }

}  // namespace
}  // namespace mvm::storage
