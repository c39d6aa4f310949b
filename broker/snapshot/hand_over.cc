#include "broker/snapshot/hand_over.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/descriptors.h"

namespace mvm::snapshot {
namespace {

constexpr std::uint64_t kMagic = 0x31656b61776d766d;  // "mvmwake1", backwards
constexpr std::size_t kDescriptors = 4;

// Both ends are one build on one host.
struct Wire {
  std::uint64_t magic;
  std::array<char, kMaxName> tenant, pool;
  std::uint32_t instance, zero;
  Digest line, vmm;
};
static_assert(sizeof(Wire) == 8 + 2 * kMaxName + 8 + 64);

std::optional<Name> name_of(const std::array<char, kMaxName>& padded) {
  const std::string_view all(padded.data(), padded.size());
  const auto name = Name::from(all.substr(0, all.find('\0')));
  if (!name || std::string_view(name->padded().data(), kMaxName) != all) return std::nullopt;
  return *name;
}

std::array<char, kMaxName> padded(const Name& name) {
  std::array<char, kMaxName> out;
  std::memcpy(out.data(), name.padded().data(), out.size());
  return out;
}

}  // namespace

Status send_hand_over(int link, const HandOver& hand_over) {
  Wire wire{kMagic, padded(hand_over.instance.tenant), padded(hand_over.instance.pool), hand_over.instance.instance.value, 0, hand_over.line, hand_over.vmm};
  const std::array<int, kDescriptors> fds = {hand_over.ours.get(), hand_over.theirs.get(), hand_over.file.get(), hand_over.state.get()};
  iovec part{&wire, sizeof wire};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  *header = {.cmsg_len = CMSG_LEN(sizeof fds), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  const ssize_t sent = sendmsg(link, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  const int saved = errno;
  if (sent != static_cast<ssize_t>(sizeof wire)) return fail_errno(saved, "hand a snapshot over", to_string(hand_over.instance));
  return {};
}

Result<HandOver> receive_hand_over(int link) {
  Wire wire{};
  iovec part{&wire, sizeof wire};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kDescriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t got = 0;
  int saved = 0;
  do {
    got = recvmsg(link, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    saved = errno;
  } while (got < 0 && saved == EINTR);
  if (got < 0 && (saved == EAGAIN || saved == EWOULDBLOCK)) return fail(Errc::kNotFound, "find a snapshot that was handed over");
  if (got < 0) return fail_errno(saved, "take a snapshot that is handed over");
  std::vector<Fd> fds = descriptors_in(message);
  if (got == 0) return fail(Errc::kClosed, "take a snapshot that is handed over");
  const bool whole = got == static_cast<ssize_t>(sizeof wire) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 && fds.size() == kDescriptors;
  const auto tenant = name_of(wire.tenant), pool = name_of(wire.pool);
  if (!whole || wire.magic != kMagic || wire.zero != 0 || !tenant || !pool) return fail(Errc::kMalformed, "take a snapshot that is handed over");
  return HandOver{instance_subject(*tenant, *pool, InstanceId{wire.instance}), wire.line, wire.vmm, std::move(fds[0]), std::move(fds[1]), std::move(fds[2]), std::move(fds[3])};
}

}  // namespace mvm::snapshot
