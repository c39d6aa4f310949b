#include "broker/storage/pool_devices.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "broker/storage/luks.h"

namespace mvm::storage {
namespace {

constexpr std::uint64_t kMib = 1 << 20;

// Data begins behind it, so whatever volumes were on a device, these bytes are as they were when it was first named.
Status check_blank(const PoolDevice& device) {
  std::array<char, 64 << 10> block{};
  if (lseek(device.fd.get(), 0, SEEK_SET) != 0) return fail_errno(errno, "look at the device", device.name);
  for (std::uint64_t at = 0; at < kLuksHeaderBytes;) {
    const ssize_t got = read(device.fd.get(), block.data(), block.size());
    const int saved = errno;
    if (got < 0) return fail_errno(saved, "look at the device", device.name);
    const auto size = static_cast<std::size_t>(got);
    if (size == 0 || !std::all_of(block.data(), block.data() + size, [](char byte) { return byte == 0; })) {
      return fail(Errc::kDenied, "take a device on which there is something: its first 2 MiB have to be zeros", device.name);
    }
    at += size;
  }
  return {};
}

}  // namespace

Result<PoolDevices> PoolDevices::given(std::span<const char* const> names, int first) {
  std::vector<PoolDevice> devices;
  for (const char* name : names) {
    PoolDevice device{name, Fd(first++), 0};
    struct stat info {};
    if (fstat(device.fd.get(), &info) != 0) return fail_errno(errno, "fstat", device.name);
    if (!S_ISBLK(info.st_mode)) return fail(Errc::kDenied, "use for volumes what is no block device", device.name);
    const off_t end = lseek(device.fd.get(), 0, SEEK_END);
    const int saved = errno;
    if (end < 0) return fail_errno(saved, "ask for the size of the device", device.name);
    device.bytes = static_cast<std::uint64_t>(end);
    devices.push_back(std::move(device));
  }
  return PoolDevices(std::move(devices));
}

const PoolDevice* PoolDevices::find(std::string_view name) const {
  const auto found = std::ranges::find(devices_, name, &PoolDevice::name);
  return found == devices_.end() ? nullptr : &*found;
}

Result<const PoolDevice*> PoolDevices::choose(std::uint64_t mib, const std::set<std::string>& in_use) const {
  const PoolDevice* best = nullptr;
  for (const PoolDevice& each : devices_) {
    if (each.bytes < kLuksHeaderBytes + mib * kMib || in_use.contains(each.name)) continue;
    if (best == nullptr || each.bytes < best->bytes) best = &each;
  }
  if (best == nullptr) return fail(Errc::kLimit, "find a device that is free and has room for " + std::to_string(mib) + " MiB");
  if (auto blank = check_blank(*best); !blank) return forward(blank.error());
  return best;
}

Status discard(const PoolDevice& device) {
  const auto bytes = static_cast<off_t>(device.bytes);
  if (fallocate(device.fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes) == 0 || errno == EOPNOTSUPP) return {};
  return fail_errno(errno, "discard what is on the device", device.name);
}

}  // namespace mvm::storage
