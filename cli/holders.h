// Which processes have a block device open: by a descriptor, by a mapping, or mounted in a mount namespace of theirs. The broker cannot tell, for
// to see another user's open files takes CAP_SYS_PTRACE; whoever is root can. Reads /proc and /sys, and changes nothing there.
// Proven by: tests/cli/holders_test.cc, tests/node/storage/bad_day_test.sh.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace mvm::cli {

inline constexpr std::size_t kMaxHolders = 64;        // that are listed
inline constexpr std::size_t kMaxLooks = 4'000'000;  // descriptors, mappings and lines of mount tables that are looked at

struct Holder {
  std::string process;  // its number
  std::string command;  // as the process calls itself: one word, and believed by nobody
  std::string how;      // "descriptor 3", "a mapping", "mounted at /mnt"
};
struct Held {
  std::vector<Holder> holders;
  std::size_t more = 0;    // that are not listed
  std::size_t unseen = 0;  // processes that could not be looked at: another user's, to who is not root
  bool all = true;         // false: there was more to look at than kMaxLooks
};

// The device-mapper device of that name. Nothing where there is none.
[[nodiscard]] std::optional<dev_t> device_of_name(const std::string& name, const std::string& block = "/sys/block");
// Each process once a way; a mount once a mount namespace, by one process in it. Threads that have descriptors of their own are not looked at.
[[nodiscard]] Result<Held> holders_of(dev_t device, const std::string& proc = "/proc", std::size_t max_looks = kMaxLooks);

}  // namespace mvm::cli
