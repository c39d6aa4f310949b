#include "broker/supervisor/node_policy.h"

#include "base/derived.h"

namespace mvm::supervisor {

using lang::Statement;
using lang::Word;

NodePolicy read_node_policy(lang::Document policy) {
  NodePolicy out;
  for (const Statement& line : policy.statements) {
    if (line.word == Word::kCidr) out.cidr = Subnet::unpack(line.numbers[0]);
    if (line.word == Word::kUids) out.first_uid = line.number("first");
    if (line.word == Word::kCoordinator) out.coordinators.push_back(line.digests[0]);
    if (line.word == Word::kCoordinator || line.word == Word::kSealer) out.sealers.push_back(line.digests[0]);
    if (line.word == Word::kDisks) out.discards = line.number("discard") == lang::kYes;
    if (line.word == Word::kClosed) out.closed.push_back(Subnet::unpack(line.numbers[0]));
    if (line.word == Word::kEgress) out.egress.push_back(Subnet::unpack(line.numbers[0]));
  }
  out.text = std::move(policy);
  return out;
}

wire::Task inventory_task(const NodePolicy& policy) {
  wire::Task task;
  task.op = wire::Op::kInventory;
  task.place.cidr = policy.cidr;
  task.egress = policy.egress;
  task.closed = policy.closed;
  return task;
}

Result<wire::Task> task_of(const Statement& statement, const HostState& state, const NodePolicy& policy) {
  wire::Task task;
  task.op = wire::op_of(statement.sign);
  task.statement = statement;
  task.place.cidr = policy.cidr;
  task.place.generation = state.header.generation;
  task.place.node = state.header.node;
  const Statement* bridge =
      statement.word == Word::kBridge ? &statement : state.find(tenant_subject(statement.subject.tenant), Word::kBridge);
  const Statement* tap = statement.word == Word::kTap ? &statement : state.find(statement.subject, Word::kTap);
  if (bridge != nullptr) {
    task.place.net = lang::bridge_view(*bridge).net;
    task.place.subnet = lang::bridge_view(*bridge).subnet;
  }
  if (bridge != nullptr && tap != nullptr) {
    task.place.slot = lang::tap_view(*tap).slot;
    task.place.uid = static_cast<std::uint32_t>(instance_uid(policy.first_uid, policy.cidr, task.place.subnet, task.place.slot));
  }
  if (statement.word == Word::kJail || statement.word == Word::kSnapshot) {
    for (const auto& [word, drive] : {std::pair{Word::kVolume, wire::kDataDrive}, {Word::kSecrets, wire::kSecretsDrive}, {Word::kConfig, wire::kConfigDrive}}) {
      if (state.find(statement.subject, word) != nullptr) task.place.drives |= drive;
    }
  }
  const bool wants_tap = statement.word == Word::kTap || statement.word == Word::kJail;
  const bool wants_bridge = wants_tap || statement.word == Word::kRule;
  if (wants_bridge && bridge == nullptr) return fail(Errc::kNotFound, "place a statement without a bridge", to_string(statement.subject));
  if (wants_tap && tap == nullptr) return fail(Errc::kNotFound, "place a statement without a tap", to_string(statement.subject));
  if (statement.word == Word::kJail) {
    const Statement* cgroup = state.find(statement.subject, Word::kCgroup);
    task.place.pps = lang::tap_view(*tap).pps;
    task.place.mbps = lang::tap_view(*tap).mbps;
    if (cgroup != nullptr) task.place.io = lang::cgroup_view(*cgroup).io_mib_per_s;
  }
  if (statement.word == Word::kBridge) task.egress = policy.egress, task.closed = policy.closed;
  if (statement.word == Word::kRule && lang::rule_view(statement).egress == lang::kEgressListed) task.egress = policy.egress;
  return task;
}

}  // namespace mvm::supervisor
