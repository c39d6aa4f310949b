#include "guest/session.h"

#include <gtest/gtest.h>

#include <string>

namespace mvm::guest {
namespace {

// Writes down what it was made to do.
class Played final : public Machine {
 public:
  Outcome park(std::chrono::milliseconds timeout) override {
    done += "park " + std::to_string(timeout.count()) + ";";
    return parks;
  }
  Outcome wake(const Resume&) override {
    done += "wake;";
    return wakes;
  }
  void go() override { done += "go;"; }
  Heartbeat work() override { return {State::kBusy, 7}; }

  std::string done;
  Outcome parks = Outcome::kDone, wakes = Outcome::kDone;
};

class GuestSession : public ::testing::Test {
 protected:
  Result<FromGuest> say(decltype(FromHost::body) body) { return session_.answer({++sequence_, std::move(body)}); }
  State state() { return std::get<Heartbeat>(session_.heartbeat().body).state; }
  void park() { ASSERT_TRUE(say(kPrepare)); }

  const Prepare kPrepare{std::chrono::milliseconds(500)};
  const Resume kResume{1, {1}, {1}};
  Played played_;
  Session session_{played_};
  std::uint64_t sequence_ = 0;
};

TEST_F(GuestSession, SaysHowItsWorkIs) {
  EXPECT_EQ(session_.heartbeat(), (FromGuest{0, Heartbeat{State::kBusy, 7}}));
  EXPECT_EQ(say(Ask{}).value(), (FromGuest{1, Heartbeat{State::kBusy, 7}}));
}

TEST_F(GuestSession, ParksWakesAndGoesOnInThatOrder) {
  EXPECT_EQ(say(kPrepare).value(), (FromGuest{1, Parked{Outcome::kDone}}));
  EXPECT_EQ(state(), State::kParked);
  EXPECT_EQ(say(kResume).value(), (FromGuest{2, Awake{Outcome::kDone}}));
  EXPECT_EQ(state(), State::kParked) << "until the host has heard of it";
  EXPECT_EQ(say(Go{}).value(), (FromGuest{3, Heartbeat{State::kBusy, 7}}));
  EXPECT_EQ(played_.done, "park 500;wake;go;");
}

TEST_F(GuestSession, DoesNotGoOnWithoutHavingBeenResumed) {
  park();
  EXPECT_EQ(say(Go{}).error().code, Errc::kDenied);
  EXPECT_EQ(state(), State::kParked);
  EXPECT_EQ(played_.done, "park 500;");
}

TEST_F(GuestSession, DoesNotGoOnWhereResumingFailed) {
  park();
  played_.wakes = Outcome::kNotReseeded;
  EXPECT_EQ(say(kResume).value(), (FromGuest{2, Awake{Outcome::kNotReseeded}}));
  EXPECT_EQ(say(Go{}).error().code, Errc::kDenied) << "its random numbers may be another guest's";
  played_.wakes = Outcome::kDone;
  EXPECT_TRUE(say(kResume));
  EXPECT_TRUE(say(Go{}));
  EXPECT_EQ(state(), State::kBusy);
}

TEST_F(GuestSession, ThatDidNotParkGoesOn) {
  played_.parks = Outcome::kHookFailed;
  EXPECT_EQ(say(kPrepare).value(), (FromGuest{1, Parked{Outcome::kHookFailed}}));
  EXPECT_EQ(state(), State::kBusy);
  EXPECT_TRUE(say(Go{}));
  EXPECT_EQ(played_.done, "park 500;") << "there is nothing to go on from";
}

TEST_F(GuestSession, AnswersAgainWhatWasNotHeard) {
  park();
  EXPECT_EQ(say(kPrepare).value(), (FromGuest{2, Parked{Outcome::kDone}}));
  EXPECT_EQ(played_.done, "park 500;") << "it is parked once";
  EXPECT_TRUE(say(kResume));
  EXPECT_TRUE(say(kResume)) << "each wake has its own entropy";
  EXPECT_TRUE(say(Go{}));
  EXPECT_TRUE(say(Go{}));
  EXPECT_EQ(played_.done, "park 500;wake;wake;go;");
}

// Else a snapshot of a guest that has been resumed, but not let go, would wake without new random numbers.
TEST_F(GuestSession, IsToBeResumedAnewWhereItIsParkedAgainBeforeItWentOn) {
  park();
  EXPECT_TRUE(say(kResume));
  EXPECT_TRUE(say(kPrepare));
  EXPECT_EQ(say(Go{}).error().code, Errc::kDenied);
}

TEST_F(GuestSession, GoesOnWhereNobodyHeardThatItParked) {
  park();
  session_.answer_was_lost();
  EXPECT_EQ(state(), State::kBusy);
  EXPECT_EQ(played_.done, "park 500;go;");
  session_.answer_was_lost();
  EXPECT_EQ(played_.done, "park 500;go;");
}

}  // namespace
}  // namespace mvm::guest
