#include "drive/files.h"

#include <gtest/gtest.h>

#include "base/digest.h"

namespace mvm::drive {
namespace {

std::span<const std::uint8_t> bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
std::string text(std::span<const std::uint8_t> from) { return {from.begin(), from.end()}; }

Errc refusal(std::string_view content) {
  const auto read = read_files(bytes(content));
  EXPECT_FALSE(read) << "it was taken";
  return read ? Errc::kSystem : read.error().code;
}

using namespace std::literals;

const std::string kTwo = "MVMFILE1\0\2\1a\0\0\0\3one\5b.pem\0\0\0\0"s;

TEST(DriveFiles, AreReadInTheOneWayTheyAreWritten) {
  const auto files = read_files(bytes(kTwo));
  ASSERT_TRUE(files) << files.error().message();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].name, "a");
  EXPECT_EQ(text((*files)[0].bytes), "one");
  EXPECT_EQ((*files)[1].name, "b.pem");
  EXPECT_TRUE((*files)[1].bytes.empty());
  EXPECT_EQ(text(write_files({(*files)[1], (*files)[0]}).value()), kTwo) << "whatever the order in which they are given";
}

TEST(DriveFiles, RefuseEveryPrefixOfThemselvesAndAnythingBehind) {
  for (std::size_t size = 0; size < kTwo.size(); ++size) EXPECT_EQ(refusal(kTwo.substr(0, size)), Errc::kMalformed) << size;
  EXPECT_EQ(refusal(kTwo + "x"), Errc::kMalformed);
}

TEST(DriveFiles, RefuseNamesThatAreNoNamesOrNotInOrder) {
  EXPECT_EQ(refusal("MVMFILE2\0\0"s), Errc::kMalformed);
  EXPECT_EQ(refusal("MVMFILE1\0\2\1b\0\0\0\0\1a\0\0\0\0"s), Errc::kMalformed);
  EXPECT_EQ(refusal("MVMFILE1\0\2\1a\0\0\0\0\1a\0\0\0\0"s), Errc::kMalformed) << "twice";
  EXPECT_EQ(refusal("MVMFILE1\0\1\0\0\0\0\0"s), Errc::kMalformed) << "no name";
  for (const std::string_view name : {"."sv, ".."sv, ".hidden"sv, "-x"sv, "a/b"sv, "a b"sv, "a\0b"sv, "a\n"sv, "\xc3\xa4"sv, "lost+found"sv}) {
    EXPECT_FALSE(is_file_name(name)) << name;
    EXPECT_EQ(write_files({{name, {}}}).error().code, Errc::kMalformed) << name;
  }
}

TEST(DriveFiles, KeepTheirLimits) {
  const std::string longest(kMaxFileName, 'n'), longer(kMaxFileName + 1, 'n');
  EXPECT_TRUE(write_files({{longest, {}}}));
  EXPECT_EQ(write_files({{longer, {}}}).error().code, Errc::kMalformed);
  std::vector<std::string> names;
  for (std::size_t i = 0; i <= kMaxFiles; ++i) names.push_back("f" + std::to_string(i));
  std::vector<File> files;
  for (const std::string& name : names) files.push_back({name, {}});
  EXPECT_EQ(write_files(files).error().code, Errc::kLimit);
  files.pop_back();
  EXPECT_TRUE(write_files(files));
  const std::string most(kMaxContent - kMagic.size() - 2 - 1 - 1 - 4, 'x');
  EXPECT_EQ(write_files({{"a", bytes(most)}}).value().size(), kMaxContent);
  EXPECT_EQ(write_files({{"a", bytes(most + "x")}}).error().code, Errc::kLimit);
}

}  // namespace
}  // namespace mvm::drive
