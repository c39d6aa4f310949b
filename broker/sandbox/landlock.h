// The file system closed but for what was granted (Documentation/userspace-api/landlock.rst). Owns nothing.
// Proven by: tests/sandbox/enter_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/error.h"
#include "broker/sandbox/grants.h"

namespace mvm::sandbox {

struct Place;

// Bits of linux/landlock.h, whose installed copy may be older than the kernel. `since`: the ABI that knows the right.
struct AccessRight {
  std::string_view name;
  std::uint64_t bit;
  int since;
};
inline constexpr std::array<AccessRight, 16> kAccessRights = {{
    {"execute", 1U << 0, 1},
    {"write-file", 1U << 1, 1},
    {"read-file", 1U << 2, 1},
    {"read-dir", 1U << 3, 1},
    {"remove-dir", 1U << 4, 1},
    {"remove-file", 1U << 5, 1},
    {"make-char", 1U << 6, 1},
    {"make-dir", 1U << 7, 1},
    {"make-reg", 1U << 8, 1},
    {"make-sock", 1U << 9, 1},
    {"make-fifo", 1U << 10, 1},
    {"make-block", 1U << 11, 1},
    {"make-sym", 1U << 12, 1},
    {"refer", 1U << 13, 2},
    {"truncate", 1U << 14, 3},
    {"ioctl-dev", 1U << 15, 5},
}};

// Everything that this kernel's Landlock can refuse is refused, but for the paths of the grants; TCP (but for connecting to their port) and
// signals out of the domain too, where it knows of them. kUnsupported where there is no Landlock: hostd does not run there.
[[nodiscard]] Status close_files(const Grants& grants, std::span<const Place> places);

}  // namespace mvm::sandbox
