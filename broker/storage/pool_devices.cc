#include "broker/storage/pool_devices.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "broker/beneath/beneath.h"
#include "broker/storage/luks.h"

namespace mvm::storage {
namespace {

constexpr std::uint64_t kMib = 1 << 20;

// The first block of a device that has a volume.
struct Marked {
  std::array<char, 8> magic;
  VolumeMark volume;
  std::array<char, 4072> zeros;
};
static_assert(sizeof(Marked) == kLuksSectorBytes);
constexpr std::array<char, 8> kMagic = {'m', 'v', 'm', 'v', 'o', 'l', 'o', 'n'};

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

Status write_first_block(const PoolDevice& device, const Marked& block) {
  const ssize_t wrote = pwrite(device.fd.get(), &block, sizeof block, 0);
  const int saved = errno;
  if (wrote < 0) return fail_errno(saved, "write the first block of the device", device.name);
  if (wrote != sizeof block) return fail(Errc::kSystem, "write the first block of the device", device.name);
  return sync(device.fd.get(), device.name);
}

Result<PoolDevice> device_given(std::string_view text, int fd) {
  const std::size_t colon = text.find(':');
  PoolDevice device{std::string(text.substr(0, colon)), Fd(fd), 0, 0};
  const char* const end = text.data() + text.size();
  const auto read = colon == std::string_view::npos ? std::from_chars_result{end, std::errc::invalid_argument} : std::from_chars(text.data() + colon + 1, end, device.mib);
  if (read.ec != std::errc() || read.ptr != end) return fail(Errc::kMalformed, "read the size of a device for volumes", std::string(text));
  struct stat info {};
  if (fstat(fd, &info) != 0) return fail_errno(errno, "fstat", device.name);
  if (!S_ISBLK(info.st_mode)) return fail(Errc::kDenied, "use for volumes what is no block device", device.name);
  const off_t size = lseek(fd, 0, SEEK_END);
  const int saved = errno;
  if (size < 0) return fail_errno(saved, "ask for the size of the device", device.name);
  device.bytes = static_cast<std::uint64_t>(size);
  return device;
}

bool is_broken(const Error& error) { return error.sys_errno == EIO || error.sys_errno == ENXIO || error.sys_errno == ENODEV; }

Status discard_data(const PoolDevice& device, std::uint64_t mib) {
  if (fallocate(device.fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kLuksHeaderBytes, static_cast<off_t>(mib * kMib)) == 0 || errno == EOPNOTSUPP) return {};
  return fail_errno(errno, "discard what is on the device", device.name);
}

}  // namespace

Result<VolumeMark> make_mark() {
  VolumeMark mark{};
  const ssize_t got = getrandom(mark.data(), mark.size(), 0);
  const int saved = errno;
  if (got != static_cast<ssize_t>(mark.size())) return fail_errno(saved, "make a volume's mark");
  return mark;
}

Result<PoolDevices> PoolDevices::given(std::span<const char* const> names, int first) {
  std::vector<PoolDevice> devices;
  for (const char* name : names) {
    auto device = device_given(name, first++);
    if (!device) return forward(device.error());
    devices.push_back(*std::move(device));
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
    if (each.mib < mib || each.bytes < kLuksHeaderBytes + mib * kMib || in_use.contains(each.name)) continue;
    if (best == nullptr || each.mib < best->mib) best = &each;
  }
  if (best == nullptr) return fail(Errc::kLimit, "find a device that is free and has room for " + std::to_string(mib) + " MiB");
  if (auto blank = check_blank(*best); !blank) return forward(blank.error());
  return best;
}

Status put_mark(const PoolDevice& device, const VolumeMark& mark) { return write_first_block(device, {kMagic, mark, {}}); }

Result<bool> has_mark(const PoolDevice& device, const VolumeMark& mark) {
  Marked block{};
  if (lseek(device.fd.get(), 0, SEEK_SET) != 0) return fail_errno(errno, "look whose the device is", device.name);
  const ssize_t got = read(device.fd.get(), &block, sizeof block);
  const int saved = errno;
  if (got < 0) return fail_errno(saved, "look whose the device is", device.name);
  return got == sizeof block && block.magic == kMagic && block.volume == mark;
}

Status release(const PoolDevice& device, const VolumeMark& mark, std::uint64_t mib, Discard discard) {
  const auto released = [&]() -> Status {
    const auto ours = has_mark(device, mark);
    if (!ours) return forward(ours.error());
    if (!*ours) return {};
    if (discard == Discard::kYes) {
      if (auto discarded = discard_data(device, mib); !discarded) return discarded;
    }
    return write_first_block(device, {});
  }();
  return released || is_broken(released.error()) ? Status{} : released;
}

}  // namespace mvm::storage
