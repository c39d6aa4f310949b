#include "broker/supervisor/devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace mvm::supervisor {
namespace {

constexpr std::uint64_t kHeaderMib = 2;  // kept free before the data

// By whatever links /dev has: they are root's.
Result<Device> open_device(const lang::Statement& line, const std::string& dev) {
  Device device{std::string(line.subject.tenant.view()) + "/" + std::string(line.subject.pool.view()), Fd()};
  const std::string path = dev + "/" + device.name;
  device.fd = Fd(open(path.c_str(), O_RDWR | O_EXCL | O_NONBLOCK | O_CLOEXEC));
  const int saved = errno;
  if (!device.fd.valid() && saved == EBUSY) return fail(Errc::kBusy, "open for volumes a device that is in use, or is named twice", path);
  if (!device.fd.valid() && saved == EPERM) return fail_errno(saved, "open a device for volumes (it needs DeviceAllow= in mvm-hostd.service)", path);
  if (!device.fd.valid()) return fail_errno(saved, "open a device for volumes", path);
  struct stat info {};
  if (fstat(device.fd.get(), &info) != 0) return fail_errno(errno, "look at the device", path);
  if (!S_ISBLK(info.st_mode)) return fail(Errc::kDenied, "use for volumes what is no block device", path);
  const off_t bytes = lseek(device.fd.get(), 0, SEEK_END);
  const int seek_errno = errno;
  if (bytes < 0) return fail_errno(seek_errno, "ask for the size of the device", path);
  if (static_cast<std::uint64_t>(bytes) >> 20 < line.number("mib") + kHeaderMib) {
    return fail(Errc::kLimit, "find room for mib=" + std::to_string(line.number("mib")) + " and " + std::to_string(kHeaderMib) + " MiB more on the device", path);
  }
  return device;
}

}  // namespace

Result<std::vector<Device>> open_devices(const lang::Document& policy, const std::string& dev) {
  std::vector<Device> devices;
  for (const lang::Statement& line : policy.statements) {
    if (line.word != lang::Word::kDevice) continue;
    auto device = open_device(line, dev);
    if (!device) return forward(device.error());
    devices.push_back(*std::move(device));
  }
  return devices;
}

}  // namespace mvm::supervisor
