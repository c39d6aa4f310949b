#include "guest/work.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "tests/guest/guest_places.h"

namespace mvm::guest {
namespace {

class GuestWork : public test::GuestPlaces {
 protected:
  Heartbeat state() const {
    const Fd run(open((top_ / "run").c_str(), O_RDONLY | O_DIRECTORY));
    return state_of_work(run.get());
  }
};

TEST_F(GuestWork, IsStartingUntilItSaysSomething) { EXPECT_EQ(state(), (Heartbeat{State::kStarting, 0})); }

TEST_F(GuestWork, IsWhatIsBusiestOfWhatItSays) {
  put("run/ready", "");
  EXPECT_EQ(state().state, State::kReady);
  put("run/idle", "whatever");
  EXPECT_EQ(state().state, State::kIdle);
  put("run/busy", "");
  EXPECT_EQ(state().state, State::kBusy);
  std::filesystem::remove(top_ / "run/busy");
  EXPECT_EQ(state().state, State::kIdle);
}

TEST_F(GuestWork, SaysSinceWhen) {
  put("run/idle", "");
  timespec times[2] = {{time(nullptr) - 500, 0}, {time(nullptr) - 500, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (top_ / "run/idle").c_str(), times, 0), 0);
  EXPECT_NEAR(state().since, 500, 5);
  times[1].tv_sec = time(nullptr) + 500;
  ASSERT_EQ(utimensat(AT_FDCWD, (top_ / "run/idle").c_str(), times, 0), 0);
  EXPECT_EQ(state().since, 0u) << "a clock that was set back";
}

TEST_F(GuestWork, FollowsNoLink) {
  put("elsewhere", "");
  std::filesystem::create_symlink(top_ / "elsewhere", top_ / "run/busy");
  std::filesystem::create_directory(top_ / "run/idle");
  EXPECT_EQ(state().state, State::kStarting);
}

}  // namespace
}  // namespace mvm::guest
