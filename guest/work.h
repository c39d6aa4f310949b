// What the guest's work says of itself: by the files `busy`, `idle` and `ready` in one directory (/run/mvm). Whoever does the work makes and removes
// them; their content does not matter. Of several, the first in that order counts.
// Proven by: tests/guest/work_test.cc.
#pragma once

#include <cstdint>
#include <string>

#include "guest/wire.h"

namespace mvm::guest {

// kStarting, since 0, where there is none. `since` is from when the file was last written or touched, by the clock of file systems.
[[nodiscard]] Heartbeat state_of_work(int run_directory);

}  // namespace mvm::guest
