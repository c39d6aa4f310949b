#include "policy-lang/devices.h"

#include <algorithm>

#include "policy-lang/verify_rules.h"

namespace mvm::lang {

Devices::Devices(const Document& policy) {
  for (const Statement& line : policy.statements) {
    if (line.word == Word::kDevice) sizes_.push_back(line.number("mib"));
  }
  std::ranges::sort(sizes_);
  volumes_.resize(sizes_.size() + 1);
}

std::size_t Devices::too_small_for(std::uint64_t mib) const {
  return static_cast<std::size_t>(std::ranges::lower_bound(sizes_, mib) - sizes_.begin());
}

void Devices::put(std::uint64_t mib) { ++volumes_[too_small_for(mib)]; }
void Devices::take(std::uint64_t mib) { --volumes_[too_small_for(mib)]; }

// Of those that need one of the larger devices there may be no more than there are such devices, and that of every size.
Checked<void> Devices::hold(std::uint64_t mib) const {
  if (sizes_.empty()) return {};
  if (mib > sizes_.back()) {
    return refuse(Rule::kPolicy, say("it has ", mib, " MiB, and the largest of the policy's devices is for ", sizes_.back()), "add a larger device to the policy");
  }
  std::uint64_t need = 0;
  for (std::size_t i = volumes_.size(); i-- > 0;) {
    need += volumes_[i];
    const std::uint64_t have = sizes_.size() - i;
    if (need <= have) continue;
    return refuse(Rule::kPolicy, say("the node would have ", need, " volumes of more than ", i == 0 ? 0 : sizes_[i - 1], " MiB, and the policy has ", have, " devices for such"),
                  "add a device to the policy, or remove a volume first");
  }
  return {};
}

}  // namespace mvm::lang
