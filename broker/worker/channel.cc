#include "broker/worker/channel.h"

#include <sys/socket.h>

#include <cerrno>

namespace mvm::worker {
namespace {

Result<std::vector<std::uint8_t>> receive_packet(Wait wait) {
  std::vector<std::uint8_t> packet(wire::kMaxPacket + 1);  // one more, to see that a packet is too long
  ssize_t size = 0;
  int saved = 0;
  do {
    size = recv(wire::kChannelFd, packet.data(), packet.size(), wait == Wait::kNo ? MSG_DONTWAIT : 0);
    saved = errno;
  } while (size < 0 && saved == EINTR);
  if (size < 0 && saved == EAGAIN) return fail(Errc::kTimeout, "read a task");
  if (size < 0) return fail_errno(saved, "read a task");
  if (size == 0) return fail(Errc::kClosed, "read a task");
  if (static_cast<std::size_t>(size) > wire::kMaxPacket) return fail(Errc::kLimit, "read a task", "bytes");
  packet.resize(static_cast<std::size_t>(size));
  return packet;
}

Status send_packet(const std::vector<std::uint8_t>& packet) {
  ssize_t size = 0;
  int saved = 0;
  do {
    size = send(wire::kChannelFd, packet.data(), packet.size(), MSG_NOSIGNAL);
    saved = errno;
  } while (size < 0 && saved == EINTR);
  if (size < 0) return fail_errno(saved, "send an answer");
  return {};
}

}  // namespace

Result<wire::Task> receive_task(Wait wait) {
  const auto packet = receive_packet(wait);
  if (!packet) return forward(packet.error());
  return wire::decode_task(*packet);
}

Status send_answers(const std::vector<wire::Answer>& answers) {
  for (const wire::Answer& answer : answers) {
    if (auto sent = send_packet(wire::encode(answer)); !sent) return sent;
  }
  return {};
}

Status serve(const std::function<std::vector<wire::Answer>(const wire::Task&)>& dispatch) {
  while (true) {
    const auto task = receive_task(Wait::kUntilThereIsOne);
    if (!task) return task.error().code == Errc::kClosed ? Status{} : forward(task.error());
    if (auto sent = send_answers(dispatch(*task)); !sent) return sent;
  }
}

}  // namespace mvm::worker
