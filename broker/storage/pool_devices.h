// The block devices that the node's policy names for volumes. The supervisor opened them and holds them, for nobody else on the host (O_EXCL), and
// gave their descriptors; a device of the host's is opened here by no name. On one of them lies the data of one volume, and nothing else; its header
// is a file in the directory of volumes, as every volume's, which names the device (volumes.h). So no volume's keyslot is on a device, and there is
// one thing to destroy. What stands on a device in a header's place is a mark, which says which volume it has: a name can come to mean another disk,
// and a volume is opened, and a device discarded, only where the mark is that volume's.
// Owns the descriptors. Proven by: tests/storage/pool_devices_node_test.cc, tests/node/storage/devices_test.sh.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::storage {

struct PoolDevice {
  std::string name;  // below /dev, as the policy has it: "vg0/data1"
  Fd fd;
  std::uint64_t mib = 0;    // the most that the policy has for a volume on it
  std::uint64_t bytes = 0;  // of the device
};

// Random, of the volume alone.
using VolumeMark = std::array<std::uint8_t, 16>;
[[nodiscard]] Result<VolumeMark> make_mark();

// Whether the policy has a guest's discards, and a destroyed volume's data, discarded below.
enum class Discard : std::uint8_t { kNo, kYes };

class PoolDevices {
 public:
  PoolDevices() = default;  // the policy names none: volumes are files
  explicit PoolDevices(std::vector<PoolDevice> devices) : named_(true), devices_(std::move(devices)) {}
  // The descriptors from `first` on, by the NAME:MIB of `names`, in their order.
  [[nodiscard]] static Result<PoolDevices> given(std::span<const char* const> names, int first);

  // Whether volumes are made on devices, whether or not one could be opened.
  [[nodiscard]] bool named() const { return named_; }
  // Nullptr: the policy no longer names it, or it could not be opened.
  [[nodiscard]] const PoolDevice* find(std::string_view name) const;
  // The smallest for that many MiB that is not in use. kLimit: there is none. kDenied: what it would be is not zeros where a header would
  // stand, so something of somebody's is on it.
  [[nodiscard]] Result<const PoolDevice*> choose(std::uint64_t mib, const std::set<std::string>& in_use) const;

 private:
  bool named_ = false;
  std::vector<PoolDevice> devices_;
};

// Synced. The device is one that choose() gave.
[[nodiscard]] Status put_mark(const PoolDevice& device, const VolumeMark& mark);
[[nodiscard]] Result<bool> has_mark(const PoolDevice& device, const VolumeMark& mark);
// The volume's data of that many MiB is discarded, if that is so wanted and as far as the device can, and then the mark is overwritten and that synced.
// A device with another mark, or none, stays as it is; so does one that fails: its mark keeps it from being taken again.
[[nodiscard]] Status release(const PoolDevice& device, const VolumeMark& mark, std::uint64_t mib, Discard discard);

}  // namespace mvm::storage
