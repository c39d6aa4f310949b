// Two texts side by side, statement by statement, grouped by whom they are about.
// Pure. Proven by: tests/cli/texts_test.cc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/output.h"
#include "policy-lang/statement.h"

namespace mvm::cli {

struct Change {
  std::optional<lang::Statement> before;
  std::optional<lang::Statement> after;
};

// What stands in one and not in the other, in canonical order. Two plans: their signs are part of a statement, and where both
// hold the same statements in another order, that is a difference too (`reordered`).
struct Comparison {
  std::vector<Change> changes;
  bool reordered = false;
  [[nodiscard]] bool same() const { return changes.empty() && !reordered; }
};
[[nodiscard]] Comparison compare(const lang::Document& before, const lang::Document& after);

[[nodiscard]] std::string to_text(const Output& output, const Comparison& comparison);
[[nodiscard]] Json to_json(const Comparison& comparison);

}  // namespace mvm::cli
