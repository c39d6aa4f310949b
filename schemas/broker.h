// What agentd (and `mvm`) and hostd say to each other on /run/mvm/hostd.sock, as plain values. FlatBuffers
// (schemas/broker.fbs) only carry it, and the one checked decoder of each message is here: unknown kinds, enums out of range,
// text that is not printable ASCII and anything over its limit do not come out of it.
// Socket: SOCK_SEQPACKET, one message a packet. The number of descriptors that come with a message is exact; one more or one
// less closes the connection. Malformed bytes close it too.
// Proven by: tests/schemas/broker_test.cc, fuzz/broker_request_fuzz.cc, fuzz/broker_event_fuzz.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/ids.h"
#include "policy-lang/text_error.h"
#include "schemas/reading.h"

namespace mvm::wire {

inline constexpr const char* kBrokerSocket = "/run/mvm/hostd.sock";
inline constexpr std::size_t kSignatureBytes = 64;        // Ed25519 (RFC 8032)
inline constexpr std::size_t kMaxRequest = 1024;          // bytes of a request packet; what is long comes as a memfd
inline constexpr std::size_t kMaxEvent = 16 * 1024;       // bytes of an event packet
inline constexpr std::size_t kMaxReason = 1024;           // bytes of `why`, `remedy`, and of an error's `tried` and `on`
inline constexpr std::size_t kMaxHeldLines = 16;          // lines of one subject: at most one of each primitive
inline constexpr std::size_t kMaxReadings = 100;          // of one event; `more` says that another follows

// Three sealed memfds come with it: the plan, the projection (base/sealed.h says what sealed means; at most 1 MiB each), and the bundle
// of envelopes that the plan needs (sealing/bundle.h; of no bytes where it needs none).
enum class Mode : std::uint8_t { kApply, kCheck };
struct Submit {
  Mode mode = Mode::kCheck;
  std::array<std::uint8_t, kSignatureBytes> signature{};  // over the projection's exact bytes
  bool operator==(const Submit&) const = default;
};
struct AskState { bool operator==(const AskState&) const = default; };  // answered by one StateText
struct Watch { bool operator==(const Watch&) const = default; };        // answered by Watching, then events until closed
// Answered by one or more Readings, of every instance whose microVM runs; by Busy, while a plan runs. Guests are asked, too, each for a second.
struct AskReadings { bool operator==(const AskReadings&) const = default; };
inline constexpr std::size_t kSubmitDescriptors = 3;
using Request = std::variant<Submit, AskState, Watch, AskReadings>;
[[nodiscard]] constexpr std::size_t descriptors_of(const Request& request) {
  return std::holds_alternative<Submit>(request) ? kSubmitDescriptors : 0;
}

// The plan verifies. Of a check this is the last event; of an apply the statements follow.
struct Accepted {
  Digest plan;
  std::uint32_t statements = 0;
  bool operator==(const Accepted&) const = default;
};
// It does not; nothing ran. Last event. `in_projection`: the line is one of the projection, not of the plan.
struct Refused {
  lang::Refusal refusal;
  bool in_projection = false;
};
enum class Phase : std::uint8_t {
  kStarted,
  kDone,
  kFailed,     // `error` says why
  kUndone,     // it was done, and undone because a later one of the same subject failed
  kSkipped,    // never started, because an earlier one of the same subject (or of its tenant) failed
};
inline constexpr std::uint8_t kPhases = 5;
struct Progress {
  std::uint32_t index = 0;  // of the statement in the plan, from 0
  std::string line;         // the statement as it stands in the plan
  Phase phase = Phase::kStarted;
  Error error;              // kFailed only
};
// What holds now of a subject whose statements were not all carried out: its lines of the state. One event for each such
// subject, before Finished.
struct Holds {
  std::string subject;
  std::vector<std::string> lines;
  bool operator==(const Holds&) const = default;
};
// Last event of an apply.
struct Finished {
  Digest plan;
  std::uint32_t done = 0;     // statements of the plan that hold
  std::uint32_t failed = 0;   // statements that failed
  std::uint32_t undone = 0;   // done and undone again
  std::uint32_t skipped = 0;
  Digest state;               // digest of the state that holds now
  std::uint64_t generation = 0;
  bool operator==(const Finished&) const = default;
  [[nodiscard]] bool complete() const { return failed == 0 && undone == 0 && skipped == 0; }
};
// One sealed memfd comes with it: the canonical text of the state.
struct StateText {
  Digest state;
  std::uint64_t generation = 0;
  std::vector<std::uint8_t> offer;  // to whom keys are sealed (sealing/offer.h); none where the node has no identity
  bool operator==(const StateText&) const = default;
};
struct Watching { bool operator==(const Watching&) const = default; };
// Watchers only: the microVM of this instance ended without being told to; its jail's line is gone from the state.
struct Ended {
  std::string subject;
  bool operator==(const Ended&) const = default;
};
struct Busy { bool operator==(const Busy&) const = default; };  // another plan is running; ask again. Last event.
struct Failed { Error error; };  // the request could not be dealt with; nothing of it was done. Last event.
// Each is an instance's, none comes twice.
struct Readings {
  std::vector<Reading> readings;
  bool more = false;
  bool operator==(const Readings&) const = default;
};

using Event = std::variant<Accepted, Refused, Progress, Holds, Finished, StateText, Watching, Ended, Busy, Failed, Readings>;
[[nodiscard]] constexpr std::size_t descriptors_of(const Event& event) {
  return std::holds_alternative<StateText>(event) ? 1 : 0;
}

// Encoders cut text at its limit and replace what is not printable ASCII by '?', so what they make always decodes.
[[nodiscard]] std::vector<std::uint8_t> encode(const Request& request);
[[nodiscard]] Result<Request> decode_request(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::vector<std::uint8_t> encode(const Event& event);
[[nodiscard]] Result<Event> decode_event(std::span<const std::uint8_t> bytes);

}  // namespace mvm::wire
