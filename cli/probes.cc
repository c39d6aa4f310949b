#include "cli/probes.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/landlock.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "base/fd.h"

namespace mvm::cli {
namespace {

// One nfnetlink batch that makes a table in each family. Built by hand: it is five messages without nesting.
class Batch {
 public:
  void add(std::uint16_t type, std::uint16_t flags, std::uint8_t family, std::uint16_t resource, const char* name) {
    const std::size_t start = bytes_.size();
    const std::size_t name_size = name == nullptr ? 0 : std::strlen(name) + 1;
    nlmsghdr header{};
    header.nlmsg_type = type;
    header.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header.nlmsg_seq = ++sequence_;
    append(&header, sizeof header);
    const nfgenmsg family_header{family, NFNETLINK_V0, htons_(resource)};
    append(&family_header, sizeof family_header);
    if (name != nullptr) {
      const nlattr attribute{static_cast<std::uint16_t>(sizeof(nlattr) + name_size), NFTA_TABLE_NAME};
      append(&attribute, sizeof attribute);
      append(name, name_size);
      bytes_.resize(NLMSG_ALIGN(bytes_.size()));
    }
    const auto size = static_cast<std::uint32_t>(bytes_.size() - start);
    std::memcpy(bytes_.data() + start, &size, sizeof size);
  }
  [[nodiscard]] const std::vector<char>& bytes() const { return bytes_; }

 private:
  static std::uint16_t htons_(std::uint16_t value) { return static_cast<std::uint16_t>(value << 8 | value >> 8); }
  void append(const void* data, std::size_t size) {
    const char* first = static_cast<const char*>(data);
    bytes_.insert(bytes_.end(), first, first + size);
  }
  std::vector<char> bytes_;
  std::uint32_t sequence_ = 0;
};

// 0, or the errno of the first step that failed. Runs in a child.
int nftables_in_new_namespace() {
  if (unshare(CLONE_NEWNET) != 0) return errno;
  const Fd socket_fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket_fd.valid()) return errno;
  constexpr std::uint16_t kNewTable = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE;
  constexpr std::uint8_t kInet = 1, kNetdev = 5, kBridge = 7;  // NFPROTO_*
  Batch batch;
  batch.add(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, nullptr);
  for (const std::uint8_t family : {kInet, kNetdev, kBridge}) batch.add(kNewTable, NLM_F_CREATE | NLM_F_ACK, family, 0, "mvm-probe");
  batch.add(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, nullptr);
  if (send(socket_fd.get(), batch.bytes().data(), batch.bytes().size(), 0) < 0) return errno;
  for (int acks = 0; acks < 3;) {
    alignas(nlmsghdr) char buffer[8192];
    const ssize_t size = recv(socket_fd.get(), buffer, sizeof buffer, 0);
    if (size < 0) return errno;
    auto left = static_cast<int>(size);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type != NLMSG_ERROR) return EPROTO;
      const int code = static_cast<nlmsgerr*>(NLMSG_DATA(message))->error;
      if (code != 0) return -code;
      ++acks;
    }
  }
  return 0;
}

}  // namespace

Result<int> kvm_api_version() {
  const Fd kvm(open("/dev/kvm", O_RDWR | O_CLOEXEC));
  if (!kvm.valid()) return fail_errno(errno, "open", "/dev/kvm");
  const int version = ioctl(kvm.get(), KVM_GET_API_VERSION, 0);
  if (version < 0) return fail_errno(errno, "ioctl KVM_GET_API_VERSION", "/dev/kvm");
  return version;
}

Status probe_nftables() {
  const pid_t child = fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child == 0) _exit(nftables_in_new_namespace());
  int status = 0;
  if (waitpid(child, &status, 0) != child) return fail_errno(errno, "waitpid");
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
  if (code != 0) return fail_errno(code, "make nftables tables in a namespace");
  return {};
}

int landlock_abi() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

bool seccomp_can_kill_process() {
  std::uint32_t action = SECCOMP_RET_KILL_PROCESS;
  return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0;
}

bool has_pidfd() { return Fd(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0))).valid(); }

// Too small a size is EINVAL where the call is known.
bool has_clone3() { return syscall(SYS_clone3, nullptr, 0) < 0 && errno != ENOSYS; }

bool has_openat2() {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  return Fd(static_cast<int>(syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof how))).valid();
}

bool has_userfaultfd() {
  std::ifstream misc("/proc/misc");
  for (std::string minor, name; misc >> minor >> name;) {
    if (name == "userfaultfd") return true;
  }
  return false;
}

Result<std::string> first_line_of(const std::string& program, const std::string& argument) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe2");
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writing.get(), STDOUT_FILENO);
  std::string name = program, option = argument;
  char* const arguments[] = {name.data(), option.data(), nullptr};
  char* const environment[] = {nullptr};
  pid_t child = -1;
  const int failed = posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return fail_errno(failed, "run", program);
  writing.reset();
  std::string text;
  char buffer[512];
  ssize_t count = 0;
  while (text.size() < 4096 && (count = read(reading.get(), buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<std::size_t>(count));
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(Errc::kUnsupported, "run", program + " " + argument);
  return text.substr(0, text.find('\n'));
}

}  // namespace mvm::cli
