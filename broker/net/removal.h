// Removals that stand side by side, done together: all links in one step of the kernel's, all elements in one transaction, all
// routing in one batch. What is done together and what is done one by one end in the same; so after any error the executors
// (executors.h) go through them again, each alone. Owns nothing; touches what they touch, in the same order.
// Proven by: tests/net/removal_test.cc.
#pragma once

#include <span>

#include "broker/net/executors.h"

namespace mvm::net {

struct Removal {
  lang::Word word;  // kTap, kRule or kBridge
  CheckedRemoval what;
  bool gone = false;
};

// Taps stand in front of rules and bridges. Marks as gone what is gone for certain, with its traces. Not marked, and for its
// executor: a bridge with a port on it; everything after an error.
void remove_together(Kernel& kernel, std::span<Removal> removals);

}  // namespace mvm::net
