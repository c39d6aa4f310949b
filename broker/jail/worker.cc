#include "broker/jail/worker.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/poll_timeout.h"
#include "broker/beneath/beneath.h"
#include "broker/jail/executor.h"
#include "broker/jail/pool.h"
#include "broker/sandbox/enter.h"

namespace mvm::jail {
namespace {

constexpr std::size_t kThreads = 8;
constexpr std::size_t kMaxWaiting = 64;

[[noreturn]] void die(int code, const Error& error) {
  std::fprintf(stderr, "mvm-jail: %s\n", error.message().c_str());
  std::_Exit(code);
}

template <class T>
T or_die(Result<T> result) {
  if (!result) die(EX_OSERR, result.error());
  return std::move(*result);
}

// Nothing can be told to a supervisor that is gone; what runs goes on running, and the next worker finds it.
void send_answer(const wire::Answer& answer) {
  const auto packet = wire::encode(answer);
  if (send(wire::kChannelFd, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_EOR) < 0) {
    const int saved = errno;
    die(EX_IOERR, Error{Errc::kSystem, saved, "send an answer", {}});
  }
}

// The next task. Ends the process where the supervisor has gone, or sends what is no task.
wire::Task receive_task(std::vector<std::uint8_t>& buffer) {
  const ssize_t got = recv(wire::kChannelFd, buffer.data(), buffer.size(), MSG_TRUNC);
  const int saved = errno;
  if (got < 0) die(EX_IOERR, Error{Errc::kSystem, saved, "receive a task", {}});
  if (got == 0) std::_Exit(EX_OK);
  if (static_cast<std::size_t>(got) > buffer.size()) die(EX_PROTOCOL, Error{Errc::kLimit, 0, "receive a task", {}});
  auto task = wire::decode_task(std::span(buffer).first(static_cast<std::size_t>(got)));
  if (!task) die(EX_PROTOCOL, task.error());
  return std::move(*task);
}

void say_who_ended(Watch& watch) {
  for (const Subject& instance : watch.take_ended()) {
    wire::Answer event;
    event.ok = true;
    event.ended = instance;
    send_answer(event);
  }
}

void take_hand_overs(Wakes& wakes) {
  if (wakes.link() < 0) return;
  const auto taken = wakes.take_hand_overs();
  if (taken) return;
  if (taken.error().code == Errc::kClosed) std::_Exit(EX_OK);  // the snapshot worker has gone, and so has the supervisor, or is about to
  die(EX_PROTOCOL, taken.error());
}

[[noreturn]] void serve(Executor& executor) {
  Pool<wire::Task> pool(kThreads, kMaxWaiting, [&](const wire::Task& task) { executor.run(task, send_answer); });
  std::vector<std::uint8_t> buffer(wire::kMaxPacket);
  for (;;) {
    pollfd ready[] = {{wire::kChannelFd, POLLIN, 0}, {executor.watch().fd(), POLLIN, 0}, {executor.wakes().fd(), POLLIN, 0}, {executor.wakes().link(), POLLIN, 0}};
    const int count = poll(ready, std::size(ready), poll_timeout(executor.wakes().due()));
    const int saved = errno;
    if (count < 0 && saved != EINTR) die(EX_OSERR, Error{Errc::kSystem, saved, "poll", {}});
    if (count < 0) continue;
    if (ready[1].revents != 0) say_who_ended(executor.watch());
    if (auto advanced = executor.advance_wakes(); !advanced) die(EX_OSERR, advanced.error());
    // Before the task that stands on what came there.
    if (ready[3].revents != 0 || ready[0].revents != 0) take_hand_overs(executor.wakes());
    if (ready[0].revents != 0) pool.push(receive_task(buffer));
  }
}

}  // namespace

int run(const sandbox::Grants& grants, const sandbox::Grants& pages, std::span<const char* const> arguments) {
  if (arguments.size() != 8) {
    std::fprintf(stderr, "usage: mvm-jail CGROUP STATE FIRECRACKER MEMORY PAGES USER BLOCK MISC\n");
    return EX_USAGE;
  }
  PageServers servers{or_die(open_absolute(arguments[4], O_PATH)), &pages, or_die(sandbox::user_named(arguments[5]))};
  const ChosenWay way = or_die(choose_way(arguments[7]));
  if (way.way == Way::kWhole) std::fprintf(stderr, "mvm-jail: microVMs wake from all of their memory at once: %s\n", way.why.c_str());
  Host host{or_die(open_absolute(arguments[0], O_RDONLY | O_DIRECTORY)), or_die(open_absolute(arguments[1], O_RDONLY | O_DIRECTORY)),
            arguments[1], arguments[2], or_die(open_absolute(arguments[3], O_RDONLY | O_DIRECTORY)), arguments[3], or_die(open_absolute(arguments[6], O_RDONLY | O_DIRECTORY)),
            std::move(servers), Fd(kLinkFd), Fd(kGuestsFd), way.way};
  const auto executor = or_die(Executor::make(std::move(host)));
  sandbox::enter_or_exit(grants);
  serve(*executor);
}

}  // namespace mvm::jail
