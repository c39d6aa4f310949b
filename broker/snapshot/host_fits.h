// What a snapshot has to find again on the host that wakes it, besides Firecracker and the image: kernel and CPU. Digests of what they say of
// themselves, so nothing is compared in part. Read once, before the process closes itself in.
// Proven by: tests/snapshot/host_fits_test.cc.
#pragma once

#include <string_view>

#include "base/digest.h"
#include "base/error.h"

namespace mvm::snapshot {

struct HostFits {
  Digest kernel;  // of release and version (uname(2))
  Digest cpu;     // of the first CPU's lines in /proc/cpuinfo that say what it is and can do
};
[[nodiscard]] Result<HostFits> read_host_fits();

// Of a text as /proc/cpuinfo is: vendor_id, cpu family, model, model name, stepping, flags, of the first CPU; what changes from moment to moment
// (frequencies) or says nothing of what a guest sees (microcode, bugs) is left out. kUnsupported where there is nothing of that.
[[nodiscard]] Result<Digest> cpu_digest(std::string_view cpuinfo);

}  // namespace mvm::snapshot
