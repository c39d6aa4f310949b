// What hostd and a guest say to each other over vsock: messages of 128 bytes, and nothing else (docs/guest.md). No message names a program, a
// file or an address. Both sides hold the other for hostile: a message that is not of the form below ends the connection.
// Pure. Proven by: tests/guest/wire_test.cc, fuzz/guest_wire_fuzz.cc.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <span>
#include <variant>

#include "base/error.h"

namespace mvm::guest {

inline constexpr std::uint32_t kPort = 606;  // below 1024: in the guest, nobody without CAP_NET_BIND_SERVICE listens in our place (vsock(7))
inline constexpr std::size_t kMessage = 128;
inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::chrono::milliseconds kMaxPrepare{600'000};

using Packet = std::array<std::uint8_t, kMessage>;
using GenerationId = std::array<std::uint8_t, 16>;
using Entropy = std::array<std::uint8_t, 32>;

// What a guest says of itself; of its work it knows what its work has said by files.
enum class State : std::uint8_t { kStarting = 1, kReady, kIdle, kBusy, kParked };
// How far parking, or waking, came.
enum class Outcome : std::uint8_t {
  kDone = 1,
  kHookFailed,   // prepare: one of the image's programs said no, or could not be run
  kTimedOut,     // prepare: not done in time
  kNotFrozen,    // prepare: the work did not stop
  kNotReseeded,  // resume: the kernel did not take the entropy
  kClockStands,  // resume: the clock could not be set
  kFailed,       // anything else
};

// The host's.
struct Ask {  // answered by a Heartbeat
  bool operator==(const Ask&) const = default;
};
struct Prepare {  // answered by Parked
  std::chrono::milliseconds timeout{};  // 1 to kMaxPrepare
  bool operator==(const Prepare&) const = default;
};
struct Resume {  // answered by Awake; the guest's work stands until Go
  std::uint64_t realtime = 0;  // nanoseconds since the epoch; not 0
  GenerationId generation{};   // another after each wake; not all zero
  Entropy entropy{};           // not all zero
  bool operator==(const Resume&) const = default;
};
struct Go {  // the host has heard that the guest is awake: its work goes on. Answered by a Heartbeat
  bool operator==(const Go&) const = default;
};
// The guest's.
struct Heartbeat {
  State state = State::kStarting;
  std::uint32_t since = 0;  // seconds in that state
  bool operator==(const Heartbeat&) const = default;
};
struct Parked {
  Outcome outcome = Outcome::kFailed;
  bool operator==(const Parked&) const = default;
};
struct Awake {
  Outcome outcome = Outcome::kFailed;
  bool operator==(const Awake&) const = default;
};

struct FromHost {
  std::uint64_t sequence = 0;  // not 0
  std::variant<Ask, Prepare, Resume, Go> body;
  bool operator==(const FromHost&) const = default;
};
struct FromGuest {
  std::uint64_t sequence = 0;  // of what it answers; 0: a heartbeat that nobody asked for
  std::variant<Heartbeat, Parked, Awake> body;
  bool operator==(const FromGuest&) const = default;
};

[[nodiscard]] Packet encode(const FromHost& message);
[[nodiscard]] Packet encode(const FromGuest& message);
// kMalformed, with what is wrong: another magic, version or kind, a value out of its bounds, a byte that has no meaning and is not zero.
[[nodiscard]] Result<FromHost> decode_from_host(std::span<const std::uint8_t, kMessage> packet);
[[nodiscard]] Result<FromGuest> decode_from_guest(std::span<const std::uint8_t, kMessage> packet);

}  // namespace mvm::guest
