#include "images/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "tests/images/image_directory.h"

namespace mvm::images {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Uses kNothing = []() -> Result<std::set<Digest>> { return std::set<Digest>{}; };

class ImageStore : public ::testing::Test {
 protected:
  test::ImageDirectory directory_;
  const Digest digest_ = directory_.build();
  const Store store_ = directory_.store();

  Result<Imported> import() { return store_.import(directory_.open_built().get()); }
  std::vector<std::string> entries() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_.state() / "images")) names.push_back(entry.path().filename());
    return names;
  }
  void expect_refused(Errc code, const std::string& why) {
    const auto imported = import();
    ASSERT_FALSE(imported) << why;
    EXPECT_EQ(imported.error().code, code) << imported.error().message();
    EXPECT_THAT(imported.error().message(), HasSubstr(why));
    EXPECT_THAT(entries(), IsEmpty()) << "nothing is left of it";
  }
  Fate collect(const Uses& uses, std::chrono::seconds age = std::chrono::seconds(0)) {
    const auto collected = store_.collect(uses, age);
    EXPECT_TRUE(collected) << collected.error().message();
    EXPECT_EQ(collected->size(), 1u);
    return collected->front().fate;
  }
};

TEST_F(ImageStore, FilesAnImageUnderTheDigestOfItsManifestAndMakesItReadOnly) {
  const auto imported = import();
  ASSERT_TRUE(imported) << imported.error().message();
  EXPECT_EQ(imported->was, Was::kNew);
  EXPECT_EQ(imported->digest, sha256(test::get(directory_.built() / "manifest")));
  EXPECT_THAT(store_.list().value(), ElementsAre(digest_));
  for (const char* name : {"manifest", "kernel", "rootfs", "verity"}) {
    struct stat status {};
    ASSERT_EQ(stat((directory_.filed(digest_) / name).c_str(), &status), 0) << name;
    EXPECT_EQ(status.st_mode, S_IFREG | 0444u) << name;
  }
  EXPECT_EQ(std::filesystem::status(directory_.filed(digest_)).permissions(), std::filesystem::perms(0555));
  EXPECT_EQ(test::get(directory_.filed(digest_) / "rootfs"), test::get(directory_.built() / "rootfs"));
  EXPECT_TRUE(store_.verify(digest_));
}

