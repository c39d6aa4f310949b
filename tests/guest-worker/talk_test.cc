#include "broker/guest/talk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "tests/base/socket_pair.h"

namespace mvm::guest_worker {
namespace {

using guest::Awake;
using guest::FromGuest;
using guest::FromHost;
using guest::Heartbeat;
using guest::Outcome;
using guest::Parked;
using guest::State;
using ::testing::HasSubstr;

// The other end: Firecracker's socket, and the guest behind it, as a test plays them.
class GuestTalk : public ::testing::Test {
 protected:
  GuestTalk() { test::socket_pair(SOCK_STREAM | SOCK_NONBLOCK, guest_, connection_); }
  void begin(Goal goal) {
    talk_.emplace(std::move(connection_), goal, kResume, Clock::now());
    ASSERT_TRUE(talk_->begin());
    EXPECT_EQ(heard(12), "CONNECT 606\n");
  }
  std::string heard(std::size_t most) const {
    std::string text(most, '\0');
    const ssize_t size = recv(guest_.get(), text.data(), text.size(), MSG_DONTWAIT);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
  }
  std::optional<FromHost> asked() const {
    const std::string text = heard(guest::kMessage);
    if (text.size() != guest::kMessage) return std::nullopt;
    return guest::decode_from_host(std::span<const std::uint8_t, guest::kMessage>(reinterpret_cast<const std::uint8_t*>(text.data()), guest::kMessage)).value();
  }
  std::optional<Status> say(const std::string& bytes) {
    EXPECT_EQ(send(guest_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    return read_all();
  }
  std::optional<Status> say(const FromGuest& message) {
    const guest::Packet packet = guest::encode(message);
    return say(std::string(packet.begin(), packet.end()));
  }
  std::optional<Status> read_all() {
    char next = 0;
    while (recv(talk_->fd(), &next, 1, MSG_PEEK | MSG_DONTWAIT) >= 0) {
      if (auto ended = talk_->read_some()) return ended;
    }
    return std::nullopt;
  }
  void greet() { EXPECT_FALSE(say("OK 1073741824\n")); }

  const guest::Resume kResume{5, {1}, {2}};
  Fd guest_, connection_;
  std::optional<Talk> talk_;
};

TEST_F(GuestTalk, ParksAGuest) {
  begin(Goal::kPark);
  EXPECT_FALSE(say("OK 10"));
  EXPECT_FALSE(say("73741824\n"));
  EXPECT_EQ(asked(), (FromHost{1, guest::Prepare{kPrepareTime}}));
  EXPECT_FALSE(say(FromGuest{0, Heartbeat{State::kBusy, 3}}));
  const auto ended = say(FromGuest{1, Parked{Outcome::kDone}});
  ASSERT_TRUE(ended);
  EXPECT_TRUE(*ended);
}

TEST_F(GuestTalk, LetsAGuestGoOnOnlyOnceItIsAnother) {
  begin(Goal::kGoOn);
  greet();
  EXPECT_EQ(asked(), (FromHost{1, kResume}));
  EXPECT_FALSE(asked()) << "no Go before it is awake";
  EXPECT_FALSE(say(FromGuest{1, Awake{Outcome::kDone}}));
  EXPECT_EQ(asked(), (FromHost{2, guest::Go{}}));
  const auto ended = say(FromGuest{2, Heartbeat{State::kReady, 0}});
  ASSERT_TRUE(ended);
  EXPECT_TRUE(*ended);
}

TEST_F(GuestTalk, AsksAGuestHowItIs) {
  begin(Goal::kAsk);
  greet();
  EXPECT_EQ(asked(), (FromHost{1, guest::Ask{}}));
  EXPECT_FALSE(say(FromGuest{0, Heartbeat{State::kBusy, 3}})) << "what nobody asked for";
  const auto ended = say(FromGuest{1, Heartbeat{State::kIdle, 7}});
  ASSERT_TRUE(ended);
  EXPECT_TRUE(*ended);
  EXPECT_EQ(talk_->heard(), (Heartbeat{State::kIdle, 7}));
  EXPECT_EQ(talk_->until() - Clock::now() <= kAskTime, true);
}

TEST_F(GuestTalk, TakesNoOtherAnswerForHowAGuestIs) {
  for (const FromGuest& other : {FromGuest{1, Parked{Outcome::kDone}}, FromGuest{1, Awake{Outcome::kDone}}, FromGuest{2, Heartbeat{State::kIdle, 7}}}) {
    test::socket_pair(SOCK_STREAM | SOCK_NONBLOCK, guest_, connection_);
    begin(Goal::kAsk);
    greet();
    const auto ended = say(other);
    ASSERT_TRUE(ended && !*ended);
    EXPECT_EQ(ended->error().code, Errc::kMalformed);
  }
}

TEST_F(GuestTalk, DoesNotLetAGuestGoOnThatIsNotReseeded) {
  begin(Goal::kGoOn);
  greet();
  EXPECT_TRUE(asked());
  const auto ended = say(FromGuest{1, Awake{Outcome::kNotReseeded}});
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::kDenied);
  EXPECT_THAT(ended->error().message(), HasSubstr("took no entropy"));
  EXPECT_FALSE(asked()) << "no Go";
}

TEST_F(GuestTalk, SaysWhatTheGuestSaysOfItsFailure) {
  begin(Goal::kPark);
  greet();
  const auto ended = say(FromGuest{1, Parked{Outcome::kHookFailed}});
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::kDenied);
  EXPECT_THAT(ended->error().message(), HasSubstr("a program of its image said no"));
}

TEST_F(GuestTalk, TakesNoAnswerToAnythingElse) {
  const auto expect_malformed = [&](Goal goal, const FromGuest& message) {
    test::socket_pair(SOCK_STREAM | SOCK_NONBLOCK, guest_, connection_);
    begin(goal);
    greet();
    const auto ended = say(message);
    ASSERT_TRUE(ended && !*ended);
    EXPECT_EQ(ended->error().code, Errc::kMalformed);
  };
  expect_malformed(Goal::kPark, {2, Parked{Outcome::kDone}});
  expect_malformed(Goal::kPark, {1, Awake{Outcome::kDone}});
  expect_malformed(Goal::kPark, {1, Heartbeat{State::kParked, 0}});
  expect_malformed(Goal::kGoOn, {1, Parked{Outcome::kDone}});
  expect_malformed(Goal::kGoOn, {1, Heartbeat{State::kReady, 0}});
}

TEST_F(GuestTalk, EndsWhereItIsNotTheDaemonThatSpeaks) {
  begin(Goal::kPark);
  greet();
  const auto ended = say(std::string(guest::kMessage, 'x'));
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::kMalformed);
}

TEST_F(GuestTalk, EndsWhereTheGreetingIsNone) {
  for (const char* greeting : {"OK\n", "OK \n", "OK 1a\n", "NO 12\n", "OK 12345678901\n", "\n"}) {
    test::socket_pair(SOCK_STREAM | SOCK_NONBLOCK, guest_, connection_);
    begin(Goal::kPark);
    const auto ended = say(greeting);
    ASSERT_TRUE(ended && !*ended) << greeting;
    EXPECT_EQ(ended->error().code, Errc::kMalformed) << greeting;
    EXPECT_FALSE(asked());
  }
}

TEST_F(GuestTalk, EndsWhereTheGreetingDoesNot) {
  begin(Goal::kPark);
  EXPECT_FALSE(say(std::string(kMaxGreeting - 1, '1')));
  const auto ended = say("1");
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::kMalformed);
}

