// A task, from a supervisor that was broken into: what decodes is within its bounds and comes back the same.
#include "fuzz/check.h"
#include "policy-lang/print.h"
#include "schemas/worker.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const std::vector<std::uint8_t> aligned(data, data + size);
  const auto task = wire::decode_task(aligned);
  if (!task) return 0;
  fuzz::must(task->seq != 0 && task->egress.size() <= wire::kMaxSubnets && task->closed.size() <= wire::kMaxSubnets, "a task is within its limits");
  const auto again = wire::decode_task(wire::encode(*task));
  fuzz::must(again.has_value(), "what decodes encodes to what decodes");
  fuzz::must(again->statement == task->statement && again->place == task->place && again->egress == task->egress && again->sealed == task->sealed,
             "and is the same");
  fuzz::must(task->manifest.has_value() == again->manifest.has_value(), "and so is its manifest");
  if (task->manifest) fuzz::must(lang::document_of(*again->manifest) == lang::document_of(*task->manifest), "line by line");
  if (task->op == wire::Op::kMake) fuzz::must(!lang::print(task->statement).empty(), "it can be printed");
  return 0;
}
