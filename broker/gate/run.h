// Gate's life: has what it needs, gives up all but its grants, serves, ends.
// Proven by: tests/sandbox/gate_ablation_test.cc, tests/gate/.
#pragma once

#include "broker/sandbox/grants.h"

namespace mvm::gate {

// Exit code 0 when the supervisor has gone; 76 (EX_PROTOCOL) and a line on stderr when it sent what is no request.
[[noreturn]] void run(const sandbox::Grants& grants);

}  // namespace mvm::gate
