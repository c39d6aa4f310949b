// After a wake: the guest was somewhere else, for some time, and perhaps another one woke from the same memory. Its random numbers are made new
// before anything else runs, its clock is stepped, and its generation id says to its work that it is not the one that it was.
// Proven by: tests/guest/wake_test.cc, tests/guest/guest_node_test.cc.
#pragma once

#include "guest/park.h"
#include "guest/wire.h"

namespace mvm::guest {

// In this order: the host's entropy to the kernel's pool, credited (RNDADDENTROPY, random(4)), and the generator made to take it now
// (RNDRESEEDCRNG); CLOCK_REALTIME set; the generation id written to `generation` in the run directory, as hex, by rename. The work stands still
// all the while. Where a step fails the ones after it are not done, and the outcome says which.
[[nodiscard]] Outcome wake(const Places& places, const Resume& resume);

}  // namespace mvm::guest
