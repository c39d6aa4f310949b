#include "broker/supervisor/devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "broker/storage/luks.h"

namespace mvm::supervisor {
namespace {

constexpr std::uint64_t kHeaderMib = storage::kLuksHeaderBytes >> 20;  // kept free before the data

// By whatever links /dev has: they are root's.
Result<Fd> open_path(const std::string& path, int flags) {
  Fd fd(open(path.c_str(), flags | O_NONBLOCK | O_CLOEXEC));
  const int saved = errno;
  if (fd.valid()) return fd;
  if (saved == EBUSY) return fail(Errc::kBusy, "open for volumes a device that is in use, or is named twice", path);
  if (saved == EPERM) return fail_errno(saved, "open a device for volumes (it needs DeviceAllow= in mvm-hostd.service)", path);
  return fail_errno(saved, "open a device for volumes", path);
}

Result<dev_t> number_of(const Fd& fd, const std::string& path) {
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return fail_errno(errno, "look at the device", path);
  if (!S_ISBLK(info.st_mode)) return fail(Errc::kDenied, "use for volumes what is no block device", path);
  return info.st_rdev;
}

Status check_room(const Fd& fd, std::uint64_t mib, const std::string& path) {
  const off_t bytes = lseek(fd.get(), 0, SEEK_END);
  const int saved = errno;
  if (bytes < 0) return fail_errno(saved, "ask for the size of the device", path);
  if (static_cast<std::uint64_t>(bytes) >> 20 >= mib + kHeaderMib) return {};
  return fail(Errc::kLimit, "find room for mib=" + std::to_string(mib) + " and " + std::to_string(kHeaderMib) + " MiB more on the device", path);
}

Result<Device> open_device(const lang::Statement& line, const std::string& dev) {
  const std::string name = std::string(line.subject.tenant.view()) + "/" + std::string(line.subject.pool.view());
  const std::string path = dev + "/" + name;
  auto claim = open_path(path, O_RDONLY | O_EXCL);
  if (!claim) return forward(claim.error());
  const auto claimed = number_of(*claim, path);
  if (!claimed) return forward(claimed.error());
  auto fd = open_path(path, O_RDWR);
  if (!fd) return forward(fd.error());
  const auto opened = number_of(*fd, path);
  if (!opened) return forward(opened.error());
  if (*opened != *claimed) return fail(Errc::kBusy, "open a device whose name changes", path);
  if (auto room = check_room(*fd, line.number("mib"), path); !room) return forward(room.error());
  return Device{name, line.number("mib"), *std::move(claim), *std::move(fd)};
}

}  // namespace

OpenedDevices open_devices(const lang::Document& policy, const std::string& dev) {
  OpenedDevices all;
  for (const lang::Statement& line : policy.statements) {
    if (line.word != lang::Word::kDevice) continue;
    all.named = true;
    auto device = open_device(line, dev);
    if (device) all.devices.push_back(*std::move(device));
    else all.refused.push_back(device.error());
  }
  return all;
}

}  // namespace mvm::supervisor
