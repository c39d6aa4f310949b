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

constexpr std::size_t kMostAtOnce = 256;  // tasks that are taken off the channel before the first of them runs

// The next packet, or kTimeout where there is none now and `flags` has MSG_DONTWAIT.
Result<std::vector<std::uint8_t>> receive_packet(int flags) {
  std::vector<std::uint8_t> packet(wire::kMaxPacket + 1);  // one more, to see that a packet is too long
  ssize_t size = 0;
  int saved = 0;
  do {
    size = recv(wire::kChannelFd, packet.data(), packet.size(), flags);
    saved = errno;
  } while (size < 0 && saved == EINTR);
  if (size < 0 && saved == EAGAIN) return fail(Errc::kTimeout, "read a task");
  if (size < 0) return fail_errno(saved, "read a task");
  if (size == 0) return fail(Errc::kClosed, "read a task");
  if (static_cast<std::size_t>(size) > wire::kMaxPacket) return fail(Errc::kLimit, "read a task", "bytes");
  packet.resize(static_cast<std::size_t>(size));
  return packet;
}

// One task, which is waited for, and those that are there already. That the supervisor has gone is seen by the next to wait.
Result<std::vector<wire::Task>> receive_tasks() {
  std::vector<wire::Task> tasks;
  while (tasks.size() < kMostAtOnce) {
    const auto packet = receive_packet(tasks.empty() ? 0 : MSG_DONTWAIT);
    if (!packet && !tasks.empty() && (packet.error().code == Errc::kTimeout || packet.error().code == Errc::kClosed)) break;
    if (!packet) return forward(packet.error());
    Result<wire::Task> task = wire::decode_task(*packet);
    if (!task) return forward(std::move(task.error()));
    tasks.push_back(std::move(*task));
  }
  return tasks;
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
    const auto tasks = receive_tasks();
    if (!tasks) return tasks.error().code == Errc::kClosed ? Status{} : forward(tasks.error());
    for (const wire::Answer& answer : dispatch_all(kernel, *tasks))
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
