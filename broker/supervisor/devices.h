// The block devices that the policy names for volumes: opened while we are root, and given to the storage worker when it starts. Each is claimed for us
// alone (O_EXCL), so what is mounted, or is part of a volume group or an array, is refused, and so is a device that has two names. The claim is kept here,
// by a descriptor of its own, that can only read: what the worker is given outlives it below guests that run on, and would keep the next of us out.
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
  std::uint64_t mib = 0;
  Fd claim;  // ours
  Fd fd;     // the worker's
};

struct OpenedDevices {
  bool named = false;  // whether the policy has any
  std::vector<Device> devices;
  std::vector<Error> refused;  // why others are not among them
};

// In the policy's order. `dev`: /dev. A device that cannot be used is no reason to do without the others. Errors: kDenied: no block device. kBusy: it is
// in use, or named twice. kLimit: it has less room than the policy says. kSystem: it is not there, or the unit does not let us at it.
[[nodiscard]] OpenedDevices open_devices(const lang::Document& policy, const std::string& dev);

}  // namespace mvm::supervisor
