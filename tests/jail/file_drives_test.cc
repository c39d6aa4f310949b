// Drives that are files: found by their instance, given to its uid, bound into its jail and nowhere else, and never to be written by it.
#include "broker/jail/file_drives.h"

#include "tests/jail/jail_fixture.h"

namespace mvm::jail {
namespace {

class FileDrives : public JailFixture {
 protected:
  void SetUp() override {
    if (real()) GTEST_SKIP() << "the doubled guest is asked what it reads";
    JailFixture::SetUp();
    if (IsSkipped()) return;
    fs::create_directory(state_ + "/drives");
    write("secrets", "the secrets of acme");
    write("config", "the configuration  ");
  }
  [[nodiscard]] std::string path_of(const std::string& kind) const { return state_ + "/drives/acme.workers.a3f7b2c1." + kind; }
  void write(const std::string& kind, const std::string& content) const { std::ofstream(path_of(kind)) << content << std::string(4096 - content.size(), '\0'); }
  wire::Answer make_with(wire::DriveSet drives) {
    anchor();
    auto made = task(wire::Op::kMake, lang::Word::kJail);
    made.place.drives = drives;
    return run(made);
  }
  [[nodiscard]] std::string in_its_namespace(const std::string& name) const { return "/proc/" + std::to_string(members().front()) + "/root/" + name; }
};

TEST_F(FileDrives, AreReadByTheGuestAndWrittenByNobodyInTheJail) {
  const auto made = make_with(wire::kSecretsDrive | wire::kConfigDrive);
  ASSERT_TRUE(made.ok) << made.error.message();
  EXPECT_EQ(ask_guest("read secrets 0 19"), "the secrets of acme");
  EXPECT_EQ(ask_guest("read config 0 19"), "the configuration  ");
  EXPECT_THAT(ask_guest("write secrets 0 changed"), testing::StartsWith("not written"));
  struct stat info {};
  ASSERT_EQ(stat(path_of("secrets").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kUid);
  EXPECT_EQ(info.st_mode & 07777, 0460u) << "not even its owner may write";
  // As root, in the VMM's mount namespace: the mount is what refuses it.
  EXPECT_EQ(open(in_its_namespace("secrets").c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(chmod(in_its_namespace("secrets").c_str(), 0666), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(fs::file_size(root_path() + "/secrets"), 0u) << "outside of it there is an empty file";
  ASSERT_TRUE(unmake().ok);
  EXPECT_EQ(content_of(path_of("secrets")).substr(0, 19), "the secrets of acme") << "to wipe it is the storage worker's";
}

TEST_F(FileDrives, AreThoseThatStandAndNoOther) {
  ASSERT_TRUE(make_with(wire::kConfigDrive).ok);
  EXPECT_EQ(ask_guest("read config 0 19"), "the configuration  ");
  EXPECT_EQ(ask_guest("read secrets 0 19"), "no such drive");
  EXPECT_FALSE(fs::exists(in_its_namespace("secrets")));
}

TEST_F(FileDrives, AreGivenToTheNextJailOfTheirInstanceAsWell) {
  ASSERT_TRUE(make_with(wire::kSecretsDrive).ok);
  ASSERT_TRUE(unmake().ok);
  ASSERT_TRUE(make_with(wire::kSecretsDrive).ok);
  EXPECT_EQ(ask_guest("read secrets 0 19"), "the secrets of acme");
}

TEST_F(FileDrives, ThatAreNotThereKeepTheJailFromBeingMade) {
  fs::remove(path_of("secrets"));
  const auto made = make_with(wire::kSecretsDrive);
  EXPECT_EQ(made.error.code, Errc::kNotFound) << made.error.message();
  EXPECT_FALSE(fs::exists(state_ + "/jails")) << "nothing of it is left";
}

TEST_F(FileDrives, AreNothingButFiles) {
  fs::remove(path_of("secrets"));
  ASSERT_EQ(mkfifo(path_of("secrets").c_str(), 0600), 0);
  EXPECT_EQ(make_with(wire::kSecretsDrive).error.code, Errc::kDenied);
  fs::remove(path_of("secrets"));
  fs::create_symlink(path_of("config"), path_of("secrets"));
  EXPECT_FALSE(make_with(wire::kSecretsDrive).ok);
  struct stat info {};
  ASSERT_EQ(stat(path_of("config").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 0u) << "what a link leads to is not given away";
}

}  // namespace
}  // namespace mvm::jail
