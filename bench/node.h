// A busy node of any size, for benchmarks: texts that parse, verify and fill what a text may hold.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "policy-lang/statement.h"

namespace mvm::bench {

struct Node {
  lang::Document policy, projection;
  lang::Document empty;  // state: nothing
  lang::Document full;   // state: `lines` lines, of instances with a volume of which five in nine run
  lang::Document other;  // state: `full` with every eighth instance changed, removed or put to sleep
};

// `lines` from 100 to kMaxStatements; the texts stay below 1 MiB.
[[nodiscard]] Node make_node(std::size_t lines);
// A plan of additions, its instances in no order: the worst for whoever sorts.
[[nodiscard]] lang::Document shuffled(lang::Document plan);

}  // namespace mvm::bench
