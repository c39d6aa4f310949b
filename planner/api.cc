#include "planner/api.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "planner/files.h"
#include "planner/unix_socket.h"

namespace mvm::planner {
namespace {

constexpr unsigned kSocketMode = 0660;

// Nothing: not yet. kClosed, kLimit, kMalformed: the end of the connection. Descriptors that come are closed by the kernel, and the message is none.
Result<std::optional<wire::AgentRequest>> receive(int socket) {
  std::vector<std::uint8_t> bytes(wire::kMaxAgentMessage + 1);  // what is cut is too long for the decoder
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const ssize_t got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const int saved = errno;
  if (got < 0 && (saved == EAGAIN || saved == EINTR)) return std::nullopt;
  if (got < 0) return fail_errno(saved, "read a request");
  if (got == 0) return fail(Errc::kClosed, "read a request");
  if ((message.msg_flags & MSG_CTRUNC) != 0) return fail(Errc::kLimit, "read a request");
  auto request = wire::decode_agent_request(std::span(bytes).first(static_cast<std::size_t>(got)));
  if (!request) return forward(request.error());
  return *std::move(request);
}

}  // namespace

Result<Fd> Api::listen_at(const std::string& path) {
  const auto address = unix_address(path, "listen");
  if (!address) return forward(address.error());
  if (auto gone = remove_file(path); !gone) return forward(gone.error());
  Fd listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return fail_errno(errno, "make a socket", path);
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) return fail_errno(errno, "bind", path);
  if (chmod(path.c_str(), kSocketMode) != 0) return fail_errno(errno, "set the mode of", path);
  if (listen(listener.get(), static_cast<int>(kMaxApiConnections)) != 0) return fail_errno(errno, "listen", path);
  return listener;
}

void Api::add_to(std::vector<pollfd>& polled) const {
  polled.push_back({listener_.get(), POLLIN, 0});
  // Who has asked is heard no more; that he has gone is told all the same.
  for (const Connection& each : connections_) polled.push_back({each.socket.get(), static_cast<short>(each.asked ? 0 : POLLIN), 0});
}

std::vector<Api::Asked> Api::take(std::span<const pollfd> polled) {
  std::vector<Asked> asked;
  if (polled.empty()) return asked;
  std::size_t next = 1;
  for (auto at = connections_.begin(); at != connections_.end() && next < polled.size(); ++next) {
    const auto connection = at++;
    if (polled[next].revents == 0) continue;
    if (connection->asked) {
      connections_.erase(connection);
      continue;
    }
    auto request = receive(connection->socket.get());
    if (!request) {
      connections_.erase(connection);
    } else if (*request) {
      connection->asked = true;
      asked.push_back({connection->who, **std::move(request)});
    }
  }
  if (polled[0].revents != 0) accept_all();
  return asked;
}

bool Api::may_ask(int socket) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == peers_.user || peer.gid == peers_.group;
}

void Api::accept_all() {
  while (true) {
    Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) return;
    if (!may_ask(socket.get())) continue;
    if (connections_.size() == kMaxApiConnections) {
      const auto oldest = std::ranges::find(connections_, false, &Connection::asked);
      if (oldest == connections_.end()) continue;
      connections_.erase(oldest);
    }
    connections_.push_back({next_++, std::move(socket)});
  }
}

void Api::answer(Who who, const wire::AgentAnswer& answer) {
  const auto connection = std::ranges::find(connections_, who, &Connection::who);
  if (connection == connections_.end()) return;
  std::vector<std::uint8_t> bytes = wire::encode(answer);
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  (void)sendmsg(connection->socket.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  connections_.erase(connection);
}

}  // namespace mvm::planner
