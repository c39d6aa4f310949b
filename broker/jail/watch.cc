#include "broker/jail/watch.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>

namespace mvm::jail {

Result<Watch> Watch::make() {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  const int saved = errno;
  if (!epoll.valid()) return fail_errno(saved, "epoll_create1");
  return Watch(std::move(epoll));
}

Status Watch::add(const Subject& instance, Fd pidfd) {
  drop(instance);
  const std::lock_guard hold(*guard_);
  const std::uint64_t key = next_++;
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = key;
  const int added = epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, pidfd.get(), &event);
  const int saved = errno;
  if (added != 0) return fail_errno(saved, "watch a microVM", to_string(instance));
  watched_.emplace(key, Watched{instance, std::move(pidfd)});
  return {};
}

void Watch::drop(const Subject& instance) {
  const std::lock_guard hold(*guard_);
  std::erase_if(watched_, [&](const auto& entry) { return entry.second.instance == instance; });
}

std::vector<Subject> Watch::take_ended() {
  const std::lock_guard hold(*guard_);
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  std::vector<Subject> ended;
  for (int i = 0; i < count; ++i) {
    const auto found = watched_.find(events[static_cast<std::size_t>(i)].data.u64);
    if (found == watched_.end()) continue;
    ended.push_back(found->second.instance);
    watched_.erase(found);
  }
  return ended;
}

}  // namespace mvm::jail
