// agentd's life: opens what it watches, gives up all but its grants (seccomp/agentd.policy), and brings the node to what is
// wanted until it is ended. Part of the executable, not of the room: the `mvm` command links that, and has no sandbox.
// Proven by: tests/sandbox/agentd_ablation_test.cc, tests/sandbox/agentd_closed_test.cc, tests/deploy/agentd_test.sh.
#pragma once

#include "broker/sandbox/grants.h"

namespace mvm::planner {

// The exit code: 64 (EX_USAGE) for another command line than it takes; 1 where what it needs cannot be opened; 70 where it
// cannot enter its sandbox; 75 (EX_TEMPFAIL) when a directory of its is no longer the one that it may use, so that it has to be
// started again. With --once also 0, 1 or 2, as its usage says.
[[nodiscard]] int run(int argc, char** argv, const sandbox::Grants& grants);

}  // namespace mvm::planner
