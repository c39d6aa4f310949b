#include "planner/agent_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"

namespace mvm::planner {

Result<wire::AgentAnswer> ask_agent(const std::string& socket_path, const wire::AgentRequest& request) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) return fail(Errc::kLimit, "connect to agentd", socket_path);
  std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size());
  const Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return fail_errno(errno, "make a socket");
  if (TEMP_FAILURE_RETRY(connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address)) != 0) return fail_errno(errno, "connect to agentd", socket_path);
  std::vector<std::uint8_t> bytes = wire::encode(request);
  if (TEMP_FAILURE_RETRY(send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL)) < 0) {
    if (errno == EPIPE || errno == ECONNRESET) return fail(Errc::kClosed, "ask agentd", socket_path);
    return fail_errno(errno, "ask agentd", socket_path);
  }
  pollfd waited{socket.get(), POLLIN, 0};
  const long ready = TEMP_FAILURE_RETRY(poll(&waited, 1, static_cast<int>(std::chrono::milliseconds(kAgentTimeout).count())));
  if (ready < 0) return fail_errno(errno, "wait for agentd");
  if (ready == 0) return fail(Errc::kTimeout, "wait for agentd");
  bytes.assign(wire::kMaxAgentMessage + 1, 0);
  const ssize_t got = TEMP_FAILURE_RETRY(recv(socket.get(), bytes.data(), bytes.size(), 0));
  const int saved = errno;
  if (got == 0 || (got < 0 && saved == ECONNRESET)) return fail(Errc::kClosed, "hear agentd", socket_path);
  if (got < 0) return fail_errno(saved, "hear agentd", socket_path);
  return wire::decode_agent_answer(std::span(bytes).first(static_cast<std::size_t>(got)));
}

}  // namespace mvm::planner
