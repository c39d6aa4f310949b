// The envelopes of a plan, as a broken agent would submit them.
#include "sealing/bundle.h"

#include <algorithm>

#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using namespace mvm::sealing;
  const Bytes input(data, size);
  const auto envelopes = read_bundle(input);
  if (!envelopes) return 0;
  std::vector<std::vector<std::uint8_t>> each;
  for (const Envelope& envelope : *envelopes) each.emplace_back(envelope.whole.begin(), envelope.whole.end());
  const auto again = write_bundle(each);
  fuzz::must(again && std::ranges::equal(*again, input), "there is one way to write it");
  return 0;
}
