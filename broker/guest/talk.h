// hostd's side of the wire to a guest's daemon (docs/guest.md), for one statement: a connection through Firecracker's vsock that is made for it and ends
// with it. What comes is a tenant's: of it nothing is taken but whether the guest did as it was told.
// A state machine that never waits, for while one guest takes its time, others are spoken to. Owns its connection.
// Proven by: tests/guest-worker/talk_test.cc, fuzz/guest_talk_fuzz.cc.
#pragma once

#include <array>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "base/fd.h"
#include "guest/wire.h"

namespace mvm::guest_worker {

using Clock = std::chrono::steady_clock;

inline constexpr std::size_t kMaxGreeting = 32;      // bytes: "OK <number>\n" of Firecracker's docs/vsock.md
inline constexpr std::size_t kMaxUnasked = 256;      // heartbeats that may come between two answers
inline constexpr std::chrono::milliseconds kPrepareTime{60'000};  // what a guest is given for parking
inline constexpr std::chrono::milliseconds kTalkTime{80'000};     // and what it takes at most, answers and resume's programs included
inline constexpr std::chrono::milliseconds kAskTime{1'000};       // what a guest is given to say how it is

enum class Goal : std::uint8_t { kPark, kGoOn, kAsk };

// What a guest that goes on is given: a fresh one for each.
[[nodiscard]] Result<guest::Resume> make_resume();

class Talk {
 public:
  // `connection`: a non-blocking stream to the microVM's vsock; `resume` is used where it is to go on.
  Talk(Fd connection, Goal goal, const guest::Resume& resume, Clock::time_point now)
      : connection_(std::move(connection)), goal_(goal), resume_(resume), until_(now + (goal == Goal::kAsk ? kAskTime : kTalkTime)) {}

  [[nodiscard]] int fd() const { return connection_.get(); }
  [[nodiscard]] Clock::time_point until() const { return until_; }

  // Asks for the daemon's port. Once, before anything else.
  [[nodiscard]] Status begin();
  // When it is readable: nothing while it goes on, else how it ended. kDenied: the guest says that it could not, and why. kMalformed, kLimit: it
  // is not our daemon that speaks, or not sensibly. kClosed: it went away, or there is no daemon.
  [[nodiscard]] std::optional<Status> read_some();
  // What it said of itself, once it has been asked and that ended well.
  [[nodiscard]] const guest::Heartbeat& heard() const { return heard_; }

 private:
  enum class Stage : std::uint8_t { kGreeting, kParked, kAwake, kGone, kAsked };

  [[nodiscard]] std::optional<Status> read_greeting();
  [[nodiscard]] std::optional<Status> take(const guest::FromGuest& message);
  [[nodiscard]] Status ask(Stage next, guest::FromHost message);

  Fd connection_;
  Goal goal_;
  guest::Resume resume_;
  Clock::time_point until_;
  Stage stage_ = Stage::kGreeting;
  std::uint64_t sequence_ = 0;
  std::size_t unasked_ = 0;
  guest::Heartbeat heard_;
  guest::Packet packet_{};
  std::size_t have_ = 0;  // bytes of packet_
};

}  // namespace mvm::guest_worker
