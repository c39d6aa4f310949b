// Parking: the guest's work stopped, what it wrote on its disks, what it does not need given back, so that a snapshot of it is small and whole.
// Proven by: tests/guest/park_test.cc, tests/guest/guest_node_test.cc.
#pragma once

#include <chrono>
#include <string>

#include "base/error.h"
#include "guest/wire.h"

namespace mvm::guest {

// Where things are in the guest; another place in tests.
struct Places {
  std::string prepare = "/etc/mvm/prepare.d";      // programs of the image, run before parking with "prepare"
  std::string resume = "/etc/mvm/resume.d";        // and after it, with "resume"
  std::string work = "/sys/fs/cgroup/mvm-work";    // the cgroup (v2) of the work, frozen while parked; it may be absent
  std::string memory = "/proc/sys/vm";             // drop_caches, compact_memory (Documentation/admin-guide/sysctl/vm.rst)
  std::string run = "/run/mvm";                    // busy, idle, ready; generation, which we write
  std::string random = "/dev/urandom";
};

// In this order: the image's programs; the work frozen; disks synced, caches dropped, memory compacted. All of it within `timeout`; where a step
// fails, the work goes on, resume's programs run, and the outcome says which.
[[nodiscard]] Outcome park(const Places& places, std::chrono::milliseconds timeout);

// The work goes on, as it is. Of what is not frozen, and where there is no such cgroup, nothing.
[[nodiscard]] Status thaw(const Places& places);

// The work goes on: thawed, and resume's programs run, kResumeTimeout at most. It is running even where an error is returned, of a program.
inline constexpr std::chrono::seconds kResumeTimeout{60};
[[nodiscard]] Status unpark(const Places& places);

}  // namespace mvm::guest
