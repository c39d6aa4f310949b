// A network namespace for one test, the worker's kernel sockets in it, tasks as the supervisor would send them, and what
// ip, bridge and nft say afterwards.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "broker/net/dispatch.h"
#include "broker/net/links.h"
#include "schemas/worker.h"

namespace mvm::net {

inline constexpr Subnet kCidr{10U << 24 | 240U << 16, 12};

// 10.240.<net>.0/24
[[nodiscard]] Subnet subnet_of(std::uint16_t net);
[[nodiscard]] wire::Task bridge_task(wire::Op op, std::uint16_t net);
[[nodiscard]] wire::Task tap_task(wire::Op op, std::uint16_t net, std::uint32_t slot);
[[nodiscard]] wire::Task rule_task(wire::Op op, std::uint16_t net, std::uint64_t egress);
[[nodiscard]] wire::Task inventory_task();

// What a command printed; fails the test where it does not end with 0.
std::string shell(const std::string& command);
[[nodiscard]] nlohmann::json shell_json(const std::string& command);

class InANamespace : public testing::Test {
 protected:
  void SetUp() override;
  [[nodiscard]] Kernel& kernel() { return *kernel_; }
  // The one answer of a task.
  wire::Answer run(const wire::Task& task);
  void make(const wire::Task& task);
  [[nodiscard]] std::vector<wire::Item> inventory_items(const wire::Task& task = inventory_task());
  // Everything that a host could be left with: links, addresses, routes, rules, nft.
  [[nodiscard]] std::string whole_state();

 private:
  std::optional<Kernel> kernel_;
};

}  // namespace mvm::net
