#include "base/one_word.h"

#include <gtest/gtest.h>

namespace mvm {
namespace {

TEST(OneWord, IsOfGraphicAscii) {
  EXPECT_EQ(one_word("/mnt/a-b_c.d~!"), "/mnt/a-b_c.d~!");
  EXPECT_EQ(one_word("a; mounted at /etc"), "a\\x3b\\x20mounted\\x20at\\x20/etc");
  EXPECT_EQ(one_word(std::string_view("\x1b[2J\n\0\x7f\xff", 8)), "\\x1b[2J\\x0a\\x00\\x7f\\xff");
  EXPECT_EQ(one_word(""), "");
}

TEST(OneWord, IsCutAtItsLimitAndNotWithinAByte) {
  EXPECT_EQ(one_word(std::string(kMaxWord, 'a')), std::string(kMaxWord, 'a'));
  EXPECT_EQ(one_word(std::string(kMaxWord + 1, 'a')), std::string(kMaxWord, 'a') + "...");
  EXPECT_EQ(one_word(std::string(kMaxWord - 3, 'a') + "\n"), std::string(kMaxWord - 3, 'a') + "...");
  EXPECT_EQ(one_word(std::string(kMaxWord - 4, 'a') + "\n"), std::string(kMaxWord - 4, 'a') + "\\x0a");
}

}  // namespace
}  // namespace mvm
