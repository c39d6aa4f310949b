#include "broker/sandbox/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <utility>
#include <vector>

namespace mvm::sandbox {
namespace {

// Above every number that the worker is given, so that putting those in place overwrites none of them.
constexpr int kOutOfTheWay = kFirstExtraFd + static_cast<int>(kMaxExtraFds);

// What the child says when a step before execve fails.
struct Report {
  int error_number = 0;
  Errc code = Errc::kSystem;
  std::array<char, 64> tried{};
};

struct Pair {
  Fd ours;
  Fd theirs;
};

Result<Fd> out_of_the_way(int fd) {
  Fd moved(fcntl(fd, F_DUPFD_CLOEXEC, kOutOfTheWay));
  const int saved_errno = errno;
  if (!moved.valid()) return fail_errno(saved_errno, "fcntl F_DUPFD_CLOEXEC");
  return moved;
}

Result<Pair> channel(Channel kind) {
  const int type = kind == Channel::kStream ? SOCK_STREAM : SOCK_SEQPACKET;
  std::array<int, 2> fds{};
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "socketpair");
  }
  return Pair{Fd(fds[0]), Fd(fds[1])};
}

// A descriptor of its own, so that closing it leaves the caller's open.
Result<Pair> given(int theirs) {
  Pair pair{Fd(), Fd(fcntl(theirs, F_DUPFD_CLOEXEC, 0))};
  const int saved_errno = errno;
  if (!pair.theirs.valid()) return fail_errno(saved_errno, "fcntl F_DUPFD_CLOEXEC");
  return pair;
}

Status put(int fd, int at) {
  if (dup2(fd, at) >= 0) return {};
  const int saved_errno = errno;
  return fail_errno(saved_errno, "dup2");
}

// What the child has open from here on: 0 to 2, the channel, the extra ones; all else closes at execve.
struct ChildFds {
  Fd null;
  Fd channel;
  Fd report;
  Fd executable;
  std::vector<Fd> extra;
};

Status place_descriptors(const ChildFds& fds) {
  if (auto ok = put(fds.null.get(), STDIN_FILENO); !ok) return ok;
  if (auto ok = put(fds.null.get(), STDOUT_FILENO); !ok) return ok;
  if (auto ok = put(fds.channel.get(), kChannelFd); !ok) return ok;
  int next = kFirstExtraFd;
  for (const Fd& fd : fds.extra) {
    if (auto ok = put(fd.get(), next++); !ok) return ok;
  }
  if (syscall(SYS_close_range, static_cast<unsigned>(next), ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "close_range");
  }
  return {};
}

Status reset_signals() {
  for (int number = 1; number < NSIG; ++number) std::signal(number, SIG_DFL);  // SIGKILL, SIGSTOP and two of glibc's refuse
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, nullptr) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "sigprocmask");
  }
  return {};
}

// After the change of identity, which clears it.
Status die_with(pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "PR_SET_PDEATHSIG");
  }
  if (getppid() != parent) return fail(Errc::kClosed, "be started by a process that lives");
  return {};
}

Status prepare(const SpawnRequest& request, const ChildFds& fds, pid_t parent) {
  if (request.cgroup_procs >= 0 && write(request.cgroup_procs, "0", 1) != 1) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "join a cgroup");
  }
  setsid();
  if (chdir("/") != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "chdir", "/");
  }
  if (auto ok = place_descriptors(fds); !ok) return ok;
  if (auto ok = reset_signals(); !ok) return ok;
  auto other = request.becomes == Becomes::kGranted ? become(request.grants, request.user) : step_down(request.user);
  if (!other) return other;
  return request.dies == Dies::kWithUs ? die_with(parent) : Status{};
}

[[noreturn]] void tell_and_exit(const Fd& report, const Error& error) {
  Report said{.error_number = error.sys_errno, .code = error.code};
  std::snprintf(said.tried.data(), said.tried.size(), "%s", error.tried.c_str());
  [[maybe_unused]] const auto written = write(report.get(), &said, sizeof said);
  _exit(127);
}

[[noreturn]] void run_child(const SpawnRequest& request, const ChildFds& fds, pid_t parent) {
  if (auto ok = prepare(request, fds, parent); !ok) tell_and_exit(fds.report, ok.error());
  std::string name(request.grants.process);
  std::array<char*, kMaxArguments + 2> argv{name.data()};
  std::vector<std::string> arguments(request.arguments.begin(), request.arguments.end());
  for (std::size_t i = 0; i < arguments.size(); ++i) argv[i + 1] = arguments[i].data();
  char* const environment[] = {nullptr};
  syscall(SYS_execveat, fds.executable.get(), "", argv.data(), environment, AT_EMPTY_PATH);
  const int saved_errno = errno;
  tell_and_exit(fds.report, Error{Errc::kSystem, saved_errno, "execveat", {}});
}

Result<ChildFds> child_fds(const SpawnRequest& request, const Fd& theirs, const Fd& report) {
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const int saved_errno = errno;
  if (!null.valid()) return fail_errno(saved_errno, "open", "/dev/null");
  std::array<Result<Fd>, 4> moved = {out_of_the_way(null.get()), out_of_the_way(theirs.get()), out_of_the_way(report.get()),
                                     out_of_the_way(request.executable)};
  for (auto& fd : moved) {
    if (!fd) return forward(std::move(fd.error()));
  }
  ChildFds fds{std::move(*moved[0]), std::move(*moved[1]), std::move(*moved[2]), std::move(*moved[3]), {}};
  for (const int each : request.extra) {
    auto extra = out_of_the_way(each);
    if (!extra) return forward(std::move(extra.error()));
    fds.extra.push_back(std::move(*extra));
  }
  return fds;
}

// Nothing to read once execve has closed the other end.
Status await_exec(const Fd& report, const SpawnRequest& request) {
  Report said;
  const ssize_t got = TEMP_FAILURE_RETRY(read(report.get(), &said, sizeof said));
  if (got == 0) return {};
  said.tried.back() = '\0';
  return std::unexpected(Error{said.code, said.error_number, said.tried.data(), std::string(request.grants.process)});
}

}  // namespace

Result<Worker> spawn(const SpawnRequest& request) {
  if (request.extra.size() > kMaxExtraFds || request.arguments.size() > kMaxArguments) return fail(Errc::kLimit, "start a worker");
  auto pair = request.given_channel >= 0 ? given(request.given_channel) : channel(request.channel);
  if (!pair) return forward(std::move(pair.error()));
  auto report = channel(Channel::kSeqpacket);
  if (!report) return forward(std::move(report.error()));
  auto fds = child_fds(request, pair->theirs, report->theirs);
  if (!fds) return forward(std::move(fds.error()));
  const pid_t self = getpid();
  const pid_t child = fork();
  const int saved_errno = errno;
  if (child < 0) return fail_errno(saved_errno, "fork");
  if (child == 0) run_child(request, *fds, self);
  Worker worker{std::move(pair->ours), Fd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)))};
  const int pidfd_errno = errno;
  *fds = ChildFds{};
  report->theirs.reset();
  auto started = worker.pidfd.valid() ? await_exec(report->ours, request) : fail_errno(pidfd_errno, "pidfd_open");
  if (!started) {
    kill(child, SIGKILL);  // our own child, not waited for yet: the pid is still its
    TEMP_FAILURE_RETRY(waitpid(child, nullptr, 0));
    return forward(std::move(started.error()));
  }
  return worker;
}

}  // namespace mvm::sandbox
