#include "base/poll_timeout.h"

#include <gtest/gtest.h>

namespace mvm {
namespace {

using Clock = std::chrono::steady_clock;

TEST(PollTimeout, IsForEverUntilNothingAndNothingUntilWhatHasCome) {
  EXPECT_EQ(poll_timeout(Clock::time_point::max()), -1);
  EXPECT_EQ(poll_timeout(Clock::now()), 0);
  EXPECT_EQ(poll_timeout(Clock::now() - std::chrono::hours(1)), 0);
}

TEST(PollTimeout, IsAMinuteAtMostAndNeverShort) {
  EXPECT_EQ(poll_timeout(Clock::now() + std::chrono::hours(1)), 60'000);
  const auto due = Clock::now() + std::chrono::seconds(30);
  EXPECT_GE(Clock::now() + std::chrono::milliseconds(poll_timeout(due)), due);
}

}  // namespace
}  // namespace mvm
