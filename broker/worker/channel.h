// A worker's end of its channel to the supervisor: one task a packet in, one answer a packet out (schemas/worker.h).
// Owns nothing: the channel is descriptor wire::kChannelFd. Proven by: tests/sandbox/net_ablation_test.cc, tests/sandbox/snapshot_ablation_test.cc.
#pragma once

#include <functional>
#include <vector>

#include "base/error.h"
#include "schemas/worker.h"

namespace mvm::worker {

enum class Wait : std::uint8_t { kUntilThereIsOne, kNo };

// kTimeout: there is none now. kClosed: the supervisor has gone. kLimit, kMalformed: it is no task, and nothing of that is repaired.
[[nodiscard]] Result<wire::Task> receive_task(Wait wait);
[[nodiscard]] Status send_answers(const std::vector<wire::Answer>& answers);

// One task after the other until the supervisor goes away, which is success, or says what is no task.
[[nodiscard]] Status serve(const std::function<std::vector<wire::Answer>(const wire::Task&)>& dispatch);

}  // namespace mvm::worker
