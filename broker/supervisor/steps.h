// What a statement of a plan is, as tasks: one for its own worker, or several, where a jail takes the storage worker, which opens its image, where
// sleeping and waking take the jail worker, which has the VMM, and the snapshot worker, which has the keys, and where the guest worker, which has nothing,
// is given a connection. Pure. Proven by: tests/supervisor/steps_test.cc.
#pragma once

#include <vector>

#include "policy-lang/statement.h"
#include "schemas/worker.h"

namespace mvm::supervisor {

struct Step {
  lang::Worker worker = lang::Worker::kNone;
  wire::Op op = wire::Op::kMake;
  bool operator==(const Step&) const = default;
};

[[nodiscard]] inline bool boots_from_snapshot(const lang::Statement& statement) {
  return statement.word == lang::Word::kJail && statement.sign == lang::Sign::kAdd && lang::jail_view(statement).boot == lang::kBootSnapshot;
}
[[nodiscard]] inline bool makes_snapshot(const lang::Statement& statement) {
  return statement.word == lang::Word::kSnapshot && statement.sign == lang::Sign::kAdd;
}

[[nodiscard]] inline bool makes_base(const lang::Statement& statement) { return statement.word == lang::Word::kBase && statement.sign == lang::Sign::kAdd; }
[[nodiscard]] inline bool parks_guest(const lang::Statement& statement) {
  return statement.word == lang::Word::kGuest && statement.numbers[1] == lang::kParked;
}

// More than one for `+ jail` (its image is opened), for `+ snapshot` (its memory is written, sealed and synced, cleared away) and for a jail that boots from one (checked and handed over,
// loaded, the key overwritten, and only then let run: so nobody can wake of it twice, whoever dies when), and for `~ guest` (connected to and told; its balloon blown up when
// it has parked, and let out before it goes on).
[[nodiscard]] std::vector<Step> steps_of(const lang::Statement& statement);

}  // namespace mvm::supervisor
