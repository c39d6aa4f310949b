// The jail worker's life: opens its directories, finds what is up, gives up all but its grants, and runs the supervisor's tasks.
// Proven by: tests/sandbox/jail_ablation_test.cc, tests/jail/.
#pragma once

#include <span>

#include "broker/sandbox/grants.h"

namespace mvm::jail {

// A socket that the supervisor made: from the snapshot worker (broker/snapshot/hand_over.h).
inline constexpr int kLinkFd = 4;
// Another, to the guest worker (broker/guest/link.h).
inline constexpr int kGuestsFd = 5;

// `arguments`: CGROUP STATE FIRECRACKER MEMORY PAGES USER BLOCK MISC. Four absolute directories, reached by no symlink: the delegated cgroup, the state directory, where
// `firecracker` and `jailer` are, and the memory file system; PAGES, the page server, and its USER; BLOCK, /sys/block; and MISC, /proc/misc. `pages`: what that is granted. The exit code,
// and a line on stderr where it is not 0.
[[nodiscard]] int run(const sandbox::Grants& grants, const sandbox::Grants& pages, std::span<const char* const> arguments);

}  // namespace mvm::jail
