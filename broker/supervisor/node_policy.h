// What the supervisor itself reads from the node's policy. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "broker/supervisor/host_state.h"
#include "policy-lang/statement.h"
#include "schemas/worker.h"

namespace mvm::supervisor {

struct NodePolicy {
  lang::Document text;
  Subnet cidr;
  std::uint64_t first_uid = 0;
  std::vector<Digest> coordinators;  // Ed25519 public keys
  std::vector<Digest> sealers;       // of those who may seal keys: of the coordinators, and of who may do nothing else
  std::vector<Subnet> egress, closed;
  bool discards = false;  // what guests discard
};

// The policy has passed lang::verify_policy().
[[nodiscard]] NodePolicy read_node_policy(lang::Document policy);

// What each worker is asked to hold what is there against.
[[nodiscard]] wire::Task inventory_task(const NodePolicy& policy);

// The task for a statement of a verified plan, with all that follows from state and policy. `seq` is for the sender.
// kNotFound: the tenant has no bridge, or the instance no tap, where the statement needs one.
[[nodiscard]] Result<wire::Task> task_of(const lang::Statement& statement, const HostState& state, const NodePolicy& policy);

}  // namespace mvm::supervisor
