// Desired state into a plan that verifies: the target for the state that is, the difference to it, and the verifier asked beforehand.
// Pure. Proven by: tests/planner/target_test.cc.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "planner/target.h"

namespace mvm::planner {

struct Compiled {
  lang::Document plan;
  std::vector<Note> notes;
  bool needed = false;  // false: the host is as wanted, and knows this projection already
};

// What keeps a statement from being run just now, or nothing: a key that has not come. Its instance stays as it is then, and the rest goes on.
using Hindrance = std::function<std::optional<std::string>(const lang::Statement&)>;

[[nodiscard]] Compiled compile(const Inputs& inputs, const Hindrance& hindrance = {});

}  // namespace mvm::planner
