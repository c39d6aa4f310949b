#include "broker/jail/balloon.h"

#include <gtest/gtest.h>

namespace mvm::jail {
namespace {

TEST(BalloonStatistics, AreWhatFirecrackerPrints) {
  const auto statistics = balloon_statistics(
      R"({"target_pages":8192,"actual_pages":1024,"target_mib":32,"actual_mib":4,"swap_in":0,"free_memory":9,"total_memory":67108864,"available_memory":50331648})");
  ASSERT_TRUE(statistics);
  EXPECT_EQ(*statistics, (BalloonStatistics{.actual_mib = 4, .available = 48u << 20}));
}

TEST(BalloonStatistics, OfAGuestWithoutTheDriverSayNothingOfItsMemory) {
  const auto statistics = balloon_statistics(R"({"target_pages":0,"actual_pages":0,"target_mib":0,"actual_mib":0})");
  ASSERT_TRUE(statistics);
  EXPECT_FALSE(statistics->available);
}

TEST(BalloonStatistics, AreNothingElse) {
  for (const char* body : {"", "{}", R"({"actual_mib":-1})", R"({"actual_mib":4,"available_memory":-1})", R"({"actual_mib":4,"available_memory":18446744073709551616})"}) {
    EXPECT_FALSE(balloon_statistics(body)) << body;
  }
}

TEST(InflatedMib, IsWhatIsAvailableLessWhatAGuestKeeps) {
  EXPECT_EQ(inflated_mib(48u << 20, 64), 32u);
  EXPECT_EQ(inflated_mib((48u << 20) - 1, 64), 31u);
  EXPECT_EQ(inflated_mib(512u << 20, 1024), 448u) << "a sixteenth of it";
}

TEST(InflatedMib, IsNothingWhereNoMoreIsAvailableThanAGuestKeeps) {
  EXPECT_EQ(inflated_mib(0, 64), 0u);
  EXPECT_EQ(inflated_mib(16u << 20, 64), 0u);
  EXPECT_EQ(inflated_mib(UINT64_MAX, 16), 0u);
  EXPECT_EQ(inflated_mib(UINT64_MAX, 0), 0u);
}

TEST(InflatedMib, IsNeverMoreThanTheMemoryLessWhatAGuestKeeps) {
  for (const std::uint64_t available : {std::uint64_t{64} << 20, std::uint64_t{65} << 20, std::uint64_t{1} << 52, UINT64_MAX}) EXPECT_EQ(inflated_mib(available, 64), 48u);
}

}  // namespace
}  // namespace mvm::jail
