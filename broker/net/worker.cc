#include "broker/net/worker.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "broker/net/dispatch.h"
#include "broker/sandbox/enter.h"
#include "schemas/worker.h"

namespace mvm::net {
namespace {

constexpr int kFailed = 70;  // EX_SOFTWARE

Result<std::vector<std::uint8_t>> receive_packet() {
  std::vector<std::uint8_t> packet(wire::kMaxPacket + 1);  // one more, to see that a packet is too long
  ssize_t size = 0;
  int saved = 0;
  do {
    size = recv(wire::kChannelFd, packet.data(), packet.size(), 0);
    saved = errno;
  } while (size < 0 && saved == EINTR);
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

// Until the supervisor goes away or says what is no task: nothing of that is repaired.
Status serve(Kernel& kernel) {
  while (true) {
    const auto packet = receive_packet();
    if (!packet) return packet.error().code == Errc::kClosed ? Status{} : forward(packet.error());
    const Result<wire::Task> task = wire::decode_task(*packet);
    if (!task) return forward(task.error());
    for (const wire::Answer& answer : dispatch(kernel, *task))
      if (Status sent = send_packet(wire::encode(answer)); !sent) return sent;
  }
}

int report(const Error& error) {
  std::fprintf(stderr, "mvm-net: %s\n", error.message().c_str());
  return kFailed;
}

}  // namespace

int run(const sandbox::Grants& grants) {
  Result<Kernel> kernel = Kernel::open();
  if (!kernel) return report(kernel.error());
  sandbox::enter_or_exit(grants);
  const Status served = serve(*kernel);
  return served ? 0 : report(served.error());
}

}  // namespace mvm::net
