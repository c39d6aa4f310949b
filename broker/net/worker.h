// The net worker's life: opens its netlink sockets, gives up all but its grants, and runs the supervisor's tasks one at a time.
// Proven by: tests/sandbox/net_ablation_test.cc, tests/net/.
#pragma once

#include "broker/sandbox/grants.h"

namespace mvm::net {

// The exit code: 0 when the supervisor has gone, otherwise 70 and a line on stderr.
[[nodiscard]] int run(const sandbox::Grants& grants);

}  // namespace mvm::net
