// Which instances rest: those that have had nothing to do for a while, the coldest first where memory is short, and those that someone put to sleep by
// hand. What rests counts as running to its pool; it is woken by being asked for (docs/idle.md). Also which are left alone for a while.
// Pure: what was read and what time it is are given. Proven by: tests/planner/idle_test.cc, tests/planner/idle_drawn_test.cc.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "planner/instances.h"
#include "planner/target.h"
#include "schemas/reading.h"

namespace mvm::planner {

struct IdleSettings {
  std::chrono::seconds warm_after{300};   // T1: idle for so long, it is paused; 0: never
  std::chrono::seconds sleep_after{900};  // T2: put to sleep; 0: never
  std::chrono::seconds awake_for{60};     // what began to run does so for so long, whatever else is said here
  std::uint32_t pressure = 10;            // percent of time in which some waited for memory, of the last ten seconds; from there on the coldest go. 0: never
};

inline constexpr IdleSettings kNobodyRests{.warm_after = std::chrono::seconds(0), .sleep_after = std::chrono::seconds(0), .pressure = 0};

inline constexpr std::size_t kMaxPausing = 16, kMaxFallingAsleep = 2;  // decided and not yet come about, so that a wake waits for few of them
inline constexpr std::chrono::seconds kColdEnough{30};    // idle for less, an instance does not go where memory is short
inline constexpr std::chrono::seconds kHinderedFor{60};
inline constexpr std::chrono::seconds kReadingsApart{1};  // of two that are closer, the second is not looked at: rates of it would say nothing
// Between two readings, at most: of one CPU, and frames that the guest sends a second.
inline constexpr std::uint64_t kIdlePercent = 5, kIdleFrames = 1;
// So many that come for a paused guest between two readings wake it: whoever means it, asks again; one alone may have been meant for everybody.
inline constexpr std::uint64_t kWakingFrames = 2;

// What the next agent has to know.
struct Kept {
  Rests rests;
  std::map<Subject, std::chrono::seconds> holds;  // until when, by a clock that begins with the machine and goes on while agents come and go
  bool operator==(const Kept&) const = default;
};

class Idle {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Idle() = default;
  // `kept`: by the agent before.
  explicit Idle(IdleSettings settings, Kept kept = {});
  [[nodiscard]] const IdleSettings& settings() const { return settings_; }

  // What is, and what was read of what runs or is paused, if it was: an instance that runs and of which nothing was read is not idle. One that was paused for
  // being idle, and that others send to meanwhile, rests no more.
  void see(const Fleet& fleet, std::optional<std::span<const wire::Reading>> readings, Time now);
  // Adds to what rests, within the bounds above; takes from it what may not any more. `pressure`: percent; none: it is not known.
  void decide(const lang::Document& projection, std::optional<double> pressure, Time now);

  [[nodiscard]] const Rests& rests() const { return rests_; }
  [[nodiscard]] std::set<Subject> held(Time now) const;
  [[nodiscard]] Kept kept() const;
  [[nodiscard]] std::chrono::seconds idle_for(const Subject& instance, Time now) const;

  // So many of the pool are to run. What is woken for that rests no more: the warm ones first, then those that were busy last; not what is held.
  struct Wakes {
    std::size_t awake = 0, waking = 0, woken = 0;  // that run and go on running; that someone else has woken and that do not yet; that are woken by this
  };
  [[nodiscard]] Wakes wake(const Subject& pool, std::size_t count, Time now);
  // Nothing is done to it until then. kNotFound: there is no such instance.
  [[nodiscard]] Status hold(const Subject& instance, Time until);
  // It sleeps until it is woken; a hold of it ends. Of what sleeps, nothing. kNotFound; kDenied: its pool is pinned or critical, or it does not run.
  [[nodiscard]] Status put_to_sleep(const Subject& instance);
  // It could not be done, or the guest said no: it is as if it had just been busy.
  void refused(const Subject& instance, Time now);
  // It cannot be paused or put to sleep just now, by a quota or for want of a key: it stays what it is for kHinderedFor.
  void hindered(const Subject& instance, Time now);

 private:
  struct Seen {
    Phase phase = Phase::kStopped;
    Time active, began;  // last known to have done something; began to run
    std::optional<wire::Reading> last;
    Time read;           // `last`
    bool fixed = false;  // its pool is pinned, critical, or not in the projection
    bool waking = false;
    std::optional<Time> hindered;  // until then
  };
  void look(Seen& seen, const wire::Reading& reading, Time now) const;
  [[nodiscard]] static bool is_called(Seen& seen, const wire::Reading& reading, Time now);
  [[nodiscard]] bool is_only_paused(const Subject& instance) const;
  void rouse(const Subject& instance, Time now);
  [[nodiscard]] std::optional<Rest> due(const Seen& seen, bool short_of_memory, Time now) const;

  IdleSettings settings_;
  std::map<Subject, Seen> seen_;
  Rests rests_;
  std::map<Subject, Time> holds_;
};

// Lines of "TENANT/POOL/INSTANCE warm", "... asleep", or "... held SECONDS". What is no such line is left out, and so is what is beyond kMaxKeptText.
inline constexpr std::size_t kMaxKeptText = 2 << 20;  // bytes
[[nodiscard]] std::string write_kept(const Kept& kept);
[[nodiscard]] Kept read_kept(std::string_view text);

// "TENANT/POOL/INSTANCE", "TENANT/POOL"; nothing where it is none.
[[nodiscard]] std::optional<Subject> read_instance(std::string_view text);
[[nodiscard]] std::optional<Subject> read_pool(std::string_view text);

// "some avg10=N.NN ..." of the kernel's pressure files (Documentation/accounting/psi.rst), in percent.
[[nodiscard]] std::optional<double> read_pressure(std::string_view text);

}  // namespace mvm::planner
