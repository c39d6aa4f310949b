// The guests that are spoken to, all at once and none waited for: connections that the jail worker has made, the tasks that they were made for, and the
// answers. Each conversation ends by itself, when its guest has said enough, or by its time, which is before the supervisor's for a task.
// Owns the connections. Proven by: tests/guest-worker/conversations_test.cc.
#pragma once

#include <poll.h>

#include <list>
#include <map>
#include <optional>
#include <vector>

#include "broker/guest/link.h"
#include "broker/guest/talk.h"
#include "schemas/worker.h"

namespace mvm::guest_worker {

inline constexpr std::size_t kMaxConnected = 64;  // that have no task yet: as many as the supervisor has under way

class Conversations {
 public:
  // For the task that follows. A connection of the same instance that no task has taken is closed. kLimit: too many wait.
  [[nodiscard]] Status connected(Connected connected);
  // `~ guest`, or how a guest is. Its answer, where it ends at once.
  [[nodiscard]] std::optional<wire::Answer> begin(const wire::Task& task, Clock::time_point now);

  // Adds what is to be polled, a descriptor for each conversation, in order.
  void add_to(std::vector<pollfd>& polled) const;
  // What add_to() added, polled: the conversations that have ended, as answers.
  [[nodiscard]] std::vector<wire::Answer> advance(std::span<const pollfd> polled, Clock::time_point now);
  // When advance() is due without anything being readable; max(): there is none.
  [[nodiscard]] Clock::time_point due() const;

 private:
  struct Conversation {
    std::uint64_t seq;
    Talk talk;
    std::optional<Subject> asked;  // how it is
  };
  std::map<Subject, Fd> connected_;
  std::list<Conversation> conversations_;
};

}  // namespace mvm::guest_worker
