// What the state should become: desired state and the state that is, to the state to aim at next. The plan is then
// lang::diff of the two, so nothing here knows an order of statements.
// Pure: the same inputs give the same target, so a restarted agent chooses the same ids and slots.
// Proven by: tests/planner/target_test.cc (every target's plan verifies; a second run changes nothing).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "policy-lang/statement.h"
#include "policy-lang/table.h"

namespace mvm::planner {

inline constexpr std::size_t kLeastForABase = 2;        // instances of a pool: of one alone there is nothing to share
inline constexpr std::size_t kMaxStartsARound = 256;  // microVMs that one plan starts, so that a plan stays far below 1 MiB
inline constexpr std::size_t kMaxWakesARound = 16;    // of them, from a snapshot
inline constexpr std::size_t kMaxSleepsARound = 8;    // that one plan puts to sleep, so that the next, with someone's wake in it, does not wait for long

// What an instance that rests is to be. It counts as running to its pool (planner/idle.h).
enum class Rest : std::uint8_t { kWarm, kAsleep };
using Rests = std::map<Subject, Rest>;

struct Inputs {
  const lang::Document& now;         // kState
  const lang::Document& projection;  // kProjection, signature checked
  const lang::Document& policy;      // kPolicy
  // Words that the host has an executor for. What it lacks is left out of the target and said in the notes.
  lang::WordSet supported = 0;
  std::uint32_t sleep_seq = 1;       // `seq` of snapshots taken now: grows from sleep to sleep (seconds since 1970 do)
  std::set<Subject> deaf = {};       // whose guests did not do as they were told: nothing more is said to them
  Rests rests = {};                  // those of pinned and critical pools, and more of a pool than are wanted running, count for nothing
  std::set<Subject> held = {};       // left as they are, for as long as the projection has their pool; they count as what they are
  std::set<Digest> uncopied = {};    // snapshots, by their lines, of which no base could be made: they are not tried again
};

struct Note {
  Subject subject;
  std::string text;  // why something wanted is not in the target
};

struct Target {
  lang::Document state;
  std::vector<Note> notes;
};

// Per pool, in this order, quota checked before each: wake sleeping, resume warm, start stopped, create new, until the running
// count is met; the surplus, newest first, goes to warm and then to sleeping as those counts want, and is stopped otherwise;
// warm and sleeping counts are then filled. Instances whose image or size is not the pool's are remade a quarter at a time.
// What rests is paused with its guest parked, or put to sleep, and counts as running.
// Of a pool of two or more, one of whose instances sleeps whole, a base is made where nothing else is to be done for its tenant, and what sleeps after
// that stands on it. A base that is not such as the pool wants goes when nothing stands on it.
// A guest is told to park before it is put to sleep, and to go on after. One that is deaf is paused as it is, and sleeps in the round after.
[[nodiscard]] Target make_target(const Inputs& inputs);

}  // namespace mvm::planner
