// Which packets a set's elements meet. Kernel: nft_set_hash.c, nft_set_rbtree.c, nft_set_pipapo.c. Pure.
// Proven by: tests/net-verify/differential_test.cc, work_test.cc.
#pragma once

#include <span>
#include <vector>

#include "net-verify/model/snapshot.h"
#include "net-verify/space/match.h"
#include "net-verify/walk/work.h"

namespace mvm::verify {

struct Hit {
  Box box;
  const Element* element = nullptr;
  Certainty certainty = Certainty::kExact;
};

struct Miss {
  Box box;
  Certainty certainty = Certainty::kExact;  // kUnknown: an element may meet it, we cannot say
};

struct Found {
  std::vector<Hit> hits;
  std::vector<Miss> missed;
  bool too_many = false;  // then the answer is not to be used
};

// `key` is as long as the set's key; the elements outlive the answer.
[[nodiscard]] Found find_in(const Set& set, const Box& box, std::span<const Byte> key, Work& work);

}  // namespace mvm::verify
