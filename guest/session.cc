#include "guest/session.h"

#include <algorithm>

namespace mvm::guest {

Heartbeat Session::state() {
  if (life_ == Life::kWorking) return machine_.work();
  const auto since = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - parked_).count();
  return {State::kParked, static_cast<std::uint32_t>(std::clamp<std::int64_t>(since, 0, UINT32_MAX))};
}

FromGuest Session::heartbeat() { return {0, state()}; }

void Session::go_on() {
  machine_.go();
  life_ = Life::kWorking;
}

void Session::answer_was_lost() {
  if (life_ == Life::kParked) go_on();
}

Result<FromGuest> Session::answer(const FromHost& message) {
  if (const auto* prepare = std::get_if<Prepare>(&message.body)) {
    if (life_ == Life::kAwake) life_ = Life::kParked;  // its work stands still: nothing has changed since
    if (life_ == Life::kParked) return FromGuest{message.sequence, Parked{Outcome::kDone}};
    const Outcome outcome = machine_.park(prepare->timeout);
    if (outcome == Outcome::kDone) {
      life_ = Life::kParked;
      parked_ = Clock::now();
    }
    return FromGuest{message.sequence, Parked{outcome}};
  }
  if (const auto* resume = std::get_if<Resume>(&message.body)) {
    const Outcome outcome = machine_.wake(*resume);
    if (outcome == Outcome::kDone && life_ == Life::kParked) life_ = Life::kAwake;
    return FromGuest{message.sequence, Awake{outcome}};
  }
  if (std::holds_alternative<Go>(message.body)) {
    if (life_ == Life::kParked) return fail(Errc::kDenied, "go on without having been resumed");
    if (life_ == Life::kAwake) go_on();
  }
  return FromGuest{message.sequence, state()};
}

}  // namespace mvm::guest
