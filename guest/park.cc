#include "guest/park.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/fd.h"
#include "guest/child.h"

namespace mvm::guest {
namespace {

Status write_word(const std::string& path, std::string_view word) {
  const Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) return fail_errno(errno, "open", path);
  if (write(file.get(), word.data(), word.size()) != static_cast<ssize_t>(word.size())) return fail_errno(errno, "write", path);
  return {};
}

Result<bool> is_frozen(int events) {
  char text[256];
  const ssize_t size = pread(events, text, sizeof text, 0);
  if (size < 0) return fail_errno(errno, "read", "cgroup.events");
  return std::string_view(text, static_cast<std::size_t>(size)).find("frozen 1") != std::string_view::npos;
}

// cgroup.events is told of by POLLPRI (Documentation/admin-guide/cgroup-v2.rst); looked at again now and then all the same.
Status freeze(const std::string& work, Clock::time_point until) {
  if (access(work.c_str(), F_OK) != 0 && errno == ENOENT) return {};
  if (auto written = write_word(work + "/cgroup.freeze", "1"); !written) return written;
  const Fd events(open((work + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  if (!events.valid()) return fail_errno(errno, "open", work + "/cgroup.events");
  for (;;) {
    const auto frozen = is_frozen(events.get());
    if (!frozen) return forward(frozen.error());
    if (*frozen) return {};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) return fail(Errc::kTimeout, "freeze", work);
    pollfd changed{events.get(), POLLPRI, 0};
    poll(&changed, 1, static_cast<int>(std::min<std::int64_t>(left, 100)));
  }
}

// What dropping and compacting save is memory of the host's, not data of the guest's: a kernel without them is no reason to stay awake.
int flush(const std::string& memory) {
  sync();
  (void)write_word(memory + "/drop_caches", "3");
  (void)write_word(memory + "/compact_memory", "1");
  return 0;
}

Outcome outcome_of(const Error& error, Outcome other) { return error.code == Errc::kTimeout ? Outcome::kTimedOut : other; }

}  // namespace

Outcome park(const Places& places, std::chrono::milliseconds timeout) {
  const auto until = Clock::now() + timeout;
  const auto undone = [&](Outcome outcome) {
    (void)unpark(places);
    return outcome;
  };
  if (auto prepared = run_hooks(places.prepare, "prepare", until); !prepared) return undone(outcome_of(prepared.error(), Outcome::kHookFailed));
  if (auto frozen = freeze(places.work, until); !frozen) return undone(outcome_of(frozen.error(), Outcome::kNotFrozen));
  if (auto flushed = run_child([&] { return flush(places.memory); }, until, "flush"); !flushed) return undone(outcome_of(flushed.error(), Outcome::kFailed));
  return Outcome::kDone;
}

Status thaw(const Places& places) {
  if (access(places.work.c_str(), F_OK) != 0 && errno == ENOENT) return {};
  return write_word(places.work + "/cgroup.freeze", "0");
}

Status unpark(const Places& places) {
  const Status thawed = thaw(places);
  const Status resumed = run_hooks(places.resume, "resume", Clock::now() + kResumeTimeout);
  return thawed ? resumed : thawed;
}

}  // namespace mvm::guest
