#include "drive/build.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace mvm::drive {
namespace {

using ::testing::HasSubstr;

std::span<const std::uint8_t> bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (const std::size_t got = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, got);
  const int status = pclose(pipe);
  return out + (WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "" : "\nfailed");
}

class Drive : public ::testing::Test {
 protected:
  const std::string path_ = "/tmp/mvm-drive-" + std::to_string(getpid());
  std::vector<std::uint8_t> drive_ = std::vector<std::uint8_t>(kDriveBytes, 0xff);
  void TearDown() override { std::filesystem::remove(path_); }
  void make(const std::vector<File>& files, const Look& look = {kSecretsLabel, sha256("content"), kSecretsMode}) {
    const auto built = build(files, look, drive_);
    ASSERT_TRUE(built) << built.error().message();
    std::ofstream(path_, std::ios::binary).write(reinterpret_cast<const char*>(drive_.data()), static_cast<std::streamsize>(drive_.size()));
  }
  std::string debugfs(const std::string& command) { return output_of("debugfs -R '" + command + "' " + path_); }
  void expect_sound() {
    const std::string said = output_of("e2fsck -fn " + path_);
    EXPECT_THAT(said, ::testing::Not(HasSubstr("failed"))) << said;
    EXPECT_THAT(said, ::testing::Not(HasSubstr("WARNING"))) << said;
  }
};

TEST_F(Drive, IsWhatE2fsckAndDebugfsSay) {
  const std::string large(40'001, 'L');
  make({{"api-key", bytes("hunter2")}, {"empty", {}}, {"large.bin", bytes(large)}});
  expect_sound();
  EXPECT_THAT(debugfs("cat api-key"), HasSubstr("hunter2"));
  EXPECT_THAT(debugfs("cat large.bin"), HasSubstr(large));
  EXPECT_THAT(debugfs("stat api-key"), HasSubstr("Mode:  0400"));
  EXPECT_THAT(debugfs("stat api-key"), HasSubstr("User:     0   Group:     0"));
  EXPECT_THAT(debugfs("stat empty"), HasSubstr("Size: 0"));
  EXPECT_THAT(output_of("dumpe2fs -h " + path_), HasSubstr("Filesystem volume name:   secrets"));
}

TEST_F(Drive, HasTheSameBytesEachTimeAndNoTime) {
  make({{"a", bytes("one")}, {"b", bytes("two")}});
  const auto first = drive_;
  std::ranges::fill(drive_, std::uint8_t{0xaa});
  make({{"a", bytes("one")}, {"b", bytes("two")}});
  EXPECT_EQ(drive_, first);
  EXPECT_THAT(output_of("TZ=UTC dumpe2fs -h " + path_), ::testing::Not(HasSubstr(" 20")));
}

TEST_F(Drive, HoldsTheMostThatThereMayBe) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kMaxFiles; ++i) names.push_back(std::to_string(10 + i) + std::string(kMaxFileName - 2, 'n'));
  const std::string share((kMaxContent - kMagic.size() - 2) / kMaxFiles - 5 - kMaxFileName, 's');
  std::vector<File> files;
  for (const std::string& name : names) files.push_back({name, bytes(share)});
  ASSERT_TRUE(write_files(files));
  make(files);
  expect_sound();
  EXPECT_THAT(debugfs("cat " + names.back()), HasSubstr(share));
  const std::string one(kMaxContent, 'o');
  make({{"one", bytes(one)}});
  expect_sound();
}

TEST_F(Drive, OfNothingIsOne) {
  make({}, {kConfigLabel, {}, kConfigMode});
  expect_sound();
}

TEST_F(Drive, RefusesWhatDoesNotFit) {
  const std::string more(kMaxContent + 1, 'x');
  EXPECT_EQ(build(std::vector<File>{{"more", bytes(more)}}, {kConfigLabel, {}, kConfigMode}, drive_).error().code, Errc::kLimit);
  EXPECT_EQ(build(std::vector<File>(kMaxFiles + 1), {kConfigLabel, {}, kConfigMode}, drive_).error().code, Errc::kLimit);
  EXPECT_EQ(build({}, {kConfigLabel, {}, kConfigMode}, std::span(drive_).first(kBlock)).error().code, Errc::kLimit);
}

}  // namespace
}  // namespace mvm::drive
