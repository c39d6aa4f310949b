// One task in, its answers out: which executor runs it. Proven by: tests/net/checked_test.cc and every test that runs a task.
#pragma once

#include <vector>

#include "broker/net/executors.h"
#include "schemas/worker.h"

namespace mvm::net {

// One answer; of an inventory as many as its items need, `more` on all but the last. kUnsupported for what this worker does
// not do.
[[nodiscard]] std::vector<wire::Answer> dispatch(Kernel& kernel, const wire::Task& task);

// Tasks one after the other, and all their answers in that order. What stands side by side is
// made together (making.h) and removed together (removal.h).
[[nodiscard]] std::vector<wire::Answer> dispatch_all(Kernel& kernel, const std::vector<wire::Task>& tasks);

}  // namespace mvm::net
