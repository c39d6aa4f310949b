#include "broker/supervisor/workers.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace mvm::supervisor {
namespace {

using Clock = std::chrono::steady_clock;

std::string name(lang::Worker worker) { return std::string(lang::to_string(worker)); }

Status wait_readable(int fd, Clock::time_point until, lang::Worker worker) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) return fail(Errc::kTimeout, "wait for worker", name(worker));
    pollfd waited{fd, POLLIN, 0};
    const int ready = poll(&waited, 1, static_cast<int>(left));
    const int saved = errno;
    if (ready > 0) return {};
    if (ready < 0 && saved != EINTR) return fail_errno(saved, "wait for worker", name(worker));
  }
}

// Its own words (and images from the storage worker), events from the jail worker alone, offers from the storage worker alone, digests from the two that
// make snapshots, and readings of what it can read.
bool may_read(lang::Worker worker, const wire::Reading& reading) {
  const bool cgroup = reading.cpu || reading.memory, frames = reading.frames.has_value(), guest = reading.guest != wire::GuestSays::kNothing;
  if (worker == lang::Worker::kJail) return !frames && !guest && reading.slot == 0;
  if (worker == lang::Worker::kNet) return !cgroup && !guest && reading.slot != 0;
  return worker == lang::Worker::kGuest && !cgroup && !frames && reading.slot == 0;
}

bool may_say(lang::Worker worker, const wire::Answer& answer) {
  if (answer.seq == 0 && worker != lang::Worker::kJail) return false;
  if (answer.offer && worker != lang::Worker::kStorage) return false;
  if (answer.digest && worker != lang::Worker::kSnapshot && worker != lang::Worker::kJail) return false;
  if (!std::ranges::all_of(answer.readings, [&](const wire::Reading& reading) { return may_read(worker, reading); })) return false;
  return std::ranges::all_of(answer.items, [&](const wire::Item& item) {
    return worker == (item.image ? lang::Worker::kStorage : lang::row(item.word).worker);
  });
}

}  // namespace

Result<Workers> Workers::make(EachWorker<Fd> channels) {
  for (const Fd& fd : channels) {
    if (fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) {
      const int saved = errno;
      return fail_errno(saved, "make a channel non-blocking");
    }
  }
  return Workers(std::move(channels));
}

Result<std::uint64_t> Workers::send(lang::Worker worker, wire::Task task) {
  if (!has_executor(worker)) return fail(Errc::kUnsupported, "send a task to worker", name(worker));
  task.seq = next_seq_++;
  waiting_[worker].push_back(wire::encode(task));
  if (auto sent = send_waiting(worker); !sent) return forward(sent.error());
  return task.seq;
}

Status Workers::send_waiting(lang::Worker worker) {
  auto& waiting = waiting_[worker];
  while (!waiting.empty()) {
    const auto& bytes = waiting.front();
    const ssize_t sent = ::send(channel(worker).get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    const int saved = errno;
    if (sent < 0 && saved == EINTR) continue;
    if (sent < 0 && saved == EAGAIN) return {};
    if (sent < 0) return fail_errno(saved, "send a task to worker", name(worker));
    waiting.pop_front();
  }
  return {};
}

Result<std::optional<wire::Answer>> Workers::receive(lang::Worker worker) {
  while (true) {
    const ssize_t got = recv(channel(worker).get(), buffer_.data(), buffer_.size(), 0);
    const int saved = errno;
    if (got < 0 && saved == EINTR) continue;
    if (got < 0 && saved == EAGAIN) return std::nullopt;
    if (got < 0) return fail_errno(saved, "read from worker", name(worker));
    if (got == 0) return fail(Errc::kClosed, "read from worker", name(worker));
    if (auto sent = send_waiting(worker); !sent) return forward(sent.error());
    auto answer = wire::decode_answer(std::span(buffer_).first(static_cast<std::size_t>(got)));
    if (!answer) return forward(answer.error());
    if (!may_say(worker, *answer)) return fail(Errc::kMalformed, "believe worker", name(worker));
    if (answer->seq != 0) return *std::move(answer);
    if (ended_.size() == kMaxInventory) return fail(Errc::kLimit, "hear out worker", name(worker));
    ended_.push_back(answer->ended);
  }
}

Result<wire::Answer> Workers::call(lang::Worker worker, wire::Task task) {
  const auto until = Clock::now() + kTaskDeadline;
  const auto seq = send(worker, std::move(task));
  if (!seq) return forward(seq.error());
  wire::Answer whole;
  while (true) {
    auto answer = receive(worker);
    if (!answer) return forward(answer.error());
    if (!*answer) {
      if (auto ready = wait_readable(fd(worker), until, worker); !ready) return forward(ready.error());
      continue;
    }
    wire::Answer& part = **answer;
    if (part.seq != *seq) return fail(Errc::kMalformed, "believe worker", name(worker));
    if (whole.items.size() + part.items.size() > kMaxInventory) return fail(Errc::kLimit, "hear out worker", name(worker));
    part.items.insert(part.items.begin(), whole.items.begin(), whole.items.end());
    whole = std::move(part);
    if (!whole.more) return whole;
  }
}

}  // namespace mvm::supervisor
