// One guest and the host that speaks to it, message by message: what is asked is done, in the only order that makes sense, and answered.
// Pure but for the machine that it is given. Proven by: tests/guest/session_test.cc.
#pragma once

#include <chrono>

#include "guest/child.h"
#include "guest/wire.h"

namespace mvm::guest {

// What the guest can be made to do, and all of it.
class Machine {
 public:
  virtual ~Machine() = default;
  [[nodiscard]] virtual Outcome park(std::chrono::milliseconds timeout) = 0;
  [[nodiscard]] virtual Outcome wake(const Resume& resume) = 0;
  virtual void go() = 0;
  [[nodiscard]] virtual Heartbeat work() = 0;
};

class Session {
 public:
  explicit Session(Machine& machine) : machine_(machine) {}

  // The answer. kDenied: Go of one that is not awake after being parked: nothing is done, and the connection is to be closed.
  // Prepare of what is parked already, and Resume of what is awake already, are answered as at the first time, so that a host which did not hear the
  // answer may ask again; a guest that is not parked can be resumed, too: then its work goes on meanwhile.
  [[nodiscard]] Result<FromGuest> answer(const FromHost& message);
  // What nobody asked for.
  [[nodiscard]] FromGuest heartbeat();
  // The host went away without having heard of the last answer. Had it been told that we are parked, it would now believe that we are not.
  void answer_was_lost();

 private:
  enum class Life { kWorking, kParked, kAwake };

  [[nodiscard]] Heartbeat state();
  void go_on();

  Machine& machine_;
  Life life_ = Life::kWorking;
  Clock::time_point parked_{};
};

}  // namespace mvm::guest
