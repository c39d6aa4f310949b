#include "broker/guest/worker.h"

#include <sysexits.h>

#include <cerrno>
#include <cstdio>
#include <vector>

#include "base/poll_timeout.h"
#include "broker/guest/conversations.h"
#include "broker/sandbox/enter.h"
#include "broker/worker/channel.h"

namespace mvm::guest_worker {
namespace {

Status take_connections(Conversations& conversations, int link) {
  while (true) {
    auto connected = receive_connected(link);
    if (!connected) return connected.error().code == Errc::kNotFound ? Status{} : forward(connected.error());
    if (auto kept = conversations.connected(*std::move(connected)); !kept) return kept;
  }
}

Status take_tasks(Conversations& conversations, int link) {
  while (true) {
    const auto task = worker::receive_task(worker::Wait::kNo);
    if (!task) return task.error().code == Errc::kTimeout ? Status{} : forward(task.error());
    if (task->op == wire::Op::kInventory) {  // what a guest was told, no kernel shows
      if (auto sent = worker::send_answers(wire::pages(task->seq, std::vector<wire::Item>{})); !sent) return sent;
      continue;
    }
    // It has come before its task, and perhaps only just.
    if (auto taken = take_connections(conversations, link); !taken) return taken;
    const auto answer = conversations.begin(*task, Clock::now());
    if (!answer) continue;
    if (auto sent = worker::send_answers({*answer}); !sent) return sent;
  }
}

// kClosed: the supervisor has gone, or the jail worker has, and the supervisor is about to.
Status serve(int link) {
  Conversations conversations;
  while (true) {
    std::vector<pollfd> polled = {{wire::kChannelFd, POLLIN, 0}, {link, POLLIN, 0}};
    conversations.add_to(polled);
    const int ready = poll(polled.data(), polled.size(), poll_timeout(conversations.due()));
    const int saved = errno;
    if (ready < 0 && saved != EINTR) return fail_errno(saved, "poll");
    if (ready < 0) continue;
    if (auto sent = worker::send_answers(conversations.advance(std::span(polled).subspan(2), Clock::now())); !sent) return sent;
    if (polled[1].revents != 0) {
      if (auto taken = take_connections(conversations, link); !taken) return taken;
    }
    if (polled[0].revents == 0) continue;
    if (auto taken = take_tasks(conversations, link); !taken) return taken;
  }
}

}  // namespace

int run(const sandbox::Grants& grants) {
  sandbox::enter_or_exit(grants);
  const auto served = serve(kLinkFd);
  if (served.error().code == Errc::kClosed) return EX_OK;
  std::fprintf(stderr, "mvm-guest: %s\n", served.error().message().c_str());
  return EX_SOFTWARE;
}

}  // namespace mvm::guest_worker
