#include "broker/jail/launch.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "broker/jail/http_response.h"
#include "broker/jail/memory_directory.h"

namespace mvm::jail {
namespace {

// Layout of struct clone_args, version 2 (linux/sched.h): cgroup is its last member.
static_assert(sizeof(clone_args) == CLONE_ARGS_SIZE_VER2);

struct RawBind {
  const char* from;
  const char* to;
  bool read_only;
};

struct Child {
  int jailer;
  int null;
  int said;
  char* const* argv;
  std::span<const RawBind> binds;
};

bool bind(const RawBind& what) {
  if (mount(what.from, what.to, nullptr, MS_BIND, nullptr) != 0) return false;
  return !what.read_only || mount(nullptr, what.to, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) == 0;
}

// In a namespace of its own, from which nothing reaches ours, so that the mounts are gone with the VMM and there is none to be left over.
bool bind_all(const Child& child) {
  return unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 && std::ranges::all_of(child.binds, bind);
}

// In the child, between clone3 and execveat: the parent has threads, so nothing but system calls.
[[noreturn]] void become_jailer(const Child& child) {
  static char* const kNoEnvironment[] = {nullptr};
  sigset_t none;
  sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, nullptr);
  (void)umask(077);
  const bool ready = setsid() >= 0 && dup2(child.null, STDIN_FILENO) >= 0 && dup2(child.null, STDOUT_FILENO) >= 0 &&
                     dup2(child.said, STDERR_FILENO) >= 0 && syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC) == 0;
  const bool bound = ready && bind_all(child);
  if (bound) syscall(SYS_execveat, child.jailer, "", child.argv, kNoEnvironment, AT_EMPTY_PATH);
  const char* const why = strerrordesc_np(errno);
  (void)!write(child.said, "cannot run the jailer: ", 23);
  if (why != nullptr) (void)!write(child.said, why, strlen(why));
  _exit(127);
}

struct Process {
  pid_t pid;
  Fd pidfd;
};

Result<Process> clone_into(int cgroup, const Child& child) {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | CLONE_INTO_CGROUP;
  args.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<std::uint64_t>(cgroup);
  const long pid = syscall(SYS_clone3, &args, sizeof args);
  const int saved = errno;
  if (pid < 0) return fail_errno(saved, "clone3 into the cgroup");
  if (pid == 0) become_jailer(child);
  return Process{static_cast<pid_t>(pid), Fd(pidfd)};
}

Status wait_for_exit(const Process& process, Deadline deadline) {
  for (;;) {
    const int left = deadline.left_ms();
    if (left == 0) return fail(Errc::kTimeout, "wait for the jailer");
    pollfd ended{process.pidfd.get(), POLLIN, 0};
    const int count = poll(&ended, 1, left);
    const int saved = errno;
    if (count < 0 && saved != EINTR) return fail_errno(saved, "poll the jailer");
    if (count > 0) return {};
  }
}

// Takes the zombie. Only after it has ended or is sure to.
Result<siginfo_t> reap(const Process& process) {
  siginfo_t info{};
  const int waited = waitid(P_PIDFD, static_cast<id_t>(process.pidfd.get()), &info, WEXITED);
  const int saved = errno;
  if (waited != 0) return fail_errno(saved, "wait for the jailer");
  return info;
}

}  // namespace

std::vector<std::string> jailer_command(const JailerArguments& arguments) {
  const std::string uid = std::to_string(arguments.uid);
  return {"jailer",
          "--id", to_string(arguments.id),
          "--exec-file", arguments.firecracker,
          "--uid", uid,
          "--gid", uid,
          "--chroot-base-dir", arguments.base,
          "--new-pid-ns",
          "--resource-limit", "fsize=" + std::to_string(arguments.mem_mib << 20),
          "--resource-limit", "no-file=" + std::to_string(kMaxVmmFds),
          "--",
          "--api-sock", "/run/firecracker.socket",
          "--log-path", "/" + std::string(kMemoryInJail) + "/" + kLogFile,
          "--level", "Warning"};
}

Result<Said> Said::make() {
  Fd memory(memfd_create("said", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const int saved = errno;
  if (!memory.valid()) return fail_errno(saved, "memfd_create");
  if (ftruncate(memory.get(), kMaxSaid) != 0 || fcntl(memory.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    return fail_errno(errno, "bound a memfd");
  }
  return Said(std::move(memory));
}

std::string Said::quoted() const {
  char text[kMaxQuote];
  const ssize_t got = pread(memory_.get(), text, sizeof text, 0);
  const std::string_view all(text, got < 0 ? 0 : static_cast<std::size_t>(got));
  return quote(all.substr(0, all.find_first_of(std::string_view("\0\n", 2))));
}

Status run_jailer(int jailer, int cgroup, const std::vector<std::string>& command, std::span<const Bind> binds, const Said& said, Deadline deadline) {
  std::vector<char*> argv;
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::vector<RawBind> raw;
  for (const Bind& each : binds) raw.push_back({each.from.c_str(), each.to.c_str(), each.writes == Bind::Writes::kRefused});
  const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  const int saved = errno;
  if (!null.valid()) return fail_errno(saved, "open /dev/null");
  const auto process = clone_into(cgroup, {jailer, null.get(), said.fd(), argv.data(), raw});
  if (!process) return forward(process.error());
  const auto waited = wait_for_exit(*process, deadline);
  // It is in the cgroup, whose death the caller waits for; but only its parent can take the zombie.
  if (!waited) (void)syscall(SYS_pidfd_send_signal, process->pidfd.get(), SIGKILL, nullptr, 0);
  const auto info = reap(*process);
  if (!waited) return waited;
  if (!info) return forward(info.error());
  if (info->si_code == CLD_EXITED && info->si_status == 0) return {};
  return fail(Errc::kDenied, "run the jailer: " + std::string(info->si_code == CLD_EXITED ? "status " : "signal ") +
                                 std::to_string(info->si_status),
              said.quoted());
}

}  // namespace mvm::jail
