#include "planner/agent_client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "planner/unix_socket.h"

namespace mvm::planner {

Result<wire::AgentAnswer> ask_agent(const std::string& socket_path, const wire::AgentRequest& request) {
  const auto socket = connect_to(socket_path, "connect to agentd");
  if (!socket) return forward(socket.error());
  std::vector<std::uint8_t> bytes = wire::encode(request);
  if (TEMP_FAILURE_RETRY(send(socket->get(), bytes.data(), bytes.size(), MSG_NOSIGNAL)) < 0) {
    if (errno == EPIPE || errno == ECONNRESET) return fail(Errc::kClosed, "ask agentd", socket_path);
    return fail_errno(errno, "ask agentd", socket_path);
  }
  if (auto ready = wait_readable(*socket, static_cast<int>(std::chrono::milliseconds(kAgentTimeout).count()), "wait for agentd"); !ready) return forward(ready.error());
  bytes.assign(wire::kMaxAgentMessage + 1, 0);
  const ssize_t got = TEMP_FAILURE_RETRY(recv(socket->get(), bytes.data(), bytes.size(), 0));
  const int saved = errno;
  if (got == 0 || (got < 0 && saved == ECONNRESET)) return fail(Errc::kClosed, "hear agentd", socket_path);
  if (got < 0) return fail_errno(saved, "hear agentd", socket_path);
  return wire::decode_agent_answer(std::span(bytes).first(static_cast<std::size_t>(got)));
}

}  // namespace mvm::planner
