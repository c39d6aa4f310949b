// What there should be, from hostd's state: tenants, their bridges, taps and rules. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "policy-lang/statement.h"

namespace mvm::verify {

struct Tenant {
  Name name;
  std::uint16_t net = 0;
  bool has_bridge = false;
  Subnet subnet;
  std::optional<std::uint64_t> egress;  // of its rule; none: no rule, and so no way out
  std::set<std::uint32_t> slots;        // of its taps
};

struct Expected {
  std::map<std::uint16_t, Tenant> tenants;  // by net
  std::optional<Subnet> cidr;               // the cluster's, where the node's policy was given
  // First and last addresses that no tenant may reach outside, as the policy says (docs/net-rules.md); none where none was given.
  std::vector<std::pair<std::uint32_t, std::uint32_t>> closed;

  // kMalformed: not a state or not a policy; a tap without its bridge.
  [[nodiscard]] static Result<Expected> from(const lang::Document& state, const lang::Document* policy);
  [[nodiscard]] const Tenant* tenant(std::uint16_t net) const {
    const auto found = tenants.find(net);
    return found == tenants.end() ? nullptr : &found->second;
  }
};

}  // namespace mvm::verify
