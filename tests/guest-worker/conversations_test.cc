#include "broker/guest/conversations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "tests/base/socket_pair.h"

namespace mvm::guest_worker {
namespace {

using guest::FromGuest;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Subject instance(std::uint32_t id) { return instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{id}); }

wire::Task telling(std::uint64_t seq, std::uint32_t id, std::uint64_t to = lang::kParked) {
  wire::Task task;
  task.seq = seq;
  task.op = wire::Op::kMove;
  task.statement.sign = lang::Sign::kMove;
  task.statement.word = lang::Word::kGuest;
  task.statement.subject = instance(id);
  task.statement.numbers = {to == lang::kParked ? lang::kAwake : lang::kParked, to};
  return task;
}

// The other ends: the guests, as a test plays them.
class GuestConversations : public ::testing::Test {
 protected:
  // The guest's end of a connection that the jail worker has given.
  Fd meet(std::uint32_t id) {
    Fd guest, connection;
    test::socket_pair(SOCK_STREAM | SOCK_NONBLOCK, guest, connection);
    EXPECT_TRUE(all_.connected({instance(id), std::move(connection)}));
    return guest;
  }
  static void say(const Fd& guest, const std::string& bytes) {
    ASSERT_EQ(send(guest.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  static void parks(const Fd& guest) {
    const guest::Packet packet = guest::encode(FromGuest{1, guest::Parked{guest::Outcome::kDone}});
    say(guest, "OK 1\n" + std::string(packet.begin(), packet.end()));
  }
  static std::string heard(const Fd& guest) {
    std::string text(4096, '\0');
    const ssize_t size = recv(guest.get(), text.data(), text.size(), 0);
    text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
    return text;
  }
  std::vector<wire::Answer> listen(Clock::time_point now = Clock::now()) {
    std::vector<wire::Answer> answers;
    for (int i = 0; i < 200; ++i) {
      std::vector<pollfd> polled;
      all_.add_to(polled);
      if (poll(polled.data(), polled.size(), 0) < 0) ADD_FAILURE();
      std::ranges::move(all_.advance(polled, now), std::back_inserter(answers));
    }
    return answers;
  }
  Conversations all_;
};

TEST_F(GuestConversations, GoOnSideBySideAndEndEachForItself) {
  const Fd first = meet(1), second = meet(2), third = meet(3);
  for (const std::uint32_t id : {1u, 2u, 3u}) EXPECT_FALSE(all_.begin(telling(10 + id, id), Clock::now()));
  EXPECT_EQ(heard(second), "CONNECT 606\n");
  parks(second);
  auto answers = listen();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].seq, 12u);
  EXPECT_TRUE(answers[0].ok);
  say(third, "nonsense\n");
  parks(first);
  answers = listen();
  ASSERT_THAT(answers, SizeIs(2));
  EXPECT_TRUE(answers[0].ok);
  EXPECT_FALSE(answers[1].ok);
  EXPECT_EQ(answers[1].error.code, Errc::kMalformed);
  EXPECT_EQ(all_.due(), Clock::time_point::max());
}

TEST_F(GuestConversations, TellHowAGuestIs) {
  const Fd idle = meet(1), silent = meet(2);
  for (const std::uint32_t id : {1u, 2u}) {
    wire::Task asking = telling(10 + id, id);
    asking.op = wire::Op::kAsk;
    EXPECT_FALSE(all_.begin(asking, Clock::now()));
  }
  const guest::Packet packet = guest::encode(FromGuest{1, guest::Heartbeat{guest::State::kBusy, 9}});
  say(idle, "OK 1\n" + std::string(packet.begin(), packet.end()));
  auto answers = listen();
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].seq, 11u);
  EXPECT_EQ(answers[0].readings, (std::vector<wire::Reading>{{.instance = instance(1), .guest = wire::GuestSays::kBusy, .since = 9}}));
  EXPECT_THAT(listen(), IsEmpty());
  answers = listen(Clock::now() + kAskTime);
  ASSERT_THAT(answers, SizeIs(1)) << "who says nothing is waited for no longer";
  EXPECT_FALSE(answers[0].ok);
  EXPECT_THAT(answers[0].readings, IsEmpty());
}

TEST_F(GuestConversations, EndByTheirTime) {
  const Fd guest = meet(1);
  const auto begun = Clock::now();
  EXPECT_FALSE(all_.begin(telling(7, 1), begun));
  EXPECT_EQ(all_.due(), begun + kTalkTime);
  EXPECT_THAT(listen(begun + kTalkTime - std::chrono::milliseconds(1)), IsEmpty());
  const auto answers = listen(begun + kTalkTime);
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(answers[0].error.code, Errc::kTimeout);
}

TEST_F(GuestConversations, NeedAConnectionEach) {
  const auto answer = all_.begin(telling(7, 1), Clock::now());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->seq, 7u);
  EXPECT_EQ(answer->error.code, Errc::kNotFound);
  const Fd guest = meet(1);
  EXPECT_FALSE(all_.begin(telling(8, 1), Clock::now()));
  EXPECT_EQ(all_.begin(telling(9, 1), Clock::now())->error.code, Errc::kNotFound) << "one is for one task";
}

TEST_F(GuestConversations, TakeTheNewestConnection) {
  const Fd older = meet(1), newer = meet(1);
  EXPECT_FALSE(all_.begin(telling(7, 1), Clock::now()));
  EXPECT_EQ(heard(older), "") << "closed";
  EXPECT_EQ(heard(newer), "CONNECT 606\n");
}

TEST_F(GuestConversations, KeepNoMoreConnectionsThanTheirLimit) {
  std::vector<Fd> guests;
  for (std::uint32_t id = 0; id < kMaxConnected; ++id) guests.push_back(meet(id));
  EXPECT_EQ(all_.connected({instance(1000), Fd()}).error().code, Errc::kLimit);
  const Fd again = meet(0);
  EXPECT_EQ(heard(guests[0]), "") << "in the place of another of its own";
}

TEST_F(GuestConversations, RunNothingElse) {
  const Fd guest = meet(1);
  wire::Task other = telling(7, 1);
  other.op = wire::Op::kConnect;
  EXPECT_EQ(all_.begin(other, Clock::now())->error.code, Errc::kUnsupported);
  other = telling(7, 1);
  other.statement.word = lang::Word::kJail;
  EXPECT_EQ(all_.begin(other, Clock::now())->error.code, Errc::kUnsupported);
}

TEST_F(GuestConversations, EndWithTheGuest) {
  Fd guest = meet(1);
  guest.reset();
  const auto now = all_.begin(telling(7, 1), Clock::now());
  const auto answers = listen();
  EXPECT_EQ(now.has_value() + answers.size(), 1u);
  EXPECT_FALSE(now ? now->ok : answers.at(0).ok);
}

}  // namespace
}  // namespace mvm::guest_worker
