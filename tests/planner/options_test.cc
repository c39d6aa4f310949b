#include "planner/options.h"

#include <gtest/gtest.h>

#include <vector>

namespace mvm::planner {
namespace {

using std::chrono::seconds;

std::optional<Options> parsed(std::vector<const char*> arguments) { return parse_options(arguments); }

TEST(Options, LetNobodyRestUnlessTheySaySo) {
  for (const auto& idle : {parsed({})->idle, parsed({"--once"})->idle}) {
    EXPECT_EQ(idle.warm_after, seconds(0));
    EXPECT_EQ(idle.sleep_after, seconds(0));
    EXPECT_EQ(idle.pressure, 0u);
  }
  const IdleSettings idle = parsed({"--idle"})->idle;
  EXPECT_EQ(idle.warm_after, seconds(300));
  EXPECT_EQ(idle.sleep_after, seconds(900));
  EXPECT_EQ(idle.pressure, 10u);
  EXPECT_EQ(idle.awake_for, seconds(60));
}

TEST(Options, HaveTimesOnlyForThoseWhoMayRest) {
  EXPECT_FALSE(parsed({"--idle-warm", "5"}));
  EXPECT_FALSE(parsed({"--idle-sleep", "0"}));
  const IdleSettings idle = parsed({"--idle-warm", "20", "--idle-sleep", "2592000", "--idle", "--idle-pressure", "100"})->idle;
  EXPECT_EQ(idle.warm_after, seconds(20));
  EXPECT_EQ(idle.sleep_after, seconds(2592000));
  EXPECT_EQ(idle.pressure, 100u);
  EXPECT_EQ(idle.awake_for, seconds(20)) << "no longer than what it would take to rest";
  EXPECT_EQ(parsed({"--idle", "--idle-warm", "0", "--idle-sleep", "30"})->idle.awake_for, seconds(30));
  EXPECT_EQ(parsed({"--idle", "--idle-warm", "0", "--idle-sleep", "0"})->idle.awake_for, seconds(60));
}

TEST(Options, AreRefusedOutOfTheirBoundsUnknownOrCut) {
  EXPECT_FALSE(parsed({"--idle", "--idle-sleep", "2592001"}));
  EXPECT_FALSE(parsed({"--idle", "--idle-pressure", "101"}));
  for (const char* number : {"", "-1", "1x", "0x10", " 1"}) EXPECT_FALSE(parsed({"--idle", "--idle-warm", number})) << number;
  EXPECT_FALSE(parsed({"--idle", "--idle-warm"}));
  EXPECT_FALSE(parsed({"--desired"}));
  EXPECT_FALSE(parsed({"--rest", "1"}));
  EXPECT_EQ(parsed({"--listen", "", "--desired", "/d"})->config.listen, "");
}

}  // namespace
}  // namespace mvm::planner
