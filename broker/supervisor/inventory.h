// What the kernel shows, from the workers' inventories, held against the state. Values only.
// Proven by: tests/supervisor/crash_test.cc.
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "broker/supervisor/host_state.h"
#include "broker/supervisor/node_policy.h"
#include "broker/supervisor/workers.h"

namespace mvm::supervisor {

class Inventory {
 public:
  [[nodiscard]] static Result<Inventory> take(Workers& workers, const NodePolicy& policy);
  explicit Inventory(const std::vector<wire::Item>& items);

  // The item that is the line's thing, whole or not, or nullptr. Net's things are found by the net id and slot that the
  // state gives them.
  [[nodiscard]] const wire::Item* find(const HostState& state, const lang::Statement& line) const;
  // Images that are open. Many jails have one, so none is a line's thing.
  [[nodiscard]] const std::vector<wire::Item>& images() const { return images_; }
  // Items that are no line's thing, in an order in which they can be removed.
  [[nodiscard]] std::vector<wire::Item> leaks(const HostState& state) const;

 private:
  // What tells things of one word apart: net id and slot, or the subject.
  using Identity = std::tuple<lang::Word, std::uint16_t, std::uint32_t, Subject>;
  [[nodiscard]] static Identity identity_of(const wire::Item& item);
  [[nodiscard]] static Identity identity_of(const HostState& state, const lang::Statement& line);
  std::map<Identity, wire::Item> items_;
  std::vector<wire::Item> images_;
};

// The task that removes an item.
[[nodiscard]] wire::Task sweep_task(const wire::Item& item);
[[nodiscard]] wire::Task close_image_task(const Digest& image);

}  // namespace mvm::supervisor
