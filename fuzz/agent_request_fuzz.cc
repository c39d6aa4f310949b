// What somebody on the node asks of agentd.
#include "fuzz/check.h"
#include "schemas/agent.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const std::vector<std::uint8_t> aligned(data, data + size);
  const auto request = wire::decode_agent_request(aligned);
  if (!request) return 0;
  const auto again = wire::decode_agent_request(wire::encode(*request));
  fuzz::must(again.has_value() && *again == *request, "what decodes encodes to what decodes, and is the same");
  return 0;
}
