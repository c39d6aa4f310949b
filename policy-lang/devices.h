// The node's volumes against the block devices that its policy names for them, where it names any: each volume is to have a device of its own (V4).
// Which one a volume lies on is no matter here; whether all of them can is. For the verifier, and for whoever asks before it plans.
// Pure. Proven by: tests/policy-lang/verify_policy_test.cc, reference_test.cc, tests/planner/target_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::lang {

class Devices {
 public:
  explicit Devices(const Document& policy);
  void put(std::uint64_t mib);
  void take(std::uint64_t mib);  // one that was put
  // Of a volume that has been put: whether there is a device for it beside all the others.
  [[nodiscard]] Checked<void> hold(std::uint64_t mib) const;

 private:
  [[nodiscard]] std::size_t too_small_for(std::uint64_t mib) const;
  std::vector<std::uint64_t> sizes_;    // MiB, the smallest first
  std::vector<std::uint64_t> volumes_;  // [i]: those for which i devices are too small
};

}  // namespace mvm::lang
