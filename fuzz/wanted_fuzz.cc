// What agentd misses, as a broken agent would write it for who seals.
#include "sealing/wanted.h"

#include <algorithm>

#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using namespace mvm::sealing;
  const Bytes input(data, size);
  const auto wanted = read_wanted(input);
  if (!wanted) return 0;
  for (const Label& label : wanted->labels) fuzz::must(check_label(label).has_value() && label.generation == wanted->generation, "a label is one");
  const auto again = write_wanted(wanted->offer, wanted->generation, wanted->labels);
  fuzz::must(again && std::ranges::equal(*again, input), "there is one way to write it");
  return 0;
}
