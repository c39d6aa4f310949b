#include "planner/unix_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mvm::planner {

Result<sockaddr_un> unix_address(const std::string& path, const char* tried) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(Errc::kLimit, tried, path);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  return address;
}

Result<Fd> connect_to(const std::string& path, const char* tried) {
  const auto address = unix_address(path, tried);
  if (!address) return forward(address.error());
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const int socket_errno = errno;
  if (!socket.valid()) return fail_errno(socket_errno, "make a socket");
  const long connected = TEMP_FAILURE_RETRY(connect(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address));
  const int saved = errno;
  if (connected != 0) return fail_errno(saved, tried, path);
  return socket;
}

Status wait_readable(const Fd& socket, int timeout_ms, const char* tried) {
  pollfd waited{socket.get(), POLLIN, 0};
  const long ready = TEMP_FAILURE_RETRY(poll(&waited, 1, timeout_ms));
  const int saved = errno;
  if (ready < 0) return fail_errno(saved, tried);
  if (ready == 0) return fail(Errc::kTimeout, tried);
  return {};
}

}  // namespace mvm::planner
