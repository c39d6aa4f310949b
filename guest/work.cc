#include "guest/work.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace mvm::guest {

Heartbeat state_of_work(int run_directory) {
  constexpr std::pair<const char*, State> kFiles[] = {{"busy", State::kBusy}, {"idle", State::kIdle}, {"ready", State::kReady}};
  for (const auto& [name, state] : kFiles) {
    struct stat status {};
    if (fstatat(run_directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(status.st_mode)) continue;
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const std::int64_t since = now.tv_sec - status.st_mtime;
    return {state, static_cast<std::uint32_t>(std::clamp<std::int64_t>(since, 0, UINT32_MAX))};
  }
  return {};
}

}  // namespace mvm::guest
