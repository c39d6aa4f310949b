// Desired state into a plan that verifies: the target for the state that is, the difference to it, and the verifier asked beforehand.
// Pure. Proven by: tests/planner/target_test.cc.
#pragma once

#include "planner/target.h"

namespace mvm::planner {

struct Compiled {
  lang::Document plan;
  std::vector<Note> notes;
  bool needed = false;  // false: the host is as wanted, and knows this projection already
};

[[nodiscard]] Compiled compile(const Inputs& inputs);

}  // namespace mvm::planner
