// Which statement of a plan may start now. Pure.
// Statements of one subject go in the plan's order. A tenant's own (bridge, rule) come after all earlier ones of the tenant
// and before all later ones. What makes or moves comes after every earlier removal or move of the same word, whosever it is,
// so that a slot, a net id or a share of a quota is free before it is taken. All else runs side by side.
// Proven by: tests/supervisor/schedule_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "policy-lang/statement.h"

namespace mvm::supervisor {

class Schedule {
 public:
  using Index = std::uint32_t;
  // Borrowed; must outlive the schedule.
  explicit Schedule(const std::vector<lang::Statement>& statements);

  // The first that may start, which from then on runs; nothing where all that is left must wait.
  [[nodiscard]] std::optional<Index> start_next();
  void done(Index running);
  // It failed, and what was to be undone is. All that has not started of its subject, and of a tenant's own of the whole
  // tenant, will not run and is returned, in the plan's order.
  [[nodiscard]] std::vector<Index> failed(Index running);
  // The same for one that has not started and never will; for when nothing runs.
  [[nodiscard]] std::vector<Index> drop(Index pending);

  [[nodiscard]] std::vector<Index> pending() const;  // in the plan's order
  [[nodiscard]] std::size_t running() const { return running_; }
  [[nodiscard]] bool over() const { return running_ == 0 && heads_.empty(); }

 private:
  using Set = std::set<Index>;
  struct Tenant {
    Set all, own;  // not settled: of the tenant and its instances; of the tenant itself
  };
  [[nodiscard]] bool may_start(Index index) const;
  void settle(Index index);
  [[nodiscard]] std::vector<Index> drop_lanes_of(Index index);

  const std::vector<lang::Statement>& statements_;
  std::map<Subject, std::vector<Index>> lanes_;  // not started, last first
  std::map<Name, Tenant> tenants_;
  std::array<Set, lang::kWords> leaving_;  // not settled removals and moves
  Set heads_;                              // the next of each lane none of whose statements runs
  std::size_t running_ = 0;
};

}  // namespace mvm::supervisor
