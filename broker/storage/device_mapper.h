// The kernel's device-mapper, by its ioctls (linux/dm-ioctl.h) on a control node that is held. No libdevmapper: it would want
// semaphores, /dev/mapper and a look at half of /proc. udev is told to keep away from what is in our devices: whose bytes they
// hold is a tenant, and no program of the host's is to read them (DM_UDEV_DISABLE_*, libdevmapper.h).
// Owns the control node. Needs CAP_SYS_ADMIN. Proven by: tests/storage/open_volumes_node_test.cc, tests/sandbox/storage_ablation_node_test.cc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::storage {

inline constexpr std::size_t kMaxDeviceName = 127;  // DM_NAME_LEN - 1
inline constexpr std::size_t kMaxDeviceUuid = 128;  // DM_UUID_LEN - 1
inline constexpr std::uint64_t kSector = 512;

struct Target {
  std::uint64_t sectors = 0;
  std::string type;
  std::string parameters;
  bool operator==(const Target&) const = default;
};

enum class Writes : std::uint8_t { kAllowed, kRefused };

struct NewDevice {
  std::string name;
  std::string uuid;
  Target target;
  Writes writes = Writes::kAllowed;
};

struct Device {
  std::string uuid;
  dev_t number = 0;
  std::uint32_t open_count = 0;
  bool live = false;  // it has a table and is not suspended
};

class DeviceMapper {
 public:
  explicit DeviceMapper(Fd control) : control_(std::move(control)) {}

  // Made, with its table, and live; or nothing of it is left. kExists: a device of that name or uuid.
  [[nodiscard]] Result<Device> make(const NewDevice& device) const;
  // kNotFound: there is none.
  [[nodiscard]] Result<Device> find(const std::string& name) const;
  // Its one target, with parameters as the kernel tells them.
  [[nodiscard]] Result<Target> table(const std::string& name) const;
  // The same target, with what the kernel has seen of it since it was made.
  [[nodiscard]] Result<Target> status(const std::string& name) const;
  // Already gone is success. kBusy: it is open.
  [[nodiscard]] Status remove(const std::string& name) const;
  // Puts an error target in its place, so that whoever holds it open reads and writes nothing any more, and its key is gone.
  [[nodiscard]] Status cut_off(const std::string& name) const;
  // Of all devices, whoever made them.
  [[nodiscard]] Result<std::vector<std::string>> names() const;

 private:
  [[nodiscard]] Result<Target> read_target(const std::string& name, std::uint32_t flags) const;
  [[nodiscard]] Status load(const NewDevice& device) const;
  [[nodiscard]] Result<Device> resume(const std::string& name) const;
  Fd control_;
};

}  // namespace mvm::storage
