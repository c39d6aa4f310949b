#include "guest/child.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

#include "base/fd.h"
#include "base/owned.h"

namespace mvm::guest {
namespace {

constexpr int kCannotRun = 127;

// poll() counts milliseconds, rounded up so that it does not spin through the last one; once at least, so that what has ended is seen.
Status wait_until_readable(int fd, Clock::time_point until, const std::string& name) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd ready{fd, POLLIN, 0};
    const int count = poll(&ready, 1, static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000)));
    const int saved = errno;
    if (count > 0) return {};
    if (count < 0 && saved != EINTR) return fail_errno(saved, "wait for", name);
    if (Clock::now() >= until) return fail(Errc::kTimeout, "wait for", name);
  }
}

Result<std::vector<std::string>> programs_of(const std::string& directory) {
  const Owned<DIR, &closedir> listing(opendir(directory.c_str()));
  if (!listing) {
    const int saved = errno;
    if (saved == ENOENT) return std::vector<std::string>{};
    return fail_errno(saved, "list", directory);
  }
  std::vector<std::string> programs;
  errno = 0;
  while (const dirent* entry = readdir(listing.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat status {};
    if (fstatat(dirfd(listing.get()), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, "look at", directory + "/" + name);
    if (!S_ISREG(status.st_mode) || status.st_uid != 0 || (status.st_mode & 0022) != 0 || (status.st_mode & 0100) == 0) {
      return fail(Errc::kDenied, "run what is not a program of root's alone", directory + "/" + name);
    }
    if (programs.size() == kMaxHooks) return fail(Errc::kDenied, "run more programs than " + std::to_string(kMaxHooks), directory);
    programs.push_back(directory + "/" + name);
  }
  if (errno != 0) return fail_errno(errno, "list", directory);
  std::ranges::sort(programs);
  return programs;
}

int become(const std::string& program, const char* word) {
  const Fd nothing(open("/dev/null", O_RDONLY));
  if (!nothing.valid() || dup2(nothing.get(), STDIN_FILENO) < 0) return kCannotRun;
  const char* const arguments[] = {program.c_str(), word, nullptr};
  const char* const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", nullptr};
  execve(program.c_str(), const_cast<char* const*>(arguments), const_cast<char* const*>(environment));
  return kCannotRun;
}

}  // namespace

Status run_child(const std::function<int()>& work, Clock::time_point until, const std::string& name) {
  const pid_t child = fork();
  if (child < 0) return fail_errno(errno, "start", name);
  if (child == 0) {
    setsid();
    _exit(work());
  }
  const Fd held(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  const int saved = errno;
  const Status ended = held.valid() ? wait_until_readable(held.get(), until, name) : Status(fail_errno(saved, "hold", name));
  // Of its session, its children too; it is not reaped yet, so the number is still its own.
  kill(-child, SIGKILL);
  kill(child, SIGKILL);
  if (!ended) {
    // Killed, but it may hang in the kernel for as long as a disk does: whoever waits for it would hang, too. It is reaped when it ends (main.cc).
    return ended;
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return fail_errno(errno, "reap", name);
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(Errc::kDenied, "run", name);
  return {};
}

Status run_hooks(const std::string& directory, const char* word, Clock::time_point until) {
  const auto programs = programs_of(directory);
  if (!programs) return forward(programs.error());
  for (const std::string& program : *programs) {
    if (auto ran = run_child([&] { return become(program, word); }, until, program); !ran) return ran;
  }
  return {};
}

}  // namespace mvm::guest
