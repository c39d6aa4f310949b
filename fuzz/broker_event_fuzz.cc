// An event, as a client of the broker's socket reads it.
#include "fuzz/check.h"
#include "schemas/broker.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const std::vector<std::uint8_t> aligned(data, data + size);
  const auto event = wire::decode_event(aligned);
  if (!event) return 0;
  const auto bytes = wire::encode(*event);
  const auto again = wire::decode_event(bytes);
  fuzz::must(again.has_value(), "what decodes encodes to what decodes");
  fuzz::must(wire::encode(*again) == bytes, "and is the same");
  return 0;
}
