// A bare program that does nothing but ask the kernel for what the net worker asked for: the same netlink messages and the same
// calls of /dev/net/tun, in the same order. What the worker asks for is written down by this program's own sendto, ioctl and close.
#pragma once

#include <map>

#include "bench/net_tasks.h"

namespace mvm::bench {

// The worker's own times.
[[nodiscard]] Times worker(const Size& size);
// How long what took, by what was asked for: ms up and down.
using Shares = std::map<std::string, Times>;
// The bare program's times, in a namespace in which the worker did the same before. Index numbers of links are the same again in a
// namespace as new, so what was asked for can be asked for again.
[[nodiscard]] Times bare(const Size& size, Shares* shares);

}  // namespace mvm::bench
