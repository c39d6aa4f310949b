#include "broker/storage/closing.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <time.h>

#include <algorithm>
#include <sstream>
#include <vector>

#include "base/one_word.h"
#include "broker/beneath/beneath.h"

namespace mvm::storage {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxMounts = 4 << 20, kMaxSysfsLine = 4096, kMaxLoops = 4096;

void pause() {
  const timespec moment{0, 5'000'000};
  (void)nanosleep(&moment, nullptr);
}

std::string number_of(dev_t device) { return std::to_string(major(device)) + ":" + std::to_string(minor(device)); }

// sysfs is full of links, which are the kernel's own.
Fd open_in_sysfs(int directory, const std::string& path, int flags) { return Fd(openat(directory, path.c_str(), flags | O_RDONLY | O_CLOEXEC)); }

// The one line of such a file; nothing where there is none.
std::string line_in_sysfs(int directory, const std::string& path) {
  const Fd file = open_in_sysfs(directory, path, 0);
  auto text = file.valid() ? read_all(file.get(), kMaxSysfsLine) : Result<std::string>(std::string());
  if (text && text->ends_with('\n')) text->pop_back();
  return text.value_or(std::string());
}

std::vector<std::string> names_at(const Fd& directory) {
  if (!directory.valid()) return {};
  return names_in(directory.get()).value_or(std::vector<std::string>{});
}

// What device-mapper calls it: "dm-3", by its minor number.
std::string kernel_name(dev_t device) { return "dm-" + std::to_string(minor(device)); }

std::vector<std::string> standing_on(dev_t device) {
  std::vector<std::string> found;
  const auto devices = open_absolute("/sys/dev/block", O_RDONLY | O_DIRECTORY);
  if (!devices) return found;
  // /sys/dev/block/M:N is a link to the device's own directory, and that is what is wanted.
  const Fd holders = open_in_sysfs(devices->get(), number_of(device) + "/holders", O_DIRECTORY);
  for (const std::string& holder : names_at(holders)) {
    const std::string name = found.size() < kMaxHoldersSaid ? line_in_sysfs(holders.get(), holder + "/dm/name") : "";
    found.push_back(one_word(holder) + (name.empty() ? "" : " (" + one_word(name) + ")") + " stands on it");
  }
  return found;
}

// A loop device holds what is behind it open, and sysfs has no link for that: it is told by the path that it was set up with.
std::vector<std::string> loops_on(const std::string& device, const std::string& name) {
  std::vector<std::string> found;
  const auto devices = open_absolute("/sys/devices/virtual/block", O_RDONLY | O_DIRECTORY);
  if (!devices) return found;
  std::size_t looked_at = 0;
  for (const std::string& loop : names_at(*devices)) {
    if (!loop.starts_with("loop")) continue;
    if (++looked_at > kMaxLoops) break;
    const std::string path = line_in_sysfs(devices->get(), loop + "/loop/backing_file");
    if (path == "/dev/" + device || path == "/dev/mapper/" + name) found.push_back(one_word(loop) + " is set up on it");
  }
  return found;
}

std::vector<std::string> mounts_of(dev_t device) {
  std::vector<std::string> found;
  const Fd mounts(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  const auto text = mounts.valid() ? read_all(mounts.get(), kMaxMounts) : Result<std::string>(std::string());
  std::istringstream lines(text.value_or(std::string()));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, of, root, where;
    words >> id >> parent >> of >> root >> where;
    if (of == number_of(device)) found.push_back("mounted at " + one_word(where));
  }
  return found;
}

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
    return fail(Errc::kBusy, "close the device: " + times + who_holds(device->number, name) + "; `mvm volume holders` as root names processes", name);
  }
}

std::string who_holds(dev_t device, const std::string& name) {
  std::vector<std::string> who = standing_on(device);
  for (auto& found : {loops_on(kernel_name(device), name), mounts_of(device)}) who.insert(who.end(), found.begin(), found.end());
  std::string said;
  for (std::size_t i = 0; i < std::min(who.size(), kMaxHoldersSaid); ++i) said += "; " + who[i];
  if (who.size() > kMaxHoldersSaid) said += "; and " + std::to_string(who.size() - kMaxHoldersSaid) + " more";
  return said;
}

}  // namespace mvm::storage
