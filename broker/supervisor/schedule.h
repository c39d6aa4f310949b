// Which statement of a plan may start now. Pure.
// Statements of one subject go in the plan's order. A tenant's own (bridge, rule) come after all earlier ones of the tenant
// and before all later ones. What makes or moves comes after every earlier removal or move of the same word, whosever it is,
// so that a slot, a net id or a share of a quota is free before it is taken. All else runs side by side.
// Proven by: tests/supervisor/schedule_test.cc.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "policy-lang/statement.h"
#include "policy-lang/table.h"

namespace mvm::supervisor {

class Schedule {
 public:
  using Index = std::uint32_t;
  // Borrowed; must outlive the schedule.
  explicit Schedule(const std::vector<lang::Statement>& statements);

  using HasRoom = std::function<bool(lang::Worker)>;
  // The first that may start and whose worker has room, which from then on runs; nothing where all that is left must wait.
  [[nodiscard]] std::optional<Index> start_next(const HasRoom& has_room = [](lang::Worker) { return true; });
  void done(Index running);
  // It failed, and what was to be undone is. All that has not started of its subject, and of a tenant's own of the whole
  // tenant, will not run and is returned, in the plan's order.
  [[nodiscard]] std::vector<Index> failed(Index running);
  // The same for one that has not started and never will; for when nothing runs.
  [[nodiscard]] std::vector<Index> drop(Index pending);

  [[nodiscard]] std::vector<Index> pending() const;  // in the plan's order
  [[nodiscard]] std::size_t running() const { return running_; }
  [[nodiscard]] bool over() const;

 private:
  using Set = std::set<Index>;
  struct Tenant {
    Set all, own;  // not settled: of the tenant and its instances; of the tenant itself
  };
  [[nodiscard]] bool may_start(Index index) const;
  [[nodiscard]] Set& heads_of(Index index);
  void settle(Index index);
  [[nodiscard]] std::vector<Index> drop_lanes_of(Index index);

  const std::vector<lang::Statement>& statements_;
  std::map<Subject, std::vector<Index>> lanes_;  // not started, last first
  std::map<Name, Tenant> tenants_;
  std::array<Set, lang::kWords> leaving_;  // not settled removals and moves
  std::map<lang::Worker, Set> heads_;      // the next of each lane none of whose statements runs, by whose work it is
  std::size_t running_ = 0;
};

}  // namespace mvm::supervisor
