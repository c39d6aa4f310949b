#include "broker/supervisor/inventory.h"

#include <algorithm>
#include <set>

namespace mvm::supervisor {

using lang::Statement;
using lang::Word;
using wire::Item;

Inventory::Identity Inventory::identity_of(const Item& item) {
  if (lang::row(item.word).worker != lang::Worker::kNet) return {item.word, 0, 0, item.subject};
  return {item.word, item.net, item.word == Word::kTap ? item.slot : 0, {}};
}

Inventory::Identity Inventory::identity_of(const HostState& state, const Statement& line) {
  if (lang::row(line.word).worker != lang::Worker::kNet) return {line.word, 0, 0, line.subject};
  const Statement* bridge = state.find(tenant_subject(line.subject.tenant), Word::kBridge);
  const std::uint16_t net = bridge == nullptr ? 0 : lang::bridge_view(*bridge).net;
  return {line.word, net, line.word == Word::kTap ? lang::tap_view(line).slot : 0, {}};
}

Inventory::Inventory(const std::vector<Item>& items) {
  for (const Item& item : items) {
    if (item.image) images_.push_back(item);
    else items_.emplace(identity_of(item), item);
  }
}

Result<Inventory> Inventory::take(Workers& workers, const NodePolicy& policy) {
  std::vector<Item> all;
  for (const lang::Worker worker : kExecutors) {
    auto answer = workers.call(worker, inventory_task(policy));
    if (!answer) return forward(answer.error());
    if (!answer->ok) return forward(answer->error);
    all.insert(all.end(), answer->items.begin(), answer->items.end());
  }
  return Inventory(all);
}

const Item* Inventory::find(const HostState& state, const Statement& line) const {
  const auto found = items_.find(identity_of(state, line));
  return found == items_.end() ? nullptr : &found->second;
}

// Jail, tap, cgroup, rule, bridge: what stands on others first, which is the words' order from its end.
std::vector<Item> Inventory::leaks(const HostState& state) const {
  std::set<Identity> known;
  for (const auto& [key, line] : state.lines()) known.insert(identity_of(state, line));
  std::vector<Item> found;
  for (auto at = items_.rbegin(); at != items_.rend(); ++at) {
    if (!known.contains(at->first)) found.push_back(at->second);
  }
  return found;
}

wire::Task sweep_task(const Item& item) {
  wire::Task task;
  task.op = wire::Op::kUnmake;
  task.statement.sign = lang::Sign::kRemove;
  task.statement.word = item.word;
  task.statement.subject = item.subject;
  task.place.net = item.net;
  task.place.slot = item.slot;
  return task;
}

wire::Task close_image_task(const Digest& image) {
  wire::Task task;
  task.op = wire::Op::kUnmake;
  task.statement.sign = lang::Sign::kRemove;
  task.statement.word = Word::kJail;
  task.statement.digests[0] = image;
  return task;
}

}  // namespace mvm::supervisor
