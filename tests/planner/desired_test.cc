#include "planner/desired.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "planner/files.h"
#include "tests/planner/texts.h"

namespace mvm::planner {
namespace {

class DesiredDirectory : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "desired-" + std::to_string(getpid());
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
    pair_ = *generate_key();
    policy_ = test::parsed(lang::Kind::kPolicy, test::policy_text(to_hex(pair_.public_key)));
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void put(const std::string& name, const std::string& text, const std::string& pem) {
    const Signature signature = *sign(pem, text);
    put_raw(name, text, {reinterpret_cast<const char*>(signature.data()), signature.size()});
  }
  void put(const std::string& name, const std::string& text) { put(name, text, pair_.private_pem); }
  void put_raw(const std::string& name, const std::string& text, const std::string& signature) {
    ASSERT_TRUE(replace_file(dir_ + "/" + name, text, 0600));
    ASSERT_TRUE(replace_file(dir_ + "/" + name + ".sig", signature, 0600));
  }
  DesiredScan scan() { return *scan_desired(dir_, policy_); }
  std::string why() {
    const DesiredScan found = scan();
    EXPECT_TRUE(found.good.empty());
    return found.unfit.empty() ? "" : found.unfit[0].why;
  }

  std::string dir_;
  KeyPair pair_;
  lang::Document policy_;
};

const std::string kBody = test::kPrune + test::tenant("acme", 3);

TEST_F(DesiredDirectory, TheHighestGenerationCounts) {
  put("a.projection", test::projection_text(7, kBody));
  put("b.projection", test::projection_text(9, kBody));
  put("c.projection", test::projection_text(8, kBody));
  ASSERT_EQ(scan().good.size(), 1u);
  EXPECT_EQ(scan().good[0].projection.header.generation, 9u);
}

TEST_F(DesiredDirectory, AnotherKeysSignatureIsUnfit) {
  put("a.projection", test::projection_text(1, kBody), generate_key()->private_pem);
  EXPECT_NE(why().find("no coordinator of the policy signed"), std::string::npos);
}

TEST_F(DesiredDirectory, TheSignatureOfWhoSealsKeysIsUnfit) {
  const KeyPair sealer = *generate_key();
  const std::string policy = test::policy_text(to_hex(pair_.public_key));
  policy_ = test::parsed(lang::Kind::kPolicy, policy.substr(0, policy.rfind("end\n")) + "sealer key=ed25519:" + to_hex(sealer.public_key) + "\nend\n");
  put("a.projection", test::projection_text(1, kBody), sealer.private_pem);
  EXPECT_NE(why().find("no coordinator of the policy signed"), std::string::npos);
}

TEST_F(DesiredDirectory, ASignatureOverOtherBytesIsUnfit) {
  const Signature signature = *sign(pair_.private_pem, test::projection_text(1, kBody));
  put_raw("a.projection", test::projection_text(2, kBody), {reinterpret_cast<const char*>(signature.data()), signature.size()});
  EXPECT_NE(why().find("no coordinator of the policy signed"), std::string::npos);
}

TEST_F(DesiredDirectory, AShortOrLongOrMissingSignatureIsUnfit) {
  put_raw("a.projection", test::projection_text(1, kBody), std::string(63, 'x'));
  EXPECT_NE(why().find("not 64 bytes"), std::string::npos);
  put_raw("a.projection", test::projection_text(1, kBody), std::string(65, 'x'));
  EXPECT_NE(why().find("more than 64 bytes"), std::string::npos);
  unlink((dir_ + "/a.projection.sig").c_str());
  EXPECT_NE(why().find("No such file"), std::string::npos);
}

TEST_F(DesiredDirectory, AnotherNodesProjectionIsUnfit) {
  put("a.projection", test::projection_text(1, kBody, "node-8"));
  EXPECT_NE(why().find("it is for node node-8"), std::string::npos);
}

TEST_F(DesiredDirectory, AnUnknownFieldIsUnfitThoughItIsSigned) {
  put("a.projection", test::projection_text(1, "prune tenants=yes pools=yes extra=1\n"));
  EXPECT_NE(why().find("V1"), std::string::npos);
}

TEST_F(DesiredDirectory, SubnetsThatOverlapAreUnfit) {
  std::string other = test::tenant("globex", 4);
  other.replace(other.find("10.240.4.0"), 10, "10.240.3.0");
  put("a.projection", test::projection_text(1, test::kPrune + test::tenant("acme", 3) + other));
  EXPECT_NE(why().find("V3"), std::string::npos);
}

TEST_F(DesiredDirectory, TwoTextsOfOneGenerationAreBothUnfit) {
  put("a.projection", test::projection_text(5, kBody));
  put("b.projection", test::projection_text(5, test::kPrune));
  EXPECT_TRUE(scan().good.empty());
  EXPECT_EQ(scan().unfit.size(), 2u);
}

TEST_F(DesiredDirectory, LinksFifosAndLargeFilesAreNotRead) {
  put("a.projection", test::projection_text(1, kBody));
  std::filesystem::rename(dir_ + "/a.projection", dir_ + "/real");
  std::filesystem::create_symlink(dir_ + "/real", dir_ + "/a.projection");
  EXPECT_FALSE(why().empty());
  unlink((dir_ + "/a.projection").c_str());
  ASSERT_EQ(mkfifo((dir_ + "/a.projection").c_str(), 0600), 0);
  EXPECT_NE(why().find("not a regular file"), std::string::npos);
  unlink((dir_ + "/a.projection").c_str());
  put("a.projection", std::string(lang::kMaxTextBytes + 1, 'x'));
  EXPECT_NE(why().find("more than 1048576 bytes"), std::string::npos);
}

TEST_F(DesiredDirectory, TooManyFilesIsAnError) {
  for (std::size_t i = 0; i <= kMaxDesiredFiles; ++i) put_raw("f" + std::to_string(i) + ".projection", "x", "y");
  EXPECT_FALSE(scan_desired(dir_, policy_));
}

// The kernel's own files say that they are empty.
TEST(Files, AreReadWholeWhereTheirSizeIsNotKnownBefore) {
  const auto text = read_file(AT_FDCWD, "/proc/self/smaps", std::size_t{1} << 20);
  ASSERT_TRUE(text) << text.error().message();
  EXPECT_GT(text->size(), 4096u);
  EXPECT_FALSE(read_file(AT_FDCWD, "/proc/self/smaps", 4096));
}

// agentd's own is 077 in its sandbox, and its status is for anyone to read.
TEST(Files, HaveTheModeThatIsAskedForWhateverTheUmask) {
  const std::string path = ::testing::TempDir() + "mode-" + std::to_string(getpid());
  const mode_t before = umask(077);
  EXPECT_TRUE(replace_file(path, "x", 0644));
  umask(before);
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0644u);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace mvm::planner
