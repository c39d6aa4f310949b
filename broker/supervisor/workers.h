// The channels to the workers that hold power. Owns our ends; every message that comes is decoded by schemas/worker.h, and
// held to what its worker may say. An error here is the worker's end, or ours: hostd never goes on without one of them.
// Proven by: tests/supervisor/workers_test.cc.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "policy-lang/table.h"
#include "schemas/worker.h"

namespace mvm::supervisor {

// One task, however many wait before it in its worker's queue. Above the jail worker's own deadlines, below the client's
// (planner/broker_client.h).
inline constexpr std::chrono::seconds kTaskDeadline{90};
// Items of one inventory, in all its answers: a thing for each line there may be, and as many leaks.
inline constexpr std::size_t kMaxInventory = 2 * lang::kMaxStatements;

// The workers that there are. What makes their table (setup.h) has a place for each.
inline constexpr std::array kExecutors = {lang::Worker::kNet, lang::Worker::kStorage, lang::Worker::kSnapshot, lang::Worker::kJail, lang::Worker::kGuest};
[[nodiscard]] constexpr bool has_executor(lang::Worker worker) {
  return std::ranges::find(kExecutors, worker) != kExecutors.end();
}

// One of each, in the order of kExecutors.
template <class T>
using EachWorker = std::array<T, kExecutors.size()>;

class Workers {
 public:
  // SOCK_SEQPACKET, ours alone; made non-blocking.
  [[nodiscard]] static Result<Workers> make(EachWorker<Fd> channels);

  // Returns the number that the answer will have. What the channel has no room for waits here: then there are tasks in it that
  // the worker has not read, and an answer to one of them is when there is room again.
  [[nodiscard]] Result<std::uint64_t> send(lang::Worker worker, wire::Task task);
  // The next answer, if one has come. Events are kept for take_ended().
  [[nodiscard]] Result<std::optional<wire::Answer>> receive(lang::Worker worker);
  // Sends, and waits for all of the answer; for when nothing else is under way. The answer may say that the task failed.
  [[nodiscard]] Result<wire::Answer> call(lang::Worker worker, wire::Task task);

  [[nodiscard]] int fd(lang::Worker worker) const { return channel(worker).get(); }
  // Instances whose microVM ended by itself, since the last call.
  [[nodiscard]] std::vector<Subject> take_ended() { return std::exchange(ended_, {}); }

 private:
  explicit Workers(EachWorker<Fd> channels) : channels_(std::move(channels)), buffer_(wire::kMaxPacket + 1) {}
  [[nodiscard]] Status send_waiting(lang::Worker worker);
  [[nodiscard]] const Fd& channel(lang::Worker worker) const {
    return channels_[static_cast<std::size_t>(std::ranges::find(kExecutors, worker) - kExecutors.begin())];
  }

  EachWorker<Fd> channels_;
  std::uint64_t next_seq_ = 1;
  std::vector<Subject> ended_;
  std::vector<std::uint8_t> buffer_;
  std::map<lang::Worker, std::deque<std::vector<std::uint8_t>>> waiting_;  // tasks, in order
};

}  // namespace mvm::supervisor
