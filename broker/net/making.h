// Things that stand side by side and are not there yet, made together: the messages of all of them in a few batches, their
// elements in one transaction, what is read read once. All of them are made, or none is and nothing is left; so after any
// error the executors (executors.h), which make one thing with the same steps, go through them one by one, and each says for
// itself what the matter is. Owns nothing; touches what they touch, in the same order.
// Proven by: tests/net/making_test.cc.
#pragma once

#include <span>

#include "broker/net/executors.h"

namespace mvm::net {

template <class Checked>
struct Making {
  Checked what;
  bool made = false;
};

// Marks what is made for certain. Not marked, and for its executor: what is there already in whole or in part, what cannot be
// made, and after an error everything.
void make_together(Kernel& kernel, std::span<Making<CheckedBridge>> bridges);
void make_together(Kernel& kernel, std::span<Making<CheckedRule>> rules);
void make_together(Kernel& kernel, std::span<Making<CheckedTap>> taps);

}  // namespace mvm::net
