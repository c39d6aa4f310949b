// What gate does: one text after another from its channel, parsed, and what came of it sent back. It is trusted with nothing:
// whoever asked prints the answer and compares (broker/supervisor/gate_client.h).
// Touches its channel and no other descriptor. Proven by: tests/gate/gate_test.cc.
#pragma once

#include "base/error.h"

namespace mvm::gate {

// Until the other side closes (success). kMalformed: a request of no kind or length that there is; the other side is broken.
[[nodiscard]] Status serve(int channel);

}  // namespace mvm::gate
