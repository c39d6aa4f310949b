#include "broker/gate/prepare.h"

#include <malloc.h>

#include <cstdlib>

#include "base/digest.h"
#include "policy-lang/parse.h"

namespace mvm::gate {

void prepare() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_TRIM_THRESHOLD, 2 * static_cast<int>(kHeapBytes));
  void* volatile all = std::malloc(kHeapBytes);
  std::free(all);
  // What libcrypto and the C++ runtime set up once, at the first digest and the first exception.
  [[maybe_unused]] const Digest digest = sha256("");
  [[maybe_unused]] const auto refused = lang::parse(lang::Kind::kPlan, "no plan\n");
}

}  // namespace mvm::gate
