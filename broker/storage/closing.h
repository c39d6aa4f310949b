// Closing a device: not before it is free, not longer than a bound, and saying who has it. Owns nothing.
// Proven by: tests/storage/open_volumes_node_test.cc, tests/sandbox/storage_ablation_node_test.cc.
#pragma once

#include <chrono>
#include <string>

#include "broker/storage/device_mapper.h"

namespace mvm::storage {

// How long closing waits for whoever has the device open: an ended microVM's last descriptor, or udev's look at a new device.
inline constexpr std::chrono::milliseconds kCloseTime{3'000};

// Already gone is success. kBusy: it is held open; says by whom, as far as that can be seen.
[[nodiscard]] Status close_device(const DeviceMapper& devices, const std::string& name);

// What sysfs and the mount table show of who has a block device open: "mounted at /mnt", "dm-3 stands on it".
[[nodiscard]] std::string who_holds(dev_t device);

}  // namespace mvm::storage
