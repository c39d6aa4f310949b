// Reads of every instance that runs or is paused what the workers can tell: CPU time and memory of its cgroup, frames of its tap, and what its guest says, each
// guest that runs for itself and for a second at most. Changes nothing, and runs only while no plan does: a guest hears one host at a time.
// Proven by: tests/supervisor/survey_test.cc, hostd_test.cc.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <vector>

#include "broker/supervisor/host_state.h"
#include "broker/supervisor/workers.h"

namespace mvm::supervisor {

inline constexpr std::size_t kMaxAsked = 32;  // guests at once; below what the guest worker keeps connections for

class Survey {
 public:
  using Clock = std::chrono::steady_clock;

  Survey(Workers& workers, const HostState& state);
  Survey(const Survey&) = delete;
  Survey& operator=(const Survey&) = delete;

  [[nodiscard]] Status start();
  [[nodiscard]] Status take(const wire::Answer& answer);
  // No more guests are asked than are being asked: somebody has a plan.
  void hurry() { to_ask_.clear(); }
  [[nodiscard]] bool over() const { return in_flight_.empty() && to_ask_.empty(); }
  [[nodiscard]] Clock::time_point next_deadline() const;
  [[nodiscard]] Status overdue(Clock::time_point now) const;
  // When it is over: by instance, of those that run or are paused.
  [[nodiscard]] std::vector<wire::Reading> readings() const;

 private:
  struct InFlight {
    lang::Worker worker;
    wire::Op op;
    Subject guest;  // kConnect, kAsk: whose
    Clock::time_point deadline;
  };
  [[nodiscard]] Status send(lang::Worker worker, wire::Op op, const Subject& guest = {});
  [[nodiscard]] Status pump();
  [[nodiscard]] Status note(const InFlight& asked, const wire::Reading& reading);

  Workers& workers_;
  std::map<Subject, wire::Reading> readings_;
  std::map<std::pair<std::uint16_t, std::uint32_t>, Subject> taps_;  // by net and slot
  std::deque<Subject> to_ask_;
  std::map<std::uint64_t, InFlight> in_flight_;  // by seq
  std::size_t asking_ = 0;
};

}  // namespace mvm::supervisor
