#include "broker/jail/vmm_process.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "broker/beneath/beneath.h"
#include "broker/jail/cgroup.h"

namespace mvm::jail {
namespace {

constexpr std::size_t kMaxSyscall = 512;  // bytes of /proc/PID/syscall

// Files are opened, and processes are read, as that user, by this thread alone; then as before. The group is the jailer's: it is the same number.
class AsUser {
 public:
  explicit AsUser(uid_t uid) {
    (void)setfsgid(uid);
    (void)setfsuid(uid);
  }
  ~AsUser() {
    (void)setfsuid(0);
    (void)setfsgid(0);
    if (!is(0)) std::_Exit(EXIT_FAILURE);  // who is somebody else than it takes itself for does nothing more
  }
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;
  // An id that there cannot be changes nothing, and they say who it is.
  [[nodiscard]] static bool is(uid_t uid) {
    return setfsuid(static_cast<uid_t>(-1)) == static_cast<int>(uid) && setfsgid(static_cast<gid_t>(-1)) == static_cast<int>(uid);
  }
};

// KVM puts a kernel thread of each VM (kvm-nx-lpage-recovery) into the cgroup of whoever made the VM. Such a thread has no
// memory of its own, nor has a process that has ended: the first number of statm (proc(5)) is 0.
bool has_memory(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/statm";
  const Fd statm(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char first = '0';
  return statm.valid() && read(statm.get(), &first, 1) == 1 && first != '0';
}

// Opened by number, and then looked for once more: so it is the cgroup's, and no other of the same number.
template <class Open>
Result<Fd> open_member(int cgroup, Open open) {
  auto members = processes(cgroup);
  if (!members) return forward(members.error());
  std::erase_if(*members, [](pid_t pid) { return !has_memory(pid); });
  if (members->empty()) return fail(Errc::kNotFound, "find the microVM's process");
  if (members->size() > 1) return fail(Errc::kBusy, "find one process: the cgroup has " + std::to_string(members->size()));
  auto opened = open(members->front());
  if (!opened) return opened;
  const auto again = processes(cgroup);
  if (!again) return forward(again.error());
  if (std::ranges::find(*again, members->front()) == again->end()) return fail(Errc::kNotFound, "find the microVM's process");
  return opened;
}

// The number of a system call and its arguments, as /proc/PID/syscall has them: in decimal, and in hexadecimal with 0x. Nothing where it runs, or waits in none.
struct Call {
  long number = 0;
  std::vector<std::uint64_t> arguments;
};
std::optional<Call> read_call(std::string_view text) {
  Call call;
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, call.number);
  if (read.ec != std::errc{} || call.number < 0) return std::nullopt;
  for (constexpr std::string_view kBefore = " 0x"; std::string_view(read.ptr, end).starts_with(kBefore);) {
    std::uint64_t value = 0;
    read = std::from_chars(read.ptr + kBefore.size(), end, value, 16);
    if (read.ec != std::errc{}) return std::nullopt;
    call.arguments.push_back(value);
  }
  return call;
}

// Which argument is a path: glibc's open is openat(2), musl's is open(2).
std::optional<std::uint64_t> path_of(const Call& call) {
  const std::size_t place = call.number == SYS_openat ? 1 : 0;
  if ((call.number != SYS_openat && call.number != SYS_open) || call.arguments.size() <= place) return std::nullopt;
  return call.arguments[place];
}

}  // namespace

Result<Vmm> vmm_in(int cgroup) {
  auto pidfd = open_member(cgroup, [](pid_t pid) -> Result<Fd> {
    Fd opened(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    const int saved = errno;
    if (!opened.valid() && saved == ESRCH) return fail(Errc::kNotFound, "find the microVM's process");
    if (!opened.valid()) return fail_errno(saved, "pidfd_open");
    return opened;
  });
  if (!pidfd) return forward(pidfd.error());
  return Vmm{*std::move(pidfd)};
}

Result<VmmProcess> VmmProcess::open(int cgroup, uid_t uid) {
  auto directory = open_member(cgroup, [](pid_t pid) { return open_absolute("/proc/" + std::to_string(pid), O_PATH | O_DIRECTORY); });
  if (!directory) return forward(directory.error());
  VmmProcess process(*std::move(directory), uid);
  if (auto opened = process.open_all(); !opened) return forward(opened.error());
  return process;
}

Status VmmProcess::open_all() {
  const AsUser user(uid_);
  if (!AsUser::is(uid_)) return fail(Errc::kDenied, "read a VMM as its user");
  auto memory = open_beneath(directory_.get(), "mem", O_RDONLY);
  if (!memory) return forward(memory.error());
  auto pagemap = open_beneath(directory_.get(), "pagemap", O_RDONLY);
  if (!pagemap) return forward(pagemap.error());
  if (auto call = read_file(directory_.get(), "syscall", kMaxSyscall); !call) return forward(call.error());  // not every kernel has it
  memory_ = *std::move(memory);
  pagemap_ = *std::move(pagemap);
  return {};
}

Result<VmmProcess::Waits> VmmProcess::waits_to_open(const std::string& path) const {
  const auto text = [&] {
    const AsUser user(uid_);
    return read_file(directory_.get(), "syscall", kMaxSyscall);
  }();
  if (!text) return forward(text.error());
  const auto call = read_call(*text);
  const auto address = call ? path_of(*call) : std::nullopt;
  if (!address) return Waits::kNo;
  std::string there(path.size() + 1, '\0');
  const ssize_t got = pread(memory_.get(), there.data(), there.size(), static_cast<off_t>(*address));
  return got == static_cast<ssize_t>(there.size()) && there == path + '\0' ? Waits::kYes : Waits::kNo;
}

Result<GuestMemory> VmmProcess::find_memory(std::uint64_t bytes) const {
  const auto maps = [&] {
    const AsUser user(uid_);
    return read_file(directory_.get(), "maps", kMaxMaps);
  }();
  if (!maps) return forward(maps.error());
  const auto mappings = read_mappings(*maps);
  if (!mappings) return forward(mappings.error());
  return find_guest_memory(*mappings, bytes, [&](std::uint64_t address) -> std::optional<Root> {
    Root root;
    if (pread(memory_.get(), root.data(), root.size(), static_cast<off_t>(address)) != static_cast<ssize_t>(root.size())) return std::nullopt;
    return root;
  });
}

}  // namespace mvm::jail
