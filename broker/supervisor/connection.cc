#include "broker/supervisor/connection.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/descriptors.h"

namespace mvm::supervisor {
namespace {

// One more than any request has, so that one too many is seen and not cut off.
constexpr std::size_t kMaxDescriptors = wire::kSubmitDescriptors + 1;

}  // namespace

Result<std::optional<Incoming>> Connection::receive() {
  std::vector<std::uint8_t> bytes(wire::kMaxRequest + 1);
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  const int saved = errno;
  if (got < 0 && (saved == EAGAIN || saved == EINTR)) return std::nullopt;
  if (got < 0) return fail_errno(saved, "read a request");
  std::vector<Fd> descriptors = descriptors_in(message);
  if (got == 0) return fail(Errc::kClosed, "read a request");
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return fail(Errc::kLimit, "read a request");
  auto request = wire::decode_request(std::span(bytes).first(static_cast<std::size_t>(got)));
  if (!request) return forward(request.error());
  if (descriptors.size() != wire::descriptors_of(*request)) return fail(Errc::kMalformed, "read a request with other descriptors");
  return Incoming{*std::move(request), std::move(descriptors)};
}

Status Connection::send(const wire::Event& event, Fd descriptor) {
  Outgoing outgoing{wire::encode(event), std::move(descriptor)};
  const std::size_t limit = role == Role::kWatcher ? kMaxQueuedForWatcher : kMaxQueuedForSubmitter;
  if (queued_bytes_ + outgoing.bytes.size() > limit) return fail(Errc::kLimit, "queue an event");
  queued_bytes_ += outgoing.bytes.size();
  queue_.push_back(std::move(outgoing));
  return flush();
}

Status Connection::flush() {
  while (!queue_.empty()) {
    Outgoing& next = queue_.front();
    iovec part{next.bytes.data(), next.bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (next.descriptor.valid()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      const int fd = next.descriptor.get();
      std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    const ssize_t sent = sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    const int saved = errno;
    if (sent < 0 && (saved == EAGAIN || saved == EINTR)) return {};
    if (sent < 0) return fail_errno(saved, "send an event");
    queued_bytes_ -= next.bytes.size();
    queue_.pop_front();
  }
  return {};
}

}  // namespace mvm::supervisor
