#include "broker/storage/device_mapper.h"

#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace mvm::storage {
namespace {

static_assert(kMaxDeviceName == DM_NAME_LEN - 1 && kMaxDeviceUuid == DM_UUID_LEN - 1);

// What libdevmapper.h calls DM_UDEV_DISABLE_{SUBSYSTEM_RULES,DISK_RULES,OTHER_RULES}_FLAG, PRIMARY_SOURCE_FLAG: in the upper half
// of the number that udev gets as DM_COOKIE. The lower half would name a semaphore that somebody waits for; nobody does.
constexpr std::uint32_t kUdevFlags = (0x02u | 0x04u | 0x08u | 0x40u) << 16;

constexpr std::size_t kFirstRoom = 4096;
constexpr std::size_t kMostRoom = 4 << 20;  // thousands of names of 127 bytes

// One request and its answer: struct dm_ioctl, and what follows it.
class Request {
 public:
  explicit Request(const std::string& name, std::size_t room = kFirstRoom) : bytes_(sizeof(dm_ioctl) + room) {
    dm_ioctl& head = this->head();
    head.version[0] = DM_VERSION_MAJOR;
    head.data_size = static_cast<std::uint32_t>(bytes_.size());
    head.data_start = sizeof(dm_ioctl);
    std::memcpy(head.name, name.c_str(), std::min(name.size(), kMaxDeviceName));
  }
  [[nodiscard]] dm_ioctl& head() { return *reinterpret_cast<dm_ioctl*>(bytes_.data()); }
  [[nodiscard]] char* data() { return bytes_.data() + head().data_start; }
  [[nodiscard]] std::size_t room() { return bytes_.size() - head().data_start; }
  [[nodiscard]] bool overflowed() { return (head().flags & DM_BUFFER_FULL_FLAG) != 0; }

 private:
  std::vector<char> bytes_;
};

Status call(const Fd& control, unsigned long what, Request& request, const char* tried) {
  const int done = ioctl(control.get(), what, &request.head());
  const int saved = errno;
  if (done == 0) return {};
  const std::string name(request.head().name, strnlen(request.head().name, DM_NAME_LEN));
  if (saved == ENXIO) return fail(Errc::kNotFound, tried, name);
  if (saved == EBUSY) return fail(what == DM_DEV_CREATE ? Errc::kExists : Errc::kBusy, tried, name);
  return fail_errno(saved, tried, name);
}

Device device_of(const dm_ioctl& head) {
  Device device;
  device.uuid = std::string(head.uuid, strnlen(head.uuid, DM_UUID_LEN));
  // The kernel's own spelling of a device number (huge_encode_dev), which is makedev's for what dm hands out.
  device.number = makedev((head.dev & 0xfff00) >> 8, (head.dev & 0xff) | ((head.dev >> 12) & 0xfff00));
  device.open_count = static_cast<std::uint32_t>(head.open_count);
  device.live = (head.flags & DM_ACTIVE_PRESENT_FLAG) != 0 && (head.flags & DM_SUSPEND_FLAG) == 0;
  return device;
}

Status check_names(const NewDevice& device) {
  if (device.name.empty() || device.name.size() > kMaxDeviceName) return fail(Errc::kLimit, "name a device", device.name);
  if (device.uuid.empty() || device.uuid.size() > kMaxDeviceUuid) return fail(Errc::kLimit, "give a device its uuid", device.name);
  return {};
}

}  // namespace

Result<Device> DeviceMapper::make(const NewDevice& device) const {
  if (auto fits = check_names(device); !fits) return forward(fits.error());
  Request create(device.name);
  std::memcpy(create.head().uuid, device.uuid.c_str(), device.uuid.size());
  if (auto created = call(control_, DM_DEV_CREATE, create, "make the device"); !created) return forward(created.error());
  auto loaded = load(device);
  auto live = loaded ? resume(device.name) : Result<Device>(forward(loaded.error()));
  if (live) return live;
  if (auto gone = remove(device.name); !gone) live.error().tried += "; and removing it failed: " + gone.error().message();
  return live;
}

