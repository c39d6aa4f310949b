// Runs one verified plan: sends tasks, takes answers, writes down what they change, and undoes what belongs to a failure.
// A failure undoes its own subject's statements of this plan, last first, up to one that cannot be undone, and leaves the
// rest; where what is left behind is not what the plan said, the rest is verified again before it goes on.
// Owns nothing but its place in the plan; what it touches is in Host. An error it returns is hostd's end: what it was in
// the middle of is for recovery. Proven by: tests/supervisor/execution_test.cc, sleep_steps_test.cc, crash_test.cc.
#pragma once

#include <chrono>
#include <map>
#include <vector>

#include "broker/supervisor/host.h"
#include "broker/supervisor/keys.h"
#include "broker/supervisor/schedule.h"
#include "broker/supervisor/steps.h"
#include "policy-lang/verify.h"

namespace mvm::supervisor {

// Statements of a worker that are under way at once. The net worker makes and removes together what it has at once; while a microVM is put to sleep
// its memory is there twice, so one is at a time. The guest worker waits for guests, each for itself.
inline constexpr std::size_t kMaxInFlight = 8, kMaxInFlightOfNet = 256, kMaxInFlightOfSnapshot = 1, kMaxInFlightOfGuest = 64;
[[nodiscard]] constexpr std::size_t most_in_flight(lang::Worker worker) {
  if (worker == lang::Worker::kSnapshot) return kMaxInFlightOfSnapshot;
  if (worker == lang::Worker::kGuest) return kMaxInFlightOfGuest;
  return worker == lang::Worker::kNet ? kMaxInFlightOfNet : kMaxInFlight;
}
// How often what is left of a plan is verified again because a part of it was refused; then nothing of it runs.
inline constexpr unsigned kMaxRefusedAgain = 64;

class Execution {
 public:
  using Clock = std::chrono::steady_clock;
  using Index = Schedule::Index;

  // `keys` cover the plan, and `images` are those that it names: held until this is gone.
  Execution(Host& host, lang::VerifiedPlan plan, lang::Document projection, Keys keys, HeldImages images);
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  // Writes the journal and the header, and sends the first tasks.
  [[nodiscard]] Status start();
  // Takes what a worker said, and sends what may go now.
  [[nodiscard]] Status take(const wire::Answer& answer);
  // When the oldest task must have been answered; kTimeout from overdue() after it.
  [[nodiscard]] Clock::time_point next_deadline() const;
  [[nodiscard]] Status overdue(Clock::time_point now) const;
  // Nothing runs, and nothing will. finish() then says what holds, and ends the journal.
  [[nodiscard]] bool over() const { return schedule_.over() && in_flight_.empty() && undos_.empty(); }
  [[nodiscard]] Status finish();
  // When it is over, and before finish(): whether settle() has something to do. A wake failed or was undone: whether its snapshot is spent, the
  // kernel's inventory says. Or an image that the plan names is no jail's any more, and is to be closed.
  [[nodiscard]] bool wants_settling() const;

 private:
  enum class Outcome : std::uint8_t { kPending, kDone, kFailed, kUndone, kSkipped };
  enum class Direction : std::uint8_t { kForward, kBack };
  struct InFlight {
    Index index = 0;
    Direction direction = Direction::kForward;
    Clock::time_point deadline;
    std::size_t step = 0;         // of steps_of()
    std::optional<Error> failed;  // why what was made before is cleared away
  };
  struct Undo {
    std::vector<Index> left;   // the next at the back
    bool leaves_rest = false;  // something of it could not be undone
    std::optional<Index> failed;  // what it is for, where that ran
  };

  [[nodiscard]] const lang::Statement& at(Index index) const { return plan_.plan().statements[index]; }
  [[nodiscard]] bool has_room(lang::Worker worker) const;
  [[nodiscard]] Status pump();
  [[nodiscard]] Status start_forward(Index index);
  [[nodiscard]] Status send(Index index, Direction direction);
  [[nodiscard]] Status send_step(InFlight what, wire::Asleep asleep);
  [[nodiscard]] Status step_done(InFlight what, const wire::Answer& answer);
  [[nodiscard]] Status step_failed(InFlight what, const Error& error);
  // What is being run: the plan's own statement, or what takes it back.
  [[nodiscard]] lang::Statement running(const InFlight& what) const;
  [[nodiscard]] Status ended(const InFlight& what, const Status& outcome);
  [[nodiscard]] Result<lang::Manifest> manifest_for(const lang::Statement& statement) const;
  [[nodiscard]] Result<wire::Asleep> asleep_for(const lang::Statement& statement) const;
  [[nodiscard]] Status add_base(const lang::Statement& snapshot, wire::Asleep& asleep) const;
  [[nodiscard]] Status done(Index index);
  [[nodiscard]] Status failed(Index index, const Error& error);
  [[nodiscard]] Status begin_undo(const Subject& subject, std::optional<Index> failed);
  [[nodiscard]] Status step_undo(const Subject& subject);
  [[nodiscard]] Status undone(Index index);
  [[nodiscard]] Status not_undone(Index index, const Error& error);
  [[nodiscard]] Status end_undo(const Subject& subject);
  [[nodiscard]] Status skip(const std::vector<Index>& dropped, const std::string& why);
  [[nodiscard]] Status verify_rest();
  [[nodiscard]] static bool may_be_there_in_part(const lang::Statement& failed);
  [[nodiscard]] bool may_undo(const lang::Statement& statement) const;
  [[nodiscard]] Status write_record(const lang::Statement& statement);
  [[nodiscard]] Status say(Index index, wire::Phase phase, const Error& error = {});

  Host& host_;
  lang::VerifiedPlan plan_;
  lang::Document projection_;
  Keys keys_;
  HeldImages images_;
  Digest digest_;
  Schedule schedule_;
  std::vector<Outcome> outcomes_;
  std::map<Subject, std::vector<Index>> done_;  // of this plan, in order
  std::map<std::uint64_t, InFlight> in_flight_;  // by seq
  std::map<lang::Worker, std::size_t> given_;    // how many of those are whose
  std::map<Subject, Undo> undos_;
  bool verify_again_ = false;
  bool wants_settling_ = false;
  unsigned refused_again_ = 0;
};

}  // namespace mvm::supervisor