TEST_F(ImageStore, LeavesAnImageThatIsThereAsItIs) {
  ASSERT_TRUE(import());
  struct stat before {}, after {};
  ASSERT_EQ(stat(directory_.filed(digest_).c_str(), &before), 0);
  const auto again = import();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->was, Was::kThere);
  ASSERT_EQ(stat(directory_.filed(digest_).c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_EQ(entries().size(), 1u);
}

TEST_F(ImageStore, RefusesAKernelThatIsNotTheManifests) {
  test::put(directory_.built() / "kernel", "b kernel");
  expect_refused(Errc::kCorrupt, "find the kernel that the manifest names");
  test::put(directory_.built() / "kernel", "a kernel and more");
  expect_refused(Errc::kCorrupt, "find the kernel as long");
  std::filesystem::remove(directory_.built() / "kernel");
  expect_refused(Errc::kNotFound, "kernel");
}

TEST_F(ImageStore, RefusesARootfsThatIsNotTheManifests) {
  std::string rootfs = test::get(directory_.built() / "rootfs");
  rootfs[rootfs.size() - 1] = 'x';
  test::put(directory_.built() / "rootfs", rootfs);
  expect_refused(Errc::kCorrupt, "find the root hash that the manifest names");
  test::put(directory_.built() / "rootfs", rootfs + std::string(4096, '\0'));
  expect_refused(Errc::kCorrupt, "find the rootfs as long");
}

TEST_F(ImageStore, RefusesAManifestThatIsNone) {
  const std::string text = test::get(directory_.built() / "manifest");
  test::put(directory_.built() / "manifest", text + "\n");
  expect_refused(Errc::kMalformed, "goes on after its last line");
  test::put(directory_.built() / "manifest", std::string(lang::kMaxManifestBytes + 1, 'x'));
  expect_refused(Errc::kLimit, "manifest");
  std::filesystem::remove(directory_.built() / "manifest");
  expect_refused(Errc::kNotFound, "manifest");
}

TEST_F(ImageStore, FollowsNoSymlink) {
  std::filesystem::rename(directory_.built() / "kernel", directory_.built() / "elsewhere");
  std::filesystem::create_symlink("elsewhere", directory_.built() / "kernel");
  expect_refused(Errc::kSystem, "kernel");
}

TEST_F(ImageStore, RefusesARootfsOfNoWholeBlocks) {
  test::put(directory_.built() / "rootfs", std::string(4096 * 2 + 1, 'r'));
  EXPECT_EQ(describe(directory_.open_built().get(), {}).error().code, Errc::kMalformed);
  test::put(directory_.built() / "rootfs", std::string(4096, 'r'));
  EXPECT_EQ(describe(directory_.open_built().get(), {}).error().code, Errc::kLimit);
}

TEST_F(ImageStore, ClearsWhatACrashLeft) {
  std::filesystem::create_directories(directory_.state() / "images" / ".new");
  test::put(directory_.state() / "images" / ".new" / "rootfs", "half");
  std::filesystem::create_directories(directory_.state() / "images" / (".old-" + to_hex(digest_.bytes)));
  ASSERT_TRUE(import());
  EXPECT_THAT(entries(), ElementsAre(to_hex(digest_.bytes)));
}

TEST_F(ImageStore, FindsAnyByteThatIsNotWhatTheDigestSays) {
  ASSERT_TRUE(import());
  for (const char* name : {"manifest", "kernel", "rootfs", "verity"}) {
    const auto path = directory_.filed(digest_) / name;
    std::filesystem::permissions(path, std::filesystem::perms(0644));
    const std::string whole = test::get(path);
    std::string broken = whole;
    broken[broken.size() / 2] = static_cast<char>(broken[broken.size() / 2] ^ 1);
    test::put(path, broken);
    EXPECT_FALSE(store_.verify(digest_)) << name;
    test::put(path, whole);
    EXPECT_TRUE(store_.verify(digest_)) << name;
  }
  EXPECT_EQ(store_.verify(sha256("another")).error().code, Errc::kNotFound);
}

TEST_F(ImageStore, FindsAnImageUnderANameThatIsNotItsOwn) {
  ASSERT_TRUE(import());
  const Digest other = sha256("another");
  std::filesystem::rename(directory_.filed(digest_), directory_.filed(other));
  EXPECT_EQ(store_.verify(other).error().code, Errc::kCorrupt);
}

TEST_F(ImageStore, CollectsWhatNothingNames) {
  ASSERT_TRUE(import());
  EXPECT_EQ(collect(kNothing), Fate::kCollected);
  EXPECT_THAT(entries(), IsEmpty());
  ASSERT_TRUE(import()) << "and it can be had again";
}

TEST_F(ImageStore, KeepsWhatIsNamedOrYoung) {
  ASSERT_TRUE(import());
  EXPECT_EQ(collect([&]() -> Result<std::set<Digest>> { return std::set{digest_}; }), Fate::kUsed);
  EXPECT_EQ(collect(kNothing, std::chrono::hours(1)), Fate::kYoung);
  EXPECT_TRUE(store_.verify(digest_));
}

// Right after a second began, the coarse clock is still in the one before, and a file may bear the new one.
TEST_F(ImageStore, AgesByTheClockThatFileSystemsStampWith) {
  ASSERT_TRUE(import());
  timespec now{};
  do ASSERT_EQ(clock_gettime(CLOCK_REALTIME, &now), 0);
  while (now.tv_nsec > 50'000);
  const timespec made[2] = {now, now};
  ASSERT_EQ(utimensat(AT_FDCWD, directory_.filed(digest_).c_str(), made, 0), 0);
  EXPECT_EQ(collect(kNothing), Fate::kCollected);
}

TEST_F(ImageStore, KeepsWhatHostdHoldsForAPlanThatRuns) {
  ASSERT_TRUE(import());
  const Fd held(open(directory_.filed(digest_).c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(flock(held.get(), LOCK_SH), 0);
  EXPECT_EQ(collect(kNothing), Fate::kUsed);
}

// A plan may have ended with this image in the state between the question and the lock.
TEST_F(ImageStore, AsksWhatIsUsedOnceNothingCanBeginToUseIt) {
  ASSERT_TRUE(import());
  bool was_locked = false;
  const Uses uses = [&]() -> Result<std::set<Digest>> {
    const Fd other(open(directory_.filed(digest_).c_str(), O_RDONLY | O_DIRECTORY));
    was_locked = flock(other.get(), LOCK_SH | LOCK_NB) != 0;
    return std::set<Digest>{};
  };
  EXPECT_EQ(collect(uses), Fate::kCollected);
  EXPECT_TRUE(was_locked);
}

TEST_F(ImageStore, CollectsNothingWhereItCannotTellWhatIsUsed) {
  ASSERT_TRUE(import());
  EXPECT_FALSE(store_.collect([]() -> Result<std::set<Digest>> { return fail(Errc::kMalformed, "read"); }, std::chrono::seconds(0)));
  EXPECT_TRUE(store_.verify(digest_));
}

TEST_F(ImageStore, RefusesADirectoryThatOthersMayWrite) {
  std::filesystem::permissions(directory_.state() / "images", std::filesystem::perms(0777));
  EXPECT_EQ(Store::open(directory_.state()).error().code, Errc::kDenied);
}

}  // namespace
}  // namespace mvm::images
