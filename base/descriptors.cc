#include "base/descriptors.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace mvm {
namespace {

struct Control {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> bytes{};
};

}  // namespace

std::vector<Fd> descriptors_in(msghdr& message) {
  std::vector<Fd> found;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      found.emplace_back(fd);
    }
  }
  return found;
}

Status send_with_descriptors(int socket, std::span<const std::uint8_t> packet, std::span<const int> descriptors) {
  if (descriptors.size() > kMaxDescriptors) return fail(Errc::kLimit, "send descriptors");
  iovec part{const_cast<std::uint8_t*>(packet.data()), packet.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  *header = {.cmsg_len = CMSG_LEN(descriptors.size_bytes()), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  const ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  const int saved = errno;
  if (sent != static_cast<ssize_t>(packet.size())) return fail_errno(saved, "send a packet with descriptors");
  return {};
}

Result<std::vector<Fd>> receive_with_descriptors(int socket, std::span<std::uint8_t> packet, std::size_t descriptors) {
  iovec part{packet.data(), packet.size()};
  Control control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes.data();
  message.msg_controllen = control.bytes.size();
  ssize_t got = 0;
  int saved = 0;
  do {
    got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    saved = errno;
  } while (got < 0 && saved == EINTR);
  if (got < 0 && saved == EAGAIN) return fail(Errc::kNotFound, "find a packet with descriptors");
  if (got < 0) return fail_errno(saved, "receive a packet with descriptors");
  std::vector<Fd> found = descriptors_in(message);
  if (got == 0) return fail(Errc::kClosed, "receive a packet with descriptors");
  const bool whole = got == static_cast<ssize_t>(packet.size()) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && found.size() == descriptors;
  if (!whole) return fail(Errc::kMalformed, "receive a packet with descriptors");
  return found;
}

}  // namespace mvm
