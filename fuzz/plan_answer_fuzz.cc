// What gate answers, from a gate that was broken into: whatever decodes can be printed within the limits of a text.
// The first byte says of which kind of text.
#include "fuzz/check.h"
#include "policy-lang/print.h"
#include "schemas/plan.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  if (size == 0) return 0;
  const lang::Kind kind = lang::kKinds[data[0] % lang::kKinds.size()];
  const std::vector<std::uint8_t> aligned(data + 1, data + size);
  const auto parsed = wire::decode_parsed(kind, aligned);
  if (!parsed || !*parsed) return 0;
  fuzz::must((*parsed)->kind == kind, "a text is of the kind that was asked for");
  fuzz::must(!lang::print(**parsed).empty(), "it can be printed");
  const auto again = wire::decode_parsed(kind, wire::encode_parsed(*parsed));
  fuzz::must(again && *again && **again == **parsed, "what decodes encodes to the same");
  return 0;
}
