// An answer, from a worker that was broken into.
#include "fuzz/check.h"
#include "schemas/worker.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const std::vector<std::uint8_t> aligned(data, data + size);
  const auto answer = wire::decode_answer(aligned);
  if (!answer) return 0;
  fuzz::must(answer->items.size() <= wire::kMaxItems && answer->readings.size() <= wire::kMaxItems, "an answer is within its limits");
  const auto again = wire::decode_answer(wire::encode(*answer));
  fuzz::must(again.has_value(), "what decodes encodes to what decodes");
  fuzz::must(again->items == answer->items && again->ended == answer->ended && again->ok == answer->ok && again->more == answer->more && again->readings == answer->readings,
             "and is the same");
  fuzz::must(again->error.message() == answer->error.message(), "its error too");
  return 0;
}
