// The five capability sets of this process, by the bare system calls (capabilities(7), capset(2), prctl(2)).
// Proven by: tests/sandbox/identity_test.cc.
#pragma once

#include <sys/prctl.h>

#include "base/error.h"
#include "broker/sandbox/grants.h"

namespace mvm::sandbox {

struct CapSets {
  CapSet effective = 0;
  CapSet permitted = 0;
  CapSet inheritable = 0;
  CapSet ambient = 0;
  CapSet bounding = 0;
  bool operator==(const CapSets&) const = default;
};

[[nodiscard]] Result<CapSets> cap_sets();
// Effective, permitted and inheritable; what leaves permitted or inheritable leaves ambient too.
[[nodiscard]] Status set_caps(CapSet effective, CapSet permitted, CapSet inheritable);
[[nodiscard]] Status raise_ambient(CapSet caps);
// Needs SETPCAP in effect, where there is anything to drop.
[[nodiscard]] Status drop_bounding(CapSet keep);

// prctl with all its arguments, as an error where it says -1.
[[nodiscard]] Result<int> call_prctl(int option, unsigned long arg2 = 0, unsigned long arg3 = 0, const char* tried = "prctl");

}  // namespace mvm::sandbox
