// The jail worker's life: opens its directories, finds what is up, gives up all but its grants, and runs the supervisor's tasks.
// Proven by: tests/sandbox/jail_ablation_test.cc, tests/jail/.
#pragma once

#include <span>

#include "broker/sandbox/grants.h"

namespace mvm::jail {

// `arguments`: CGROUP STATE FIRECRACKER, three absolute directories, reached by no symlink: the delegated cgroup, the state
// directory, and where `firecracker` and `jailer` are. The exit code, and a line on stderr where it is not 0.
[[nodiscard]] int run(const sandbox::Grants& grants, std::span<const char* const> arguments);

}  // namespace mvm::jail
