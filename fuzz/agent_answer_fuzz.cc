// What agentd answers, as `mvm` reads it.
#include "fuzz/check.h"
#include "schemas/agent.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const std::vector<std::uint8_t> aligned(data, data + size);
  const auto answer = wire::decode_agent_answer(aligned);
  if (!answer) return 0;
  fuzz::must(answer->why.size() <= wire::kMaxWhy, "an answer is within its limits");
  const auto again = wire::decode_agent_answer(wire::encode(*answer));
  fuzz::must(again.has_value() && *again == *answer, "what decodes encodes to what decodes, and is the same");
  return 0;
}
