// One worker of a kind at a time. One whose hostd was killed still ends what it does; until it has, another must neither look nor touch.
// Proven by: tests/sandbox/storage_ablation_node_test.cc.
#pragma once

#include <string>

#include "base/error.h"

namespace mvm::worker {

// Locks the directory for as long as this process lives, waiting ten seconds for who has it. kBusy: it was not given up; `what` says of what.
[[nodiscard]] Status be_alone(int directory, const std::string& what);

}  // namespace mvm::worker
