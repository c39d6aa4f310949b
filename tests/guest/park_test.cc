#include "guest/park.h"

#include <unistd.h>

#include <thread>

#include "guest/child.h"
#include "tests/guest/guest_places.h"

namespace mvm::guest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class GuestParks : public test::GuestPlaces {
 protected:
  // Nothing that parking stops is stopped.
  void expect_working() const { EXPECT_EQ(get("work/cgroup.freeze"), "0"); }
};

TEST_F(GuestParks, AsksTheImageFreezesItsWorkAndFlushes) {
  put_witness("prepare.d/20-second");
  put_witness("prepare.d/10-first");
  put_witness("resume.d/10-first");
  ASSERT_EQ(park(places_, seconds(20)), Outcome::kDone);
  EXPECT_EQ(get("order"), "prepare.d/10-first prepare\nprepare.d/20-second prepare\n");
  EXPECT_EQ(get("work/cgroup.freeze"), "1");
  EXPECT_EQ(get("memory/drop_caches"), "3");
  EXPECT_EQ(get("memory/compact_memory"), "1");
  ASSERT_TRUE(unpark(places_));
  expect_working();
  EXPECT_EQ(get("order"), "prepare.d/10-first prepare\nprepare.d/20-second prepare\nresume.d/10-first resume\n");
}

TEST_F(GuestParks, NeedsNeitherProgramsNorACgroup) {
  for (const char* directory : {"prepare.d", "resume.d", "work"}) std::filesystem::remove_all(top_ / directory);
  EXPECT_EQ(park(places_, seconds(20)), Outcome::kDone);
  EXPECT_TRUE(unpark(places_));
}

TEST_F(GuestParks, GoesOnWhereAProgramSaysNo) {
  put_program("prepare.d/10-no", "exit 1");
  put_witness("prepare.d/20-after");
  put_witness("resume.d/10-resume");
  EXPECT_EQ(park(places_, seconds(20)), Outcome::kHookFailed);
  EXPECT_EQ(get("order"), "resume.d/10-resume resume\n") << "what had prepared hears that nothing comes of it";
  expect_working();
}

TEST_F(GuestParks, GoesOnWhereAProgramIsKilled) {
  put_program("prepare.d/10-dies", "kill -9 $$");
  EXPECT_EQ(park(places_, seconds(20)), Outcome::kHookFailed);
}

TEST_F(GuestParks, KillsAProgramThatTakesTooLongAndWhatItStarted) {
  put_program("prepare.d/10-slow", "sleep 300 & echo $! >" + (top_ / "child").string() + "; wait");
  const auto begun = Clock::now();
  EXPECT_EQ(park(places_, milliseconds(300)), Outcome::kTimedOut);
  EXPECT_LT(Clock::now() - begun, seconds(60));
  expect_working();
  const int child = std::stoi(get("child"));
  for (int i = 0; i < 500 && std::filesystem::exists("/proc/" + std::to_string(child) + "/exe"); ++i) usleep(10'000);
  std::error_code gone;
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string(child) + "/exe", gone)) << "what it started is still there";
}

TEST_F(GuestParks, EndsWhatAProgramLeavesBehind) {
  put_program("prepare.d/10-daemon", "sleep 300 & echo $! >" + (top_ / "child").string());
  EXPECT_EQ(park(places_, seconds(20)), Outcome::kDone);
  const int child = std::stoi(get("child"));
  for (int i = 0; i < 500 && std::filesystem::exists("/proc/" + std::to_string(child) + "/exe"); ++i) usleep(10'000);
  std::error_code gone;
  EXPECT_FALSE(std::filesystem::exists("/proc/" + std::to_string(child) + "/exe", gone));
}

TEST_F(GuestParks, RunsNothingThatIsNotRootsAlone) {
  const auto refused = [&](const char* why) {
    put_witness("prepare.d/10-before");
    EXPECT_EQ(park(places_, seconds(20)), Outcome::kHookFailed) << why;
    EXPECT_EQ(get("order"), "") << why << ": none runs, not the ones before it either";
    std::filesystem::remove_all(top_ / "prepare.d");
    std::filesystem::create_directory(top_ / "prepare.d");
  };
  put_program("prepare.d/20", "true");
  std::filesystem::permissions(top_ / "prepare.d/20", std::filesystem::perms(0775));
  refused("its group may write it");
  put_program("prepare.d/20", "true");
  ASSERT_EQ(chown((top_ / "prepare.d/20").c_str(), 1000, 0), 0);
  refused("another owns it");
  std::filesystem::create_symlink("/bin/true", top_ / "prepare.d/20");
  refused("it is a link");
  put("prepare.d/20", "#!/bin/sh\n");
  refused("it cannot be run");
  std::filesystem::create_directory(top_ / "prepare.d/20");
  refused("it is a directory");
}

TEST_F(GuestParks, RunsAsManyProgramsAsTheLimitSays) {
  for (std::size_t i = 0; i < kMaxHooks; ++i) put_program("prepare.d/" + std::to_string(100 + i), "true");
  EXPECT_EQ(park(places_, seconds(60)), Outcome::kDone);
  put_program("prepare.d/one-more", "true");
  EXPECT_EQ(park(places_, seconds(60)), Outcome::kHookFailed);
}

TEST_F(GuestParks, GoesOnWhereTheWorkDoesNotStop) {
  put("work/cgroup.events", "populated 1\nfrozen 0\n");
  EXPECT_EQ(park(places_, milliseconds(300)), Outcome::kTimedOut);
  expect_working();
  std::filesystem::remove(top_ / "work/cgroup.events");
  EXPECT_EQ(park(places_, seconds(20)), Outcome::kNotFrozen);
  expect_working();
}

TEST_F(GuestParks, WaitsUntilTheWorkHasStopped) {
  put("work/cgroup.events", "populated 1\nfrozen 0\n");
  std::jthread later([&] {
    usleep(200'000);
    put("work/cgroup.events", "populated 1\nfrozen 1\n");
  });
  EXPECT_EQ(park(places_, seconds(20)), Outcome::kDone);
}

TEST_F(GuestParks, GoesOnAlthoughAProgramOfResumeFails) {
  ASSERT_EQ(park(places_, seconds(20)), Outcome::kDone);
  put_program("resume.d/10-no", "exit 3");
  EXPECT_FALSE(unpark(places_));
  expect_working();
}

}  // namespace
}  // namespace mvm::guest
