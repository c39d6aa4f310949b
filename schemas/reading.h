// What can be read of an instance that runs, and the one checked decoder of it: from workers to the supervisor each a part, to agentd the whole.
// Numbers of the kernel's, and of what a guest says one word and one number, which are a tenant's to choose.
// Proven by: tests/schemas/reading_test.cc, fuzz/worker_answer_fuzz.cc, fuzz/broker_event_fuzz.cc.
#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "base/ids.h"

namespace mvm::fbs {
struct Reading;
}

namespace mvm::wire {

// What a guest's daemon says of its work (docs/guest.md). kNothing: nobody was asked, or nobody answered in time.
enum class GuestSays : std::uint8_t { kNothing, kStarting, kReady, kIdle, kBusy, kParked };
inline constexpr std::uint8_t kGuestWords = 6;

struct Frames {
  std::uint64_t sent = 0, received = 0;  // by the guest, and for it, taken or dropped; since its tap was made
  bool operator==(const Frames&) const = default;
};

struct Reading {
  Subject instance = {};   // of the net worker's none: then net and slot say whose tap it is
  std::uint16_t net = 0;
  std::uint32_t slot = 0;  // not 0 where there is no instance
  std::optional<std::uint64_t> cpu = {};     // microseconds that its cgroup has run, VMM included
  std::optional<std::uint64_t> memory = {};  // bytes of its cgroup
  std::optional<Frames> frames = {};
  GuestSays guest = GuestSays::kNothing;
  std::uint32_t since = 0;  // seconds in that state, by the guest; 0 where it says nothing
  bool operator==(const Reading&) const = default;
};

[[nodiscard]] fbs::Reading to_fbs(const Reading& reading);
// kMalformed: no instance and no tap, or both; a word that there is not; a number where there is to be none.
[[nodiscard]] Result<Reading> decode_reading(const fbs::Reading& from);

}  // namespace mvm::wire
