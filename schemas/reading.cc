#include "schemas/reading.h"

#include "policy-lang/table.h"
#include "schemas/reading_generated.h"
#include "schemas/statement_codec.h"

namespace mvm::wire {
namespace {

constexpr std::uint8_t kHasCpu = 1, kHasMemory = 2, kHasFrames = 4, kHasAll = 7;

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "decode a reading", what); }

}  // namespace

fbs::Reading to_fbs(const Reading& reading) {
  const Frames frames = reading.frames.value_or(Frames{});
  const int has = (reading.cpu ? kHasCpu : 0) | (reading.memory ? kHasMemory : 0) | (reading.frames ? kHasFrames : 0);
  return {to_fbs(reading.instance), reading.cpu.value_or(0), reading.memory.value_or(0), frames.sent, frames.received, reading.since,
          reading.slot, reading.net, static_cast<std::uint8_t>(has), static_cast<std::uint8_t>(reading.guest)};
}

Result<Reading> decode_reading(const fbs::Reading& from) {
  const auto subject = decode_subject(from.subject());
  if (!subject) return forward(subject.error());
  const bool is_tap = subject->kind == SubjectKind::kNone;
  if (!is_tap && subject->kind != SubjectKind::kInstance) return malformed("of what is no instance");
  if (is_tap ? from.slot() == 0 : from.slot() != 0 || from.net() != 0) return malformed("of no one, or of two");
  if (from.net() > lang::kMaxNet) return malformed("a net id out of range");
  if (from.guest() >= kGuestWords) return malformed("a word that there is not");
  if (from.guest() == 0 && from.since() != 0) return malformed("a time of nothing");
  if ((from.has() & ~kHasAll) != 0) return malformed("a number that there is not");
  const auto is_zero_without = [&](std::uint8_t bit, std::uint64_t number) { return (from.has() & bit) != 0 || number == 0; };
  if (!is_zero_without(kHasCpu, from.cpu()) || !is_zero_without(kHasMemory, from.memory()) || !is_zero_without(kHasFrames, from.sent() | from.received())) {
    return malformed("a number that was not read");
  }
  Reading reading;
  reading.instance = *subject;
  reading.net = from.net();
  reading.slot = from.slot();
  if ((from.has() & kHasCpu) != 0) reading.cpu = from.cpu();
  if ((from.has() & kHasMemory) != 0) reading.memory = from.memory();
  if ((from.has() & kHasFrames) != 0) reading.frames = Frames{from.sent(), from.received()};
  reading.guest = static_cast<GuestSays>(from.guest());
  reading.since = from.since();
  return reading;
}

}  // namespace mvm::wire
