// How a microVM's memory comes back when it wakes. Page by page: a page server gives what is touched, out of the sealed file (docs/wake.md). Whole: the
// page server opens all of it into a file in memory, ends, and Firecracker maps that. Which of the two is looked at once, when the worker starts, and
// is the same for every wake from then on: a wake that fails does not go on in the other way.
// Touches /proc/misc and one userfaultfd of its own, which it closes. Proven by: tests/jail/way_kernel_test.cc.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"

namespace mvm::jail {

enum class Way : std::uint8_t { kPageByPage, kWhole };

struct ChosenWay {
  Way way = Way::kPageByPage;
  std::string why;  // of kWhole: what is missing
};

// The minor of /dev/userfaultfd, by `misc`, where the kernel lists such devices: "126 userfaultfd". kUnsupported: it lists none.
[[nodiscard]] Result<unsigned> userfaultfd_minor(const std::string& misc);

// Page by page where this kernel has /dev/userfaultfd, which is all that a VMM in a jail can have one by (Linux 6.1 and later), and tells of memory that is
// removed, which Firecracker asks for. `misc`: where the kernel lists its devices, /proc/misc.
[[nodiscard]] Result<ChosenWay> choose_way(const std::string& misc);

}  // namespace mvm::jail
