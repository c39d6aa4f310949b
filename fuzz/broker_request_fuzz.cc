// A request, from an agent that was broken into.
#include "fuzz/check.h"
#include "schemas/broker.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const std::vector<std::uint8_t> aligned(data, data + size);
  const auto request = wire::decode_request(aligned);
  if (!request) return 0;
  const auto bytes = wire::encode(*request);
  const auto again = wire::decode_request(bytes);
  fuzz::must(again.has_value(), "what decodes encodes to what decodes");
  fuzz::must(wire::encode(*again) == bytes, "and is the same");
  return 0;
}
