#include "broker/jail/api.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace mvm::jail {
namespace {

std::string request_text(std::string_view method, std::string_view path, std::string_view body) {
  std::string text = std::string(method) + ' ' + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n";
  if (!body.empty()) {
    text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  }
  return text + "\r\n" + std::string(body);
}

Status wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    const int left = deadline.left_ms();
    if (left == 0) return fail(Errc::kTimeout, "wait for the VMM");
    pollfd ready{fd, events, 0};
    const int count = poll(&ready, 1, left);
    const int saved = errno;
    if (count < 0 && saved != EINTR) return fail_errno(saved, "poll");
    if (count > 0) return {};
  }
}

Status send_all(int fd, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    const int saved = errno;
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (saved == EAGAIN) {
      if (auto ready = wait_for(fd, POLLOUT, deadline); !ready) return ready;
    } else if (saved == EPIPE || saved == ECONNRESET) {
      return fail(Errc::kClosed, "send to the VMM");
    } else if (saved != EINTR) {
      return fail_errno(saved, "send to the VMM");
    }
  }
  return {};
}

// 0: nothing there yet.
Result<std::size_t> receive_some(int fd, std::array<char, 4096>& buffer) {
  const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
  const int saved = errno;
  if (got > 0) return static_cast<std::size_t>(got);
  if (got == 0 || saved == ECONNRESET) return fail(Errc::kClosed, "receive from the VMM");
  if (saved == EAGAIN || saved == EINTR) return 0;
  return fail_errno(saved, "receive from the VMM");
}

Result<Response> receive_response(int fd, Deadline deadline) {
  ResponseParser parser;
  std::array<char, 4096> buffer;
  for (;;) {
    if (auto ready = wait_for(fd, POLLIN, deadline); !ready) return forward(ready.error());
    const auto got = receive_some(fd, buffer);
    if (!got) return forward(got.error());
    if (*got == 0) continue;
    const auto progress = parser.feed({buffer.data(), *got});
    if (!progress) return forward(progress.error());
    if (*progress == ResponseParser::Progress::kDone) return parser.take();
  }
}

std::unexpected<Error> named(std::string_view method, std::string_view path, Error error) {
  error.tried = std::string(method) + ' ' + std::string(path) + ": " + error.tried;
  return forward(std::move(error));
}

}  // namespace

Result<Api> Api::connect(int jail_root, const Peer& peer) {
  auto socket = connect_to_vmm(jail_root, kApiSocket, peer);
  if (!socket) return forward(socket.error());
  return Api(*std::move(socket));
}

Status Api::ask(std::string_view method, std::string_view path, std::string_view body, Deadline deadline) {
  auto sent = send_all(socket_.get(), request_text(method, path, body), deadline);
  return sent ? sent : named(method, path, sent.error());
}

Result<Response> Api::answer(std::string_view method, std::string_view path, Deadline deadline) {
  auto response = receive_response(socket_.get(), deadline);
  if (!response) return named(method, path, response.error());
  return response;
}

bool Api::says_something(Deadline deadline) const { return wait_for(socket_.get(), POLLIN, deadline).has_value(); }

Result<Response> Api::call(std::string_view method, std::string_view path, std::string_view body, Deadline deadline) {
  if (auto sent = ask(method, path, body, deadline); !sent) return forward(sent.error());
  return answer(method, path, deadline);
}

Status Api::change(std::string_view method, std::string_view path, std::string_view body, Deadline deadline) {
  if (auto sent = ask(method, path, body, deadline); !sent) return sent;
  return changed(method, path, deadline);
}

Status Api::changed(std::string_view method, std::string_view path, Deadline deadline) {
  const auto response = answer(method, path, deadline);
  if (!response) return forward(response.error());
  if (response->status == 204) return {};
  return fail(Errc::kDenied, std::string(method) + ' ' + std::string(path) + ": status " + std::to_string(response->status),
              quote(response->body));
}

Result<std::string> Api::version(Deadline deadline) { return field("/version", "firecracker_version", deadline); }
Result<std::string> Api::state(Deadline deadline) { return field("/", "state", deadline); }

Result<std::string> Api::field(std::string_view path, std::string_view name, Deadline deadline) {
  const auto response = call("GET", path, {}, deadline);
  if (!response) return forward(response.error());
  if (response->status != 200) return fail(Errc::kDenied, "GET " + std::string(path), quote(response->body));
  return string_field(response->body, name);
}

}  // namespace mvm::jail
