#include "seccomp/words.h"

#include <cap-ng.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/keyctl.h>
#include <linux/kvm.h>
#include <linux/loop.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>

#include "broker/sandbox/landlock.h"

namespace mvm::seccomp {
namespace {

#define NAMED(name) \
  { #name, static_cast<std::uint64_t>(name) }
const std::map<std::string, std::uint64_t, std::less<>> kConstants = {
    NAMED(BLKIOMIN), NAMED(DM_DEV_CREATE), NAMED(DM_DEV_REMOVE), NAMED(DM_DEV_STATUS), NAMED(DM_DEV_SUSPEND), NAMED(DM_LIST_DEVICES),
    NAMED(DM_TABLE_LOAD), NAMED(DM_TABLE_STATUS), NAMED(KEYCTL_REVOKE), NAMED(KEYCTL_UNLINK), NAMED(LOOP_CONFIGURE),
    NAMED(LOOP_CTL_GET_FREE), NAMED(LOOP_GET_STATUS64),
    NAMED(AF_INET), NAMED(AF_INET6), NAMED(AF_NETLINK), NAMED(AF_UNIX), NAMED(AT_EMPTY_PATH), NAMED(CLONE_NEWNET),
    NAMED(CLONE_NEWNS), NAMED(CLONE_NEWPID), NAMED(CLONE_NEWUSER), NAMED(CLONE_THREAD), NAMED(CLONE_VM), NAMED(FIONBIO),
    NAMED(FIONREAD), NAMED(FUTEX_WAKE_PRIVATE), NAMED(LOCK_NB), NAMED(LOCK_SH), NAMED(F_ADD_SEALS), NAMED(F_DUPFD_CLOEXEC), NAMED(F_GETFD), NAMED(F_GETFL), NAMED(F_GET_SEALS),
    NAMED(F_OFD_SETLK), NAMED(F_SETFD), NAMED(F_SETFL), NAMED(F_SETLK), NAMED(MAP_ANONYMOUS), NAMED(MAP_PRIVATE),
    NAMED(MAP_SHARED), NAMED(MFD_ALLOW_SEALING), NAMED(MFD_CLOEXEC), NAMED(MNT_DETACH), NAMED(MS_BIND), NAMED(MS_REC),
    NAMED(MS_SLAVE), NAMED(NETLINK_CAP_ACK), NAMED(NETLINK_EXT_ACK), NAMED(NETLINK_GET_STRICT_CHK), NAMED(NETLINK_NETFILTER),
    NAMED(NETLINK_ROUTE), NAMED(O_CREAT), NAMED(O_PATH), NAMED(PROT_EXEC), NAMED(PROT_READ), NAMED(PROT_WRITE),
    NAMED(PR_CAPBSET_READ), NAMED(PR_CAP_AMBIENT), NAMED(PR_GET_DUMPABLE), NAMED(PR_GET_NO_NEW_PRIVS), NAMED(PR_SET_CHILD_SUBREAPER), NAMED(PR_SET_DUMPABLE), NAMED(PR_SET_NAME),
    NAMED(PR_SET_NO_NEW_PRIVS), NAMED(PR_SET_PDEATHSIG), NAMED(PR_SET_SECCOMP), NAMED(P_PIDFD), NAMED(RLIMIT_FSIZE),
    NAMED(RLIMIT_NOFILE), NAMED(SECCOMP_SET_MODE_FILTER), NAMED(SIGABRT), NAMED(SIGKILL), NAMED(SIGTERM),
    NAMED(SOCK_CLOEXEC), NAMED(SOCK_DGRAM), NAMED(SOCK_NONBLOCK), NAMED(SOCK_RAW), NAMED(SOCK_SEQPACKET), NAMED(SOCK_STREAM),
    NAMED(SOL_SOCKET), NAMED(SO_ERROR), NAMED(SO_PEERCRED), NAMED(SO_RCVBUF), NAMED(SO_RCVBUFFORCE), NAMED(SO_RCVTIMEO),
    NAMED(SO_SNDBUF), NAMED(SO_SNDBUFFORCE), NAMED(SO_SNDTIMEO), NAMED(S_IFBLK), NAMED(S_IFCHR), NAMED(S_IFIFO), NAMED(S_IFMT), NAMED(S_IFREG), NAMED(TCGETS), NAMED(TCSETS),
    NAMED(TIOCGWINSZ), NAMED(TUNGETIFF), NAMED(TUNSETGROUP), NAMED(TUNSETIFF), NAMED(TUNSETOFFLOAD), NAMED(TUNSETOWNER),
    NAMED(TUNSETPERSIST), NAMED(TUNSETVNETHDRSZ),
    NAMED(UFFDIO_API), NAMED(UFFDIO_COPY), NAMED(UFFDIO_REGISTER), NAMED(UFFDIO_UNREGISTER), NAMED(USERFAULTFD_IOC_NEW), NAMED(UFFDIO_WAKE), NAMED(UFFDIO_ZEROPAGE), {"SOL_NETLINK", 270},
};
#undef NAMED

const std::map<std::string, int, std::less<>> kLimits = {
    {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},     {"data", RLIMIT_DATA},   {"fsize", RLIMIT_FSIZE},
    {"memlock", RLIMIT_MEMLOCK}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"stack", RLIMIT_STACK},
};

const std::map<std::string, int, std::less<>> kErrnos = {
    {"EACCES", EACCES}, {"ENOENT", ENOENT}, {"ENOSYS", ENOSYS}, {"ENOTTY", ENOTTY}, {"EPERM", EPERM},
};

template <class Map>
auto look_up(const Map& map, const std::string& name, const char* what) {
  const auto found = map.find(name);
  if (found == map.end()) throw std::runtime_error(std::string(what) + " \"" + name + "\" is not known");
  return found->second;
}

std::uint64_t one_right(const std::string& name) {
  const auto& rights = sandbox::kAccessRights;
  const auto found = std::ranges::find(rights, name, &sandbox::AccessRight::name);
  if (found == rights.end()) throw std::runtime_error("access right \"" + name + "\" is not known");
  return found->bit;
}

std::string spelled_out(const std::string& name) {
  if (name == "ro") return "read-file,read-dir";
  if (name == "rw") return "read-file,read-dir,write-file,truncate,make-reg,make-dir,remove-file,remove-dir,refer";
  return name;
}

}  // namespace

std::uint64_t constant(const std::string& name) {
  if (name.empty() || name.front() < '0' || name.front() > '9') return look_up(kConstants, name, "constant");
  std::size_t used = 0;
  const std::uint64_t value = std::stoull(name, &used, 0);
  if (used != name.size()) throw std::runtime_error("number \"" + name + "\"");
  return value;
}

unsigned capability(const std::string& name) {
  const int value = capng_name_to_capability(name.c_str());
  if (value < 0) throw std::runtime_error("capability \"" + name + "\" is not known");
  return static_cast<unsigned>(value);
}

int resource_limit(const std::string& name) { return look_up(kLimits, name, "limit"); }

int errno_number(const std::string& name) { return look_up(kErrnos, name, "errno"); }

std::uint64_t access_rights(const std::string& names) {
  std::uint64_t rights = 0;
  std::istringstream stream(spelled_out(names));
  for (std::string name; std::getline(stream, name, ',');) rights |= one_right(name);
  if (rights == 0) throw std::runtime_error("a path without rights");
  return rights;
}

}  // namespace mvm::seccomp
