// Text of a plan, from anybody.
#include <cstddef>
#include <cstdint>

#include "fuzz/text_target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return mvm::fuzz::run_text_target(mvm::lang::Kind::kPlan, data, size);
}
