// The lines of an instance, made from its pool and tenant as the projection gives them.
// Pure. Proven by: tests/planner/target_test.cc.
#pragma once

#include "planner/instances.h"
#include "policy-lang/statement.h"

namespace mvm::planner {

struct Blueprint {
  lang::PoolView pool;
  lang::TenantView tenant;
  Name tenant_name;
  std::uint64_t max_pids = 0;  // policy, per instance
  std::uint64_t max_io = 0;
  std::uint64_t max_pps = 0, max_mbps = 0;
};

struct Boot {
  std::uint64_t state = lang::kRunning;  // kRunning or kWarm
  std::uint32_t slot = 0;
};

// Adds to `instance` what it lacks to have a microVM: cgroup, drives, tap, jail. Boots from its snapshot if it has one, and
// takes the snapshot's line away (a wake consumes it); its guest is parked then, until it is told to go on.
void add_microvm(Instance& instance, const Blueprint& blueprint, Boot boot);
// Leaves what outlives a stop: volume and snapshot.
void stop_microvm(Instance& instance);
// A warm instance put to sleep: its snapshot's line, and its volume. `base`: the pool's, or nullptr; its snapshot stands on it where that is such as
// the pool wants, and as its microVM.
void put_to_sleep(Instance& instance, const Blueprint& blueprint, std::uint32_t seq, const lang::Statement* base);
// The pool's base, a copy of that full snapshot, and whether one is still such as the pool wants.
[[nodiscard]] lang::Statement base_line(const Subject& pool, const lang::PoolView& wanted, const lang::Statement& snapshot);
[[nodiscard]] bool may_copy(const lang::Statement& snapshot);  // it is full, and has the key that a base would have
[[nodiscard]] bool is_wanted(const lang::Statement& base, const lang::PoolView& pool);
// Is its jail what the pool asks for, and do its drives carry what they are to carry? An instance without a jail is.
[[nodiscard]] bool matches(const Instance& instance, const Blueprint& blueprint);

[[nodiscard]] lang::Statement bridge_line(const Subject& tenant, const lang::TenantView& view);

}  // namespace mvm::planner
