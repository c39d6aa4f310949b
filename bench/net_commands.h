// The same network by what people use: `ip`, `bridge`, `sysctl` and `nft`, a command at a time, each saying as much as it can; and
// CNI's bridge plugin, which makes less of it (no guard, no rates, no routing of its own).
#pragma once

#include "bench/net_tasks.h"

namespace mvm::bench {

[[nodiscard]] Times commands(const Size& size);
// `size.cni` containers, counted up to `size.taps`.
[[nodiscard]] Times cni_plugin(const Size& size);
[[nodiscard]] bool has_cni_plugin();

}  // namespace mvm::bench
