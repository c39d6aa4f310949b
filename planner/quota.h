// What tenants and the node use, and whether more fits: the projection's quotas and the policy's limits (V4 and V5 of
// docs/language.md, asked beforehand, so that the plan will verify).
// Pure. Proven by: tests/planner/target_test.cc.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "planner/instances.h"
#include "policy-lang/devices.h"
#include "policy-lang/statement.h"

namespace mvm::planner {

struct Usage {
  std::uint64_t running = 0, warm = 0, vcpus = 0, mem = 0, disk = 0, instances = 0;
};

[[nodiscard]] Usage usage_of(const Instance& instance);

class Quota {
 public:
  Quota(const lang::Document& projection, const lang::Document& policy);

  // Counts `after` in the place of `before`, where all of it fits; or says what does not.
  [[nodiscard]] std::optional<std::string> replace(const Instance& before, const Instance& after);
  // The same, for what only gives back.
  void force(const Instance& before, const Instance& after);

 private:
  struct Limits {
    std::uint64_t running, warm, vcpus, mem, disk, pool_instances;
  };
  [[nodiscard]] std::optional<std::string> fits(const Subject& subject, const Usage& before, const Usage& after) const;

  std::map<Name, Limits> limits_;
  std::map<Name, Usage> tenants_;
  std::map<Subject, std::uint64_t> pools_;  // instances that live
  Usage node_;
  Usage node_limits_;
  lang::Devices devices_;
};

}  // namespace mvm::planner
