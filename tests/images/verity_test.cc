#include "images/verity.h"

#include <gtest/gtest.h>

#include <sys/wait.h>

#include "tests/images/image_directory.h"

namespace mvm::images {
namespace {

int run(const std::string& command) {
  const int status = std::system(command.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class Verity : public ::testing::Test {
 protected:
  test::ImageDirectory directory_;
  const Digest digest_ = directory_.build();
  const Described image_ = read_described(directory_.open_built().get()).value();
  const std::filesystem::path rootfs_ = directory_.built() / "rootfs", tree_ = directory_.built() / "verity";

  Fd open_file(const std::filesystem::path& path, int flags) { return Fd(open(path.c_str(), flags, 0600)); }
  void make() {
    const Fd rootfs = open_file(rootfs_, O_RDONLY), tree = open_file(tree_, O_RDWR | O_CREAT);
    ASSERT_EQ(make_tree(rootfs.get(), tree.get(), image_.manifest.rootfs.blocks, {1, 2, 3}).value(), image_.manifest.rootfs.root);
  }
  Status check(const Digest& root) {
    const Fd rootfs = open_file(rootfs_, O_RDONLY), tree = open_file(tree_, O_RDONLY);
    return check_tree(rootfs.get(), tree.get(), image_.manifest.rootfs.blocks, root);
  }
  void flip(const std::filesystem::path& path, std::size_t at) {
    std::string bytes = test::get(path);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ 1);
    test::put(path, bytes);
  }
};

TEST_F(Verity, IsWhatVeritysetupSays) {
  make();
  const std::string root = to_hex(image_.manifest.rootfs.root.bytes);
  EXPECT_EQ(run("veritysetup verify " + rootfs_.string() + " " + tree_.string() + " " + root), 0);
  EXPECT_NE(run("veritysetup verify " + rootfs_.string() + " " + tree_.string() + " 00" + root.substr(2) + " 2>/dev/null"), 0);
  EXPECT_EQ(run("veritysetup format --salt=- " + rootfs_.string() + " " + (directory_.built() / "theirs").string() + " | grep -q '" + root + "'"), 0);
}

TEST_F(Verity, HasAsManyBlocksAsTheLanguageSays) {
  make();
  EXPECT_EQ(std::filesystem::file_size(tree_), (1 + lang::hash_blocks(300)) * lang::kVerityBlock);
}

TEST_F(Verity, IsMadeOfTheSameBytesEachTime) {
  make();
  const std::string first = test::get(tree_);
  std::filesystem::remove(tree_);
  make();
  EXPECT_EQ(test::get(tree_), first);
}

TEST_F(Verity, FindsOneFlippedBitOfTheRootfsOrOfTheTree) {
  make();
  ASSERT_TRUE(check(image_.manifest.rootfs.root));
  Digest other = image_.manifest.rootfs.root;
  other.bytes[31] ^= 1;
  EXPECT_EQ(check(other).error().code, Errc::kCorrupt);
  for (const std::size_t at : {std::size_t{0}, std::size_t{299 * 4096 + 4095}, std::size_t{60 * 4096}}) {
    flip(rootfs_, at);
    const auto found = check(image_.manifest.rootfs.root);
    ASSERT_FALSE(found) << at;
    EXPECT_EQ(found.error().code, Errc::kCorrupt) << found.error().message();
    flip(rootfs_, at);
  }
  flip(tree_, 4096 + 40);
  EXPECT_EQ(check(image_.manifest.rootfs.root).error().code, Errc::kCorrupt);
}

// It is for people; whoever changes it changes nothing that we read.
TEST_F(Verity, DoesNotBelieveTheSuperblock) {
  make();
  for (std::size_t at = 0; at < 512; at += 8) flip(tree_, at);
  EXPECT_TRUE(check(image_.manifest.rootfs.root));
}

}  // namespace
}  // namespace mvm::images
