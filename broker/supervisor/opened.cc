#include "broker/supervisor/opened.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "broker/supervisor/files.h"
#include "broker/supervisor/signature.h"
#include "policy-lang/table.h"

namespace mvm::supervisor {
namespace {

constexpr const char* kBoot = "boot";
constexpr long kCgroup2Magic = 0x63677270;  // statfs(2)
constexpr mode_t kOthersMayWrite = 022;
constexpr useconds_t kPause = 20'000;
constexpr int kPausesForWorkers = 500;

std::unexpected<Error> system_error(int saved, const char* tried, const std::string& on) { return fail_errno(saved, tried, on); }

Result<Fd> open_directory(int at, const std::string& path) {
  Fd fd(openat(at, path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  const int saved = errno;
  if (!fd.valid()) return system_error(saved, "open the directory", path);
  return fd;
}

struct Ownership {
  uid_t uid;
  gid_t gid;
  mode_t mode;
};

// The directory, made where it is missing, with that owner and mode; of a privileged owner before, or refused.
Result<Fd> own_directory(int at, const std::string& path, const Ownership& wanted) {
  if (mkdirat(at, path.c_str(), 0700) != 0 && errno != EEXIST) return system_error(errno, "make the directory", path);
  auto fd = open_directory(at, path);
  if (!fd) return fd;
  struct stat status {};
  if (fstat(fd->get(), &status) != 0) return system_error(errno, "look at the directory", path);
  if (status.st_uid != 0 && status.st_uid != wanted.uid) return fail(Errc::kDenied, "use a directory of someone else's", path);
  if (fchown(fd->get(), wanted.uid, wanted.gid) != 0) return system_error(errno, "give the directory its owner", path);
  if (fchmod(fd->get(), wanted.mode) != 0) return system_error(errno, "give the directory its mode", path);
  return fd;
}

Result<std::string> read_policy(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  const int saved = errno;
  if (!fd.valid()) return system_error(saved, "open the policy", path);
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return system_error(errno, "look at the policy", path);
  if (!S_ISREG(status.st_mode) || status.st_uid != 0 || (status.st_mode & kOthersMayWrite) != 0) {
    return fail(Errc::kDenied, "read a policy that is not a file which root alone may write", path);
  }
  std::string text(lang::kMaxTextBytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0) return system_error(errno, "read the policy", path);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > lang::kMaxTextBytes) return fail(Errc::kLimit, "read the policy", path);
  text.resize(size);
  return text;
}

// kBusy where somebody else has it, and still has it after so many pauses.
Result<Fd> take_lock(const Fd& state, const char* name, const char* tried, int pauses) {
  auto fd = open_file(state, name, O_RDONLY | O_CREAT);
  if (!fd) return fd;
  while (flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    const int saved = errno;
    if (saved != EWOULDBLOCK) return system_error(saved, "lock", name);
    if (pauses-- == 0) return fail(Errc::kBusy, tried);
    usleep(kPause);
  }
  return fd;
}

// Made anew: one that another process has left is nobody's. /proc/self/fd, so that the name stays below the directory held.
Result<Fd> listen_at(const Fd& run, gid_t group) {
  Fd fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return system_error(errno, "make a socket", kSocketName);
  if (unlinkat(run.get(), kSocketName, 0) != 0 && errno != ENOENT) return system_error(errno, "remove the old socket", kSocketName);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(run.get()) + "/" + kSocketName;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return system_error(errno, "bind", kSocketName);
  if (fchownat(run.get(), kSocketName, 0, group, AT_SYMLINK_NOFOLLOW) != 0) return system_error(errno, "own", kSocketName);
  if (fchmodat(run.get(), kSocketName, 0660, 0) != 0) return system_error(errno, "set the mode of", kSocketName);
  if (listen(fd.get(), kBacklog) != 0) return system_error(errno, "listen at", kSocketName);
  return fd;
}

Result<Fd> take_signals() {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  if (sigprocmask(SIG_BLOCK, &ending, nullptr) != 0) return system_error(errno, "block", "SIGTERM");
  Fd fd(signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return system_error(errno, "make a", "signalfd");
  return fd;
}

Status need(bool there, const char* what, const char* remedy) {
  if (there) return {};
  return fail(Errc::kUnsupported, std::string("find ") + what + " (" + remedy + ")");
}

}  // namespace

Result<Opened> open_all(const Setup& setup) {
  if (geteuid() != 0) return fail(Errc::kDenied, "start as root, which is given up later");
  Opened out;
  const auto self = sandbox::user_named(setup.own_user), agent = sandbox::user_named(setup.agent_user);
  if (!self) return forward(self.error());
  if (!agent) return forward(agent.error());
  out.self = *self;
  out.agent = *agent;
  auto state = own_directory(AT_FDCWD, setup.state, {0, self->gid, 0711});
  if (!state) return forward(state.error());
  out.state = *std::move(state);
  for (const auto& [into, name] : {std::pair{&out.records, "records"}, {&out.journal, "journal"}, {&out.audit, "audit"}}) {
    auto directory = own_directory(out.state.get(), name, {self->uid, self->gid, 0700});
    if (!directory) return forward(directory.error());
    *into = *std::move(directory);
  }
  // Root's, who alone files images; others read them.
  auto images = own_directory(out.state.get(), "images", {0, 0, 0755});
  if (!images) return forward(images.error());
  out.images = *std::move(images);
  for (const WorkerSetup& worker : setup.workers) {
    const auto user = sandbox::user_named(worker.user);
    if (!user) return forward(user.error());
    for (const std::string& name : worker.directories) {
      if (auto made = own_directory(out.state.get(), name, {user->uid, user->gid, 0700}); !made) return forward(made.error());
    }
  }
  auto lock = take_lock(out.state, "lock", "be the only hostd of this state directory", 0);
  if (!lock) return forward(lock.error());
  out.lock = *std::move(lock);
  // Workers whose hostd was killed die with it, but a system call that one is in goes to its end first: until then, nobody else may look or touch.
  auto workers = take_lock(out.state, kWorkersLock, "start workers: one of a hostd before this does not end", kPausesForWorkers);
  if (!workers) return forward(workers.error());
  out.workers_lock = *std::move(workers);
  auto policy = read_policy(setup.policy);
  if (!policy) return forward(policy.error());
  out.policy_text = *std::move(policy);
  const auto run = own_directory(AT_FDCWD, setup.run, {0, agent->gid, 0750});
  if (!run) return forward(run.error());
  if (!setup.memory.empty()) {
    // Its group may seal what is there; nobody else finds anything in it.
    const auto sealer = sandbox::user_named(setup.workers[static_cast<std::size_t>(std::ranges::find(kExecutors, lang::Worker::kSnapshot) - kExecutors.begin())].user);
    if (!sealer) return forward(sealer.error());
    if (auto memory = own_directory(AT_FDCWD, setup.memory, {0, sealer->gid, 0711}); !memory) return forward(memory.error());
  }
  auto listener = listen_at(*run, agent->gid);
  if (!listener) return forward(listener.error());
  out.listener = *std::move(listener);
  auto signals = take_signals();
  if (!signals) return forward(signals.error());
  out.signals = *std::move(signals);
  out.boot_id = setup.boot_id;
  return out;
}

Status check_host(const Setup& setup) {
  struct statfs cgroup {};
  const bool unified = setup.cgroup.empty() || (statfs(setup.cgroup.c_str(), &cgroup) == 0 && cgroup.f_type == kCgroup2Magic);
  if (auto ok = need(unified, "its cgroup, in cgroup v2", "start mvm-instances.service; boot with systemd.unified_cgroup_hierarchy=1"); !ok) return ok;
  const bool landlock = syscall(SYS_landlock_create_ruleset, nullptr, 0, 1U) >= 1;  // LANDLOCK_CREATE_RULESET_VERSION
  if (auto ok = need(landlock, "Landlock", "boot with lsm=landlock,... on Linux 5.13 or later"); !ok) return ok;
  const unsigned kill_process = SECCOMP_RET_KILL_PROCESS;
  const bool seccomp = syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill_process) == 0;
  if (auto ok = need(seccomp, "seccomp filters", "a kernel with CONFIG_SECCOMP_FILTER"); !ok) return ok;
  return check_signatures_work();
}

Result<Boot> boot_of(const Fd& journal, const std::string& boot_id) {
  const auto last = read_file(journal, kBoot, 256);
  if (!last && last.error().code == Errc::kNotFound) return Boot::kAnother;
  if (!last) return forward(last.error());
  return *last == boot_id ? Boot::kSame : Boot::kAnother;
}

Status remember_boot(const Fd& journal, const std::string& boot_id) { return write_file(journal, kBoot, boot_id, Keep::kOverPowerCut); }

}  // namespace mvm::supervisor
