// The block devices that the node's policy names for volumes. The supervisor opened them, for this process alone and for nobody else on the host
// (O_EXCL), and gave their descriptors; a device of the host's is opened here by no name. On one of them lies the data of one volume, and nothing
// else; its header is a file in the directory of volumes, as every volume's, which names the device (volumes.h). So no volume's keyslot is on a
// device, and there is one thing to destroy.
// Owns the descriptors. Proven by: tests/storage/pool_devices_node_test.cc, tests/node/storage/devices_test.sh.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::storage {

struct PoolDevice {
  std::string name;  // below /dev, as the policy has it: "vg0/data1"
  Fd fd;
  std::uint64_t bytes = 0;
};

class PoolDevices {
 public:
  PoolDevices() = default;
  explicit PoolDevices(std::vector<PoolDevice> devices) : devices_(std::move(devices)) {}
  // The descriptors from `first` on, by the names of `names`, in their order.
  [[nodiscard]] static Result<PoolDevices> given(std::span<const char* const> names, int first);

  [[nodiscard]] bool empty() const { return devices_.empty(); }
  // Nullptr: the policy no longer names it.
  [[nodiscard]] const PoolDevice* find(std::string_view name) const;
  // The smallest with room for a header and that many MiB that is not in use. kLimit: there is none. kDenied: what it would be is not zeros where a
  // header would stand, so something of somebody's is on it.
  [[nodiscard]] Result<const PoolDevice*> choose(std::uint64_t mib, const std::set<std::string>& in_use) const;

 private:
  std::vector<PoolDevice> devices_;
};

// All of it is discarded, as far as the device can do that.
[[nodiscard]] Status discard(const PoolDevice& device);

}  // namespace mvm::storage
