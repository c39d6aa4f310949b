// What was asked of agentd, from the request to its answer: a wake is answered when so many run, a rest when the instance sleeps, and each when it is
// clear that this does not come about. Two wakes at once are one: who is woken for the first counts as woken, and for the second as awake.
// Pure. Proven by: tests/planner/requests_test.cc.
#pragma once

#include <chrono>
#include <list>
#include <optional>
#include <vector>

#include "planner/agent.h"
#include "schemas/agent.h"

namespace mvm::planner {

inline constexpr std::chrono::seconds kRequestTime{120};

class Requests {
 public:
  using Who = std::uint64_t;
  struct Answer {
    Who who = 0;
    wire::AgentAnswer answer;
  };

  // Its answer, where there is one at once; else it waits for after().
  [[nodiscard]] std::optional<wire::AgentAnswer> take(Who who, const wire::AgentRequest& request, Idle& idle, Idle::Time now);
  // What a step that began after the last take() shows.
  [[nodiscard]] std::vector<Answer> after(const Report& report, Idle::Time now);
  [[nodiscard]] bool waiting() const { return !waiting_.empty(); }

 private:
  struct Waiting {
    Who who;
    Subject subject;  // a pool to be woken, or an instance to sleep
    std::uint32_t count, woken;
    Idle::Time until;
  };
  [[nodiscard]] static std::optional<wire::AgentAnswer> answer(const Waiting& request, const Report& report, Idle::Time now);
  std::list<Waiting> waiting_;
};

}  // namespace mvm::planner
