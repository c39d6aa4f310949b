#include "broker/jail/wakes.h"

#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

namespace mvm::jail {

using snapshot::HandOver;
using snapshot::Stage;
using snapshot::Waking;

Result<Wakes> Wakes::make(Fd link) {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  const int saved = errno;
  if (!epoll.valid()) return fail_errno(saved, "epoll_create1");
  return Wakes(std::move(link), std::move(epoll));
}

Status Wakes::take_hand_overs() {
  for (;;) {
    auto handed = snapshot::receive_hand_over(link_.get());
    if (!handed && handed.error().code == Errc::kNotFound) return {};
    if (!handed) return forward(handed.error());
    const std::lock_guard hold(state_->guard);
    if (state_->handed_over.size() >= kMaxHandedOver) return fail(Errc::kLimit, "take what is handed over");
    state_->handed_over.insert_or_assign(handed->instance, std::move(*handed));
  }
}

Result<HandOver> Wakes::take(const Subject& instance, const Digest& line) {
  const std::lock_guard hold(state_->guard);
  const auto found = state_->handed_over.find(instance);
  if (found == state_->handed_over.end()) return fail(Errc::kNotFound, "find what was handed over", to_string(instance));
  HandOver handed = std::move(found->second);
  state_->handed_over.erase(found);
  if (handed.line != line) return fail(Errc::kDenied, "wake from another snapshot than was handed over", to_string(instance));
  return handed;
}

Status Wakes::watch(const Subject& instance, Waking waking) {
  drop(instance);
  const std::lock_guard hold(state_->guard);
  for (const int fd : {waking.channel(), waking.pidfd()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    const int added = epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    const int saved = errno;
    if (added != 0) return fail_errno(saved, "watch a page server", to_string(instance));
  }
  state_->watched.push_back({instance, std::move(waking)});
  return {};
}

Status Wakes::wait_for(const Subject& instance, Stage stage, Deadline deadline) {
  std::unique_lock hold(state_->guard);
  for (;;) {
    if (state_->whole.contains(instance)) return {};
    const auto found = std::ranges::find(state_->watched, instance, &Watched::instance);
    if (found == state_->watched.end() || found->waking.stage() >= Stage::kGone) return fail(Errc::kClosed, "wait for the page server, which has ended", to_string(instance));
    if (found->waking.stage() >= stage) return {};
    if (deadline.passed()) return fail(Errc::kTimeout, "wait for the page server", to_string(instance));
    state_->moved.wait_for(hold, std::chrono::milliseconds(deadline.left_ms()));
  }
}

void Wakes::drop(const Subject& instance) {
  const std::lock_guard hold(state_->guard);
  state_->handed_over.erase(instance);
  state_->whole.erase(instance);
  const auto found = std::ranges::find(state_->watched, instance, &Watched::instance);
  if (found != state_->watched.end()) let_go(found);
}

// Closing the descriptors takes them out of the epoll set, where nobody else has them; what is reaped is a copy.
void Wakes::let_go(std::list<Watched>::iterator watched) {
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched->waking.channel(), nullptr);
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, watched->waking.pidfd(), nullptr);
  state_->ending.emplace_back(watched->waking.release_pidfd());
  state_->watched.erase(watched);
  state_->moved.notify_all();
}

// A page server is our child, and its end is ours to take. It has been killed or has ended, or will have by the next time.
void Wakes::reap() {
  std::erase_if(state_->ending, [](const Fd& pidfd) {
    siginfo_t info{};
    const int waited = waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG);
    return waited != 0 || info.si_pid != 0;
  });
}

Result<std::vector<Wakes::Ended>> Wakes::advance(Clock::time_point now) {
  const std::lock_guard hold(state_->guard);
  std::vector<Ended> ended;
  for (auto at = state_->watched.begin(); at != state_->watched.end();) {
    const auto watched = at++;
    if (auto moved = watched->waking.advance(now); !moved) return forward(moved.error());
    if (!watched->waking.over()) continue;
    ended.push_back({watched->instance, watched->waking.stage(), watched->waking.touched()});
    if (watched->waking.stage() == Stage::kWhole) state_->whole.insert(watched->instance);
    let_go(watched);
  }
  reap();
  state_->moved.notify_all();
  return ended;
}

Wakes::Clock::time_point Wakes::due() const {
  const std::lock_guard hold(state_->guard);
  auto due = Clock::time_point::max();
  for (const Watched& each : state_->watched) due = std::min(due, each.waking.until());
  if (!state_->ending.empty()) due = std::min(due, Clock::now() + std::chrono::milliseconds(100));
  return due;
}

}  // namespace mvm::jail
