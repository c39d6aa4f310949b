#include "broker/storage/closing.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <time.h>

#include <sstream>

#include "broker/beneath/beneath.h"

namespace mvm::storage {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxMounts = 4 << 20;

void pause() {
  const timespec moment{0, 5'000'000};
  (void)nanosleep(&moment, nullptr);
}

std::string number_of(dev_t device) { return std::to_string(major(device)) + ":" + std::to_string(minor(device)); }

}  // namespace

Status close_device(const DeviceMapper& devices, const std::string& name) {
  const auto until = Clock::now() + kCloseTime;
  for (;;) {
    auto gone = devices.remove(name);
    if (gone || gone.error().code != Errc::kBusy) return gone;
    if (Clock::now() < until) {
      pause();
      continue;
    }
    const auto device = devices.find(name);
    if (!device) return device.error().code == Errc::kNotFound ? Status{} : forward(device.error());
    const std::string times = "it is open " + std::to_string(device->open_count) + " times";
    return fail(Errc::kBusy, "close the device: " + times + who_holds(device->number), name);
  }
}

std::string who_holds(dev_t device) {
  std::string who;
  const std::string number = number_of(device);
  const auto holders = open_absolute("/sys/dev/block", O_RDONLY | O_DIRECTORY);
  if (holders) {
    // /sys/dev/block/M:N is a link to the device's own directory, and that is what is wanted.
    const Fd directory(openat(holders->get(), (number + "/holders").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto names = directory.valid() ? names_in(directory.get()) : Result<std::vector<std::string>>(std::vector<std::string>{});
    for (const std::string& name : names.value_or(std::vector<std::string>{})) who += "; " + name + " stands on it";
  }
  const Fd mounts(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  const auto text = mounts.valid() ? read_all(mounts.get(), kMaxMounts) : Result<std::string>(std::string());
  std::istringstream lines(text.value_or(std::string()));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, of, root, where;
    words >> id >> parent >> of >> root >> where;
    if (of == number) who += "; mounted at " + where;
  }
  return who;
}

}  // namespace mvm::storage
