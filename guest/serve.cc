#include "guest/serve.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace mvm::guest {
namespace {

bool has_gone(int host) {
  pollfd state{host, POLLRDHUP, 0};
  return poll(&state, 1, 0) != 0;
}

// An address of another family has no context id, and is of a test's listener.
bool is_from(const sockaddr_storage& peer, std::uint32_t cid) {
  return peer.ss_family != AF_VSOCK || reinterpret_cast<const sockaddr_vm&>(peer).svm_cid == cid;
}

}  // namespace

Result<Fd> listen_on_vsock() {
  Fd listener(socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return fail_errno(errno, "open a socket", "vsock");
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = kPort;
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return fail_errno(errno, "bind", "vsock");
  if (listen(listener.get(), 4) != 0) return fail_errno(errno, "listen", "vsock");
  return listener;
}

Result<Fd> watch_work(const std::string& run_directory) {
  Fd watch(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!watch.valid()) return fail_errno(errno, "watch", run_directory);
  const int added = inotify_add_watch(watch.get(), run_directory.c_str(), IN_CREATE | IN_DELETE | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVE | IN_ONLYDIR);
  if (added < 0) return fail_errno(errno, "watch", run_directory);
  return watch;
}

Status Server::step() {
  const auto now = Clock::now();
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_heartbeat_ - now);
  const int wait = host_.valid() ? static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 60'000)) : -1;
  pollfd ready[] = {{listener_, POLLIN, 0}, {work_, POLLIN, 0}, {host_.get(), POLLIN, 0}};
  if (poll(ready, 3, wait) < 0) {
    if (errno == EINTR) return {};
    return fail_errno(errno, "wait", "poll");
  }
  if (((ready[0].revents | ready[1].revents) & (POLLERR | POLLNVAL | POLLHUP)) != 0) return fail(Errc::kClosed, "wait", "the listener, or the watch");
  if (ready[2].revents != 0) read_some();
  if (ready[0].revents != 0) welcome();
  if (ready[1].revents != 0) {
    alignas(inotify_event) char events[4096];
    while (read(work_, events, sizeof events) > 0) {
    }
    next_heartbeat_ = {};
  }
  if (host_.valid() && Clock::now() >= next_heartbeat_) {
    next_heartbeat_ = Clock::now() + kHeartbeatEvery;
    if (!send(session_.heartbeat())) host_.reset();
  }
  return {};
}

void Server::welcome() {
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  Fd host(accept4(listener_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!host.valid() || !is_from(peer, host_cid_)) return;
  host_ = std::move(host);
  have_ = 0;
  next_heartbeat_ = {};
}

void Server::read_some() {
  const ssize_t size = recv(host_.get(), packet_.data() + have_, packet_.size() - have_, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size <= 0) return host_.reset();
  have_ += static_cast<std::size_t>(size);
  if (have_ < packet_.size()) return;
  have_ = 0;
  const auto message = decode_from_host(packet_);
  explicit_bzero(packet_.data(), packet_.size());  // it may have held entropy
  if (message) {
    answer(*message);
  } else {
    std::fprintf(stderr, "mvm-guestd: %s\n", message.error().message().c_str());
    host_.reset();
  }
}

void Server::answer(const FromHost& message) {
  const auto answered = session_.answer(message);
  if (!answered) {
    std::fprintf(stderr, "mvm-guestd: %s\n", answered.error().message().c_str());
    return host_.reset();
  }
  // A host that has gone while we parked gave up on it, and nobody will wake us. One that goes later was told, and may have put us to sleep.
  if (!has_gone(host_.get()) && send(*answered)) return;
  if (std::holds_alternative<Parked>(answered->body)) session_.answer_was_lost();
  host_.reset();
}

// A message is sent whole or not at all: a host that does not read even so little is not there any more.
bool Server::send(const FromGuest& message) {
  const Packet packet = encode(message);
  return ::send(host_.get(), packet.data(), packet.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(packet.size());
}

}  // namespace mvm::guest
