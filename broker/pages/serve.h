// A page server's life, where it serves page by page: takes its order, opens the snapshot that it was given, takes the hand-over of the one microVM that it is for, serves it, and
// ends. It is started for one wake and knows no other; what it needs it has as descriptors, and it opens nothing.
// In the plain way, for hosts where a VMM can have no userfaultfd, it writes all of the memory into a file, and has ended before a VMM is told of that.
// Proven by: tests/pages/process_kernel_test.cc, tests/sandbox/pages_ablation_test.cc.
#pragma once

#include "broker/sandbox/grants.h"

namespace mvm::pages {

inline constexpr int kSnapshotFd = 4;  // the sealed file, for reading
inline constexpr int kBaseFd = 6;      // the sealed file that a diff stands on, for reading; nothing where the order names none
inline constexpr int kListenerFd = 5;  // a Unix stream socket that listens where Firecracker is told to connect; or an empty file in memory, for all of it

// Channel: descriptor 3 (order.h). The exit code: 0 when the memory is whole or the microVM has gone, else 70 and a line on stderr; then
// whoever started it kills the microVM, which would wait for its pages for ever.
[[nodiscard]] int run(const sandbox::Grants& grants);

}  // namespace mvm::pages
