// A tap as /dev/net/tun makes it: Documentation/networking/tuntap.rst. Until keep() the tap goes away with the descriptor, so
// dying halfway leaves nothing. Opens no file but /dev/net/tun.
// Proven by: tests/net/tap_test.cc.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::net {

enum class IfThere : std::uint8_t { kTake, kRefuse };

// Makes the tap, or takes hold of the one of that name, with the header that virtio-net speaks (IFF_VNET_HDR, as Firecracker
// opens it), for `uid` and the group of the same number alone. kBusy where another process has it open, and with kRefuse
// where there is any link of that name.
[[nodiscard]] Result<Fd> hold_tap(const std::string& name, std::uint32_t uid, IfThere there = IfThere::kTake);

// The tap outlives the descriptor.
[[nodiscard]] Status keep_tap(const Fd& tap, const std::string& name);

}  // namespace mvm::net
