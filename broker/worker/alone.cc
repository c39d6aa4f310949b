#include "broker/worker/alone.h"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace mvm::worker {

Status be_alone(int directory, const std::string& what) {
  constexpr int kTries = 500;
  constexpr useconds_t kPause = 20'000;
  for (int i = 0; i < kTries; ++i) {
    if (flock(directory, LOCK_EX | LOCK_NB) == 0) return {};
    const int saved = errno;
    if (saved != EWOULDBLOCK && saved != EINTR) return fail_errno(saved, "lock the " + what);
    usleep(kPause);
  }
  return fail(Errc::kBusy, "be the only one that has the " + what + ": another worker does not end");
}

}  // namespace mvm::worker
