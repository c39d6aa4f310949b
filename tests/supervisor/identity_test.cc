#include "broker/supervisor/identity.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "broker/supervisor/files.h"
#include "broker/supervisor/signature.h"
#include "tests/supervisor/directory.h"
#include "tests/supervisor/scene.h"

namespace mvm::supervisor {
namespace {

// The private key of test::Key.
constexpr std::array<std::uint8_t, 32> kSeed = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
                                                0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};

class AnIdentity : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mvm-identity-XXXXXX";
    directory = mkdtemp(name);
  }
  void TearDown() override {
    umount2(directory.c_str(), MNT_DETACH);
    std::filesystem::remove_all(directory);
  }
  void put(std::size_t size = kSeed.size(), mode_t mode = 0400) const {
    const std::string path = directory + "/" + kIdentityName;
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(kSeed.data()), static_cast<std::streamsize>(std::min(size, kSeed.size())));
    std::filesystem::resize_file(path, size);
    chmod(path.c_str(), mode);
  }
  std::string directory;
};

TEST_F(AnIdentity, SignsAnOfferThatItsPublicKeyKnows) {
  put();
  auto identity = Identity::read(directory).value();
  ASSERT_TRUE(identity);
  const sealing::Offer offer{*Name::from("node-7"), 3, sealing::PublicKey{1, 2}};
  const auto bytes = std::move(*identity).sign(offer).value();
  const auto read = sealing::read_offer(bytes).value();
  EXPECT_EQ(read.offer, offer);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), sealing::kSignedOfferBytes);
  const Digest key = test::Key().public_key();
  EXPECT_TRUE(is_signed_by_one({&key, 1}, text, read.signature));
}

TEST_F(AnIdentity, NeedNotBeThere) {
  EXPECT_FALSE(Identity::read("").value());
  EXPECT_FALSE(Identity::read(directory).value());
  EXPECT_FALSE(Identity::read(directory + "/nothing").value());
}

TEST_F(AnIdentity, IsRefusedWhereOthersMayReadItOrItIsNoKey) {
  put(32, 0440);
  EXPECT_EQ(Identity::read(directory).error().code, Errc::kDenied);
  put(31);
  EXPECT_EQ(Identity::read(directory).error().code, Errc::kMalformed);
  put(33);
  EXPECT_EQ(Identity::read(directory).error().code, Errc::kMalformed);
}

TEST_F(AnIdentity, IsRefusedWhereItIsAnothersOrNoFile) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  put();
  const std::string path = directory + "/" + kIdentityName;
  ASSERT_EQ(chown(path.c_str(), 65534, 0), 0);
  EXPECT_EQ(Identity::read(directory).error().code, Errc::kDenied);
  std::filesystem::remove(path);
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  EXPECT_EQ(Identity::read(directory).error().code, Errc::kDenied);
}

TEST_F(AnIdentity, IsRefusedWhereItIsALink) {
  put();
  std::filesystem::rename(directory + "/" + kIdentityName, directory + "/elsewhere");
  std::filesystem::create_symlink(directory + "/elsewhere", directory + "/" + kIdentityName);
  EXPECT_FALSE(Identity::read(directory));
}

TEST_F(AnIdentity, IsHiddenWithItsFileSystem) {
  if (mount("none", directory.c_str(), "ramfs", 0, nullptr) != 0) GTEST_SKIP() << "may not mount";
  put();
  std::ofstream(directory + "/another") << "credential";
  ASSERT_TRUE(hide_credentials(directory));
  EXPECT_FALSE(std::filesystem::exists(directory + "/" + kIdentityName));
  EXPECT_FALSE(std::filesystem::exists(directory + "/another")) << "and all that is beside it";
}

// What a link leads to may be anybody's: nothing is unmounted there.
TEST_F(AnIdentity, IsNotHiddenByWayOfALink) {
  if (mount("none", directory.c_str(), "ramfs", 0, nullptr) != 0) GTEST_SKIP() << "may not mount";
  std::ofstream(directory + "/another") << "file";
  const std::string link = directory + "-link";
  std::filesystem::create_symlink(directory, link);
  (void)hide_credentials(link);
  EXPECT_TRUE(std::filesystem::exists(directory + "/another"));
  std::filesystem::remove(link);
}

TEST_F(AnIdentity, IsRemovedWhereItHasNoFileSystemOfItsOwn) {
  put();
  ASSERT_TRUE(hide_credentials(directory));
  EXPECT_FALSE(std::filesystem::exists(directory + "/" + kIdentityName));
  EXPECT_TRUE(hide_credentials(directory));
  EXPECT_TRUE(hide_credentials(""));
  EXPECT_TRUE(hide_credentials(directory + "/nothing"));
}

TEST(Starts, AreCountedAndNeverTwiceTheSame) {
  test::Directory journal;
  EXPECT_EQ(next_start(journal.open()).value(), 1u);
  EXPECT_EQ(next_start(journal.open()).value(), 2u);
  EXPECT_EQ(next_start(journal.open()).value(), 3u);
  for (const char* spoilt : {"x", "", "3x", "-1", "0", "18446744073709551615", "99999999999999999999"}) {
    ASSERT_TRUE(write_file(journal.open(), "start", spoilt, Keep::kOverCrash));
    EXPECT_EQ(next_start(journal.open()).error().code, Errc::kCorrupt) << spoilt;
  }
  ASSERT_TRUE(write_file(journal.open(), "start", std::string(33, '1'), Keep::kOverCrash));
  EXPECT_FALSE(next_start(journal.open())) << "longer than any: not the first start, for all that";
  ASSERT_TRUE(write_file(journal.open(), "start", "18446744073709551614", Keep::kOverCrash));
  EXPECT_EQ(next_start(journal.open()).value(), UINT64_MAX);
}

}  // namespace
}  // namespace mvm::supervisor