TEST_F(GuestTalk, HearsAsManyHeartbeatsAsTheLimitSays) {
  begin(Goal::kPark);
  greet();
  for (std::size_t i = 0; i < kMaxUnasked; ++i) ASSERT_FALSE(say(FromGuest{0, Heartbeat{State::kBusy, 0}}));
  const auto ended = say(FromGuest{0, Heartbeat{State::kBusy, 0}});
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::kLimit);
}

TEST_F(GuestTalk, EndsWithItsConnection) {
  begin(Goal::kPark);
  guest_.reset();
  const auto ended = read_all();
  ASSERT_TRUE(ended && !*ended);
  EXPECT_EQ(ended->error().code, Errc::kClosed);
  EXPECT_THAT(ended->error().message(), HasSubstr("reach the guest's daemon"));
}

TEST(GuestResume, IsAnotherEachTimeAndSaysTheTime) {
  const auto one = make_resume(), other = make_resume();
  ASSERT_TRUE(one && other);
  EXPECT_NE(one->generation, other->generation);
  EXPECT_NE(one->entropy, other->entropy);
  EXPECT_NEAR(static_cast<double>(one->realtime) / 1e9, static_cast<double>(time(nullptr)), 5);
}

}  // namespace
}  // namespace mvm::guest_worker
