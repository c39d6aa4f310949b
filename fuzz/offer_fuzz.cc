// An offer, as a broken agent would hand it to who seals.
#include "sealing/offer.h"

#include <algorithm>

#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using namespace mvm::sealing;
  const Bytes input(data, size);
  const auto read = read_offer(input);
  if (!read) return 0;
  auto again = to_be_signed(read->offer);
  fuzz::must(again.size() == kSignedOfferBytes, "what is signed has one size");
  again.insert(again.end(), read->signature.begin(), read->signature.end());
  fuzz::must(std::ranges::equal(again, input), "there is one way to write it");
  return 0;
}