Status DeviceMapper::load(const NewDevice& device) const {
  // struct dm_target_spec, the parameters with their NUL, up to a multiple of 8.
  const std::size_t size = (sizeof(dm_target_spec) + device.target.parameters.size() + 1 + 7) / 8 * 8;
  Request request(device.name, size);
  request.head().target_count = 1;
  request.head().flags = device.writes == Writes::kRefused ? DM_READONLY_FLAG : 0u;
  dm_target_spec spec{};
  spec.length = device.target.sectors;
  spec.next = static_cast<std::uint32_t>(size);
  std::memcpy(spec.target_type, device.target.type.c_str(), std::min(device.target.type.size(), sizeof spec.target_type - 1));
  std::memcpy(request.data(), &spec, sizeof spec);
  std::memcpy(request.data() + sizeof spec, device.target.parameters.c_str(), device.target.parameters.size() + 1);
  return call(control_, DM_TABLE_LOAD, request, "load the device's table");
}

Result<Device> DeviceMapper::resume(const std::string& name) const {
  Request request(name);
  request.head().event_nr = kUdevFlags;
  if (auto done = call(control_, DM_DEV_SUSPEND, request, "bring the device up"); !done) return forward(done.error());
  return device_of(request.head());
}

Result<Device> DeviceMapper::find(const std::string& name) const {
  Request request(name);
  if (auto done = call(control_, DM_DEV_STATUS, request, "find the device"); !done) return forward(done.error());
  return device_of(request.head());
}

Result<Target> DeviceMapper::table(const std::string& name) const { return read_target(name, DM_STATUS_TABLE_FLAG); }
Result<Target> DeviceMapper::status(const std::string& name) const { return read_target(name, 0); }

Result<Target> DeviceMapper::read_target(const std::string& name, std::uint32_t flags) const {
  Request request(name);
  request.head().flags = flags;
  if (auto done = call(control_, DM_TABLE_STATUS, request, "read the device's table"); !done) return forward(done.error());
  if (request.overflowed() || request.head().target_count != 1) return fail(Errc::kDenied, "read a table of one target", name);
  dm_target_spec spec{};
  if (request.room() < sizeof spec + 1) return fail(Errc::kMalformed, "read the device's table", name);
  std::memcpy(&spec, request.data(), sizeof spec);
  const char* parameters = request.data() + sizeof spec;
  return Target{spec.length, std::string(spec.target_type, strnlen(spec.target_type, sizeof spec.target_type)),
                std::string(parameters, strnlen(parameters, request.room() - sizeof spec))};
}

Status DeviceMapper::remove(const std::string& name) const {
  Request request(name);
  request.head().event_nr = kUdevFlags;
  auto done = call(control_, DM_DEV_REMOVE, request, "remove the device");
  if (!done && done.error().code == Errc::kNotFound) return {};
  return done;
}

Status DeviceMapper::cut_off(const std::string& name) const {
  const auto now = table(name);
  if (!now) return forward(now.error());
  if (auto loaded = load({name, {}, {now->sectors, "error", ""}, Writes::kAllowed}); !loaded) return loaded;
  // Without waiting for what is under way to reach the disk: it may never.
  Request suspend(name);
  suspend.head().flags = DM_SUSPEND_FLAG | DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG;
  if (auto done = call(control_, DM_DEV_SUSPEND, suspend, "suspend the device"); !done) return done;
  const auto up = resume(name);
  return up ? Status{} : forward(up.error());
}

Result<std::vector<std::string>> DeviceMapper::names() const {
  for (std::size_t room = kFirstRoom * 4; room <= kMostRoom; room *= 4) {
    Request request("", room);
    if (auto done = call(control_, DM_LIST_DEVICES, request, "list the devices"); !done) return forward(done.error());
    if (request.overflowed()) continue;
    std::vector<std::string> names;
    dm_name_list entry{};
    for (std::size_t at = 0; at + offsetof(dm_name_list, name) < request.room(); at += entry.next) {
      std::memcpy(&entry, request.data() + at, offsetof(dm_name_list, name));
      if (entry.dev == 0) break;  // there is none
      const char* name = request.data() + at + offsetof(dm_name_list, name);
      names.emplace_back(name, strnlen(name, request.room() - at - offsetof(dm_name_list, name)));
      if (entry.next == 0) break;
    }
    return names;
  }
  return fail(Errc::kLimit, "list the devices");
}

}  // namespace mvm::storage
