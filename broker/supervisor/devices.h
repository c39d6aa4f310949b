// The block devices that the policy names for volumes: opened while we are root, given to the storage worker when it starts, and closed here. Each is
// opened for us alone (O_EXCL), so what is mounted, or is part of a volume group or an array, is refused, and so is a device that has two names.
// Owns the descriptors. Proven by: tests/supervisor/devices_node_test.cc, tests/node/storage/devices_test.sh.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "policy-lang/statement.h"

namespace mvm::supervisor {

struct Device {
  std::string name;  // below /dev: "vg0/data1"
  Fd fd;
};

// In the policy's order. `dev`: /dev. kDenied: no block device. kBusy: it is in use, or named twice. kLimit: it has less room than the policy says.
[[nodiscard]] Result<std::vector<Device>> open_devices(const lang::Document& policy, const std::string& dev);

}  // namespace mvm::supervisor
