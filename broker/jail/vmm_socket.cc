#include "broker/jail/vmm_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "broker/beneath/beneath.h"
#include "broker/jail/cgroup.h"

namespace mvm::jail {
namespace {

// The socket's inode itself, so that what is checked is what is connected to.
Result<Fd> find_socket(int jail_root, const char* name) {
  auto inode = open_beneath(jail_root, name, O_PATH | O_NOFOLLOW);
  if (!inode && inode.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "find the VMM's socket", name);
  if (!inode) return inode;
  struct stat info{};
  const int read = fstat(inode->get(), &info);
  const int saved = errno;
  if (read != 0) return fail_errno(saved, "fstat", name);
  if (!S_ISSOCK(info.st_mode)) return fail(Errc::kDenied, "connect to what is not a socket", name);
  return inode;
}

Status check_peer(int socket, const char* name, const Peer& peer) {
  ucred who{};
  socklen_t size = sizeof who;
  const int read = getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size);
  const int saved = errno;
  if (read != 0) return fail_errno(saved, "SO_PEERCRED", name);
  if (who.uid != peer.uid) return fail(Errc::kDenied, "talk to another uid than the jail's", name);
  const auto members = processes(peer.cgroup);
  if (!members) return forward(members.error());
  if (std::ranges::find(*members, who.pid) == members->end()) return fail(Errc::kDenied, "talk to a process that is not in the instance's cgroup", name);
  return {};
}

}  // namespace

Result<Fd> connect_to_vmm(int jail_root, const char* name, const Peer& peer) {
  const auto inode = find_socket(jail_root, name);
  if (!inode) return forward(inode.error());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int socket_errno = errno;
  if (!socket.valid()) return fail_errno(socket_errno, "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string by_fd = "/proc/self/fd/" + std::to_string(inode->get());
  std::memcpy(address.sun_path, by_fd.c_str(), by_fd.size() + 1);
  const int connected = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int saved = errno;
  if (connected != 0 && (saved == ECONNREFUSED || saved == EAGAIN)) return fail(Errc::kNotFound, "connect", name);
  if (connected != 0) return fail_errno(saved, "connect", name);
  if (auto right = check_peer(socket.get(), name, peer); !right) return forward(right.error());
  return socket;
}

}  // namespace mvm::jail
