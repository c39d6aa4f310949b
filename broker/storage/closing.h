// Closing a device: not before it is free, not longer than a bound, and saying who has it. Owns nothing.
// Proven by: tests/storage/closing_test.cc, tests/storage/open_volumes_node_test.cc, tests/sandbox/storage_ablation_node_test.cc.
#pragma once

#include <chrono>
#include <string>

#include "broker/storage/device_mapper.h"

namespace mvm::storage {

// How long closing waits for whoever has the device open: an ended microVM's last descriptor, or udev's look at a new device.
inline constexpr std::chrono::milliseconds kCloseTime{3'000};

// Already gone is success. kBusy: it is held open; says by whom, as far as that can be seen.
[[nodiscard]] Status close_device(const DeviceMapper& devices, const std::string& name);

// What sysfs and the mount table of this process show of who has a device-mapper device open: "; dm-3 (NAME) stands on it", "; loop0 is set up on
// it", "; mounted at /mnt". Others chose those names: at most kMaxHoldersSaid of them, each one word. Processes are not among it: to see another
// user's open files takes CAP_SYS_PTRACE, which nothing of the broker's has; root has it (cli/holders.h).
inline constexpr std::size_t kMaxHoldersSaid = 8;
[[nodiscard]] std::string who_holds(dev_t device, const std::string& name);

}  // namespace mvm::storage
