// The guest worker's life: close the sandbox, and speak to guests until the supervisor goes away. It opens nothing and can connect to nothing: the jail
// worker gives it its connections.
// Proven by: tests/sandbox/guest_ablation_test.cc, tests/node/sleep/.
#pragma once

#include "broker/sandbox/grants.h"

namespace mvm::guest_worker {

// A socket that the supervisor made: from the jail worker (link.h).
inline constexpr int kLinkFd = 4;

// Returns the exit status, with a line on stderr where it is not 0.
[[nodiscard]] int run(const sandbox::Grants& grants);

}  // namespace mvm::guest_worker
