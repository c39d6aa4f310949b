#include "guest/serve.h"

#include <gtest/gtest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#include <thread>

#include "guest/work.h"
#include "tests/guest/guest_places.h"

namespace mvm::guest {
namespace {

using std::chrono::seconds;

class Played final : public Machine {
 public:
  explicit Played(int run) : run_(run) {}
  Outcome park(std::chrono::milliseconds) override {
    if (slow) usleep(300'000);
    return Outcome::kDone;
  }
  Outcome wake(const Resume&) override { return Outcome::kDone; }
  void go() override { ++gone; }
  Heartbeat work() override { return state_of_work(run_); }
  std::atomic<bool> slow = false;
  std::atomic<int> gone = 0;

 private:
  int run_;
};

// The daemon's loop in a thread, and a host that is this test.
class GuestServes : public test::GuestPlaces {
 protected:
  GuestServes() {
    address_.sun_family = AF_UNIX;
    (top_ / "socket").string().copy(address_.sun_path, sizeof address_.sun_path - 1);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 0);
    EXPECT_EQ(listen(listener_.get(), 4), 0);
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) EXPECT_TRUE(server_.step());
    });
  }
  ~GuestServes() override {
    thread_.request_stop();
    const Fd knock = connect_to_it();  // it may wait for as long as nobody comes
    thread_.join();
  }
  Fd connect_to_it() const {
    Fd host(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{20, 0};
    setsockopt(host.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(connect(host.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_), 0);
    return host;
  }
  static void say(const Fd& host, const FromHost& message) {
    const Packet packet = encode(message);
    EXPECT_EQ(send(host.get(), packet.data(), packet.size(), MSG_NOSIGNAL), static_cast<ssize_t>(packet.size()));
  }
  // kClosed where it has closed the connection.
  static Result<FromGuest> hear(const Fd& host) {
    Packet packet{};
    const ssize_t size = recv(host.get(), packet.data(), packet.size(), MSG_WAITALL);
    if (size <= 0) return fail(Errc::kClosed, "hear");
    return decode_from_guest(packet);
  }
  // The next that answers `sequence`.
  static Result<FromGuest> answer(const Fd& host, std::uint64_t sequence) {
    for (;;) {
      auto heard = hear(host);
      if (!heard || heard->sequence == sequence) return heard;
    }
  }
  static State next_state(const Fd& host) {
    const auto heard = hear(host);
    return heard ? std::get<Heartbeat>(heard->body).state : State{};
  }

  const Fd listener_{socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  sockaddr_un address_{};
  const Fd run_{open((top_ / "run").c_str(), O_RDONLY | O_DIRECTORY)};
  const Result<Fd> work_ = watch_work(top_ / "run");
  Played played_{run_.get()};
  Session session_{played_};
  Server server_{listener_.get(), work_->get(), session_, VMADDR_CID_HOST};
  std::jthread thread_;
};

TEST_F(GuestServes, BeatsAtOnceAndWhenTheWorkSaysSomethingElse) {
  const Fd host = connect_to_it();
  EXPECT_EQ(next_state(host), State::kStarting);
  put("run/ready", "");
  while (next_state(host) != State::kReady) {
  }
  std::filesystem::rename(top_ / "run/ready", top_ / "run/idle");
  while (next_state(host) != State::kIdle) {
  }
  SUCCEED() << "each came without being asked for";
}

TEST_F(GuestServes, BeatsNowAndThen) {
  const Fd host = connect_to_it();
  EXPECT_EQ(next_state(host), State::kStarting);
  EXPECT_EQ(next_state(host), State::kStarting);
}

TEST_F(GuestServes, AnswersByteByByteToo) {
  const Fd host = connect_to_it();
  const Packet packet = encode(FromHost{77, Ask{}});
  for (const std::uint8_t byte : packet) ASSERT_EQ(send(host.get(), &byte, 1, MSG_NOSIGNAL), 1);
  EXPECT_EQ(answer(host, 77).value().sequence, 77u);
}

TEST_F(GuestServes, ClosesOnWhatIsMalformed) {
  const Fd host = connect_to_it();
  const Packet zeros{};
  ASSERT_EQ(send(host.get(), zeros.data(), zeros.size(), MSG_NOSIGNAL), static_cast<ssize_t>(zeros.size()));
  EXPECT_EQ(answer(host, 1).error().code, Errc::kClosed);
  const Fd again = connect_to_it();
  EXPECT_EQ(next_state(again), State::kStarting) << "and serves the next";
}

TEST_F(GuestServes, ClosesOnWhatIsOutOfOrder) {
  const Fd host = connect_to_it();
  say(host, {1, Prepare{seconds(1)}});
  EXPECT_EQ(answer(host, 1).value().body, (decltype(FromGuest::body){Parked{Outcome::kDone}}));
  say(host, {2, Go{}});
  EXPECT_EQ(answer(host, 2).error().code, Errc::kClosed);
}

TEST_F(GuestServes, HasOneHostTheNewest) {
  const Fd old = connect_to_it();
  EXPECT_EQ(next_state(old), State::kStarting);
  // Half a message of the old one is no part of the new one's first.
  ASSERT_EQ(send(old.get(), "half", 4, MSG_NOSIGNAL), 4);
  const Fd host = connect_to_it();
  say(host, {5, Ask{}});
  EXPECT_EQ(answer(host, 5).value().sequence, 5u);
  EXPECT_EQ(answer(old, 5).error().code, Errc::kClosed);
}

TEST_F(GuestServes, GoesOnWhereItsHostGaveUpWhileItParked) {
  played_.slow = true;
  Fd host = connect_to_it();
  EXPECT_EQ(next_state(host), State::kStarting);
  say(host, {1, Prepare{seconds(1)}});
  usleep(50'000);
  host.reset();
  for (int i = 0; i < 500 && played_.gone == 0; ++i) usleep(10'000);
  EXPECT_EQ(played_.gone, 1);
}

TEST_F(GuestServes, StaysParkedWhereItsHostGoesOnceItHasHeard) {
  Fd host = connect_to_it();
  say(host, {1, Prepare{seconds(1)}});
  ASSERT_TRUE(answer(host, 1));
  host = connect_to_it();
  EXPECT_EQ(next_state(host), State::kParked) << "as after a wake";
  say(host, {2, Resume{1, {1}, {1}}});
  ASSERT_TRUE(answer(host, 2));
  EXPECT_EQ(played_.gone, 0);
  say(host, {3, Go{}});
  ASSERT_TRUE(answer(host, 3));
  EXPECT_EQ(played_.gone, 1);
}

}  // namespace
}  // namespace mvm::guest
