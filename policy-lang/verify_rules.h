// The rules of docs/language.md, "What is verified", a function for each. Internal to the verifier: verify.cc calls them in
// the order that the specification gives, and fills in line and statement of what they refuse.
// Pure. Time of each O(log n), but of a base O(instances of its pool). Proven by: tests/policy-lang/verify_*_test.cc, one test a clause.
#pragma once

#include <cstdint>
#include <map>
#include <memory_resource>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy-lang/devices.h"
#include "policy-lang/state_index.h"
#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"
#include "policy-lang/verify.h"

namespace mvm::lang {

// One statement of a plan, and where it acts. For V3 and later: whether it made the first line of its instance, or removed
// the last.
struct Step {
  const Statement& statement;
  const Site& site;
  bool first_line = false, last_line = false;
};

// What a policy says, read once. The policy has passed verify_policy().
struct NodePolicy {
  const Document& text;
  Subnet cidr = {};
  std::uint64_t first_uid = 0, uids = 0;
  std::uint64_t tenants = 0, instances = 0, vcpus = 0, mem = 0, disk = 0;
  std::uint64_t pids = 0, io = 0, pps = 0, mbps = 0;
  bool encrypt_data = false, encrypt_snapshots = false;
  bool lists_images = false, lists_egress = false;
};
[[nodiscard]] NodePolicy read_policy(const Document& policy);

// V6. Digests are of the texts as print() spells them.
[[nodiscard]] Checked<void> verify_freshness(const Document& plan, const Against& against);

// V2, before the statement.
[[nodiscard]] Checked<void> verify_order(const Step& step);
// True where the instance's jail was booted from its snapshot that still stands: the snapshot is used up.
[[nodiscard]] bool snapshot_is_consumed(const Site& site);

// V3: what only one may have: net id and addresses, a tenant's slot, an instance's id. A claim stands while its line does.
class Claims {
 public:
  [[nodiscard]] Checked<void> claim(const Step& step);  // '+'
  void release(const Step& step);                       // '-', of what was claimed
  [[nodiscard]] Checked<void> claim_network(const BridgeView& network, Name tenant);

 private:
  struct Slot {
    const Instance* holder = nullptr;
    std::uint32_t lines = 0;  // its tap, its snapshot
  };
  [[nodiscard]] Checked<void> claim_slot(const Step& step, std::uint32_t slot);
  [[nodiscard]] Checked<void> claim_id(const Step& step);

  std::pmr::monotonic_buffer_resource memory_;  // of what is claimed, and released all at once
  std::pmr::map<std::uint16_t, Name> nets_{&memory_};
  std::pmr::map<std::uint32_t, std::pair<Subnet, Name>> subnets_{&memory_};       // by base
  std::pmr::map<std::pair<std::uint32_t, std::uint32_t>, Slot> slots_{&memory_};  // by tenant's index and slot
  std::pmr::map<InstanceId, const Subject*> ids_{&memory_};
};
// V3: bounds on what is made, after the statement.
[[nodiscard]] Checked<void> verify_invariants(const Step& step, const NodePolicy& policy);
[[nodiscard]] Checked<void> verify_subnet(const Subnet& subnet, const Subnet& cidr);

// V4, after the statement.
[[nodiscard]] Checked<void> verify_limits(const Step& step, const StateIndex& index, const NodePolicy& policy, const Devices& devices);

// V5, after the statement. The projection has passed verify_projection().
class Authority {
 public:
  Authority(const Document& projection, const StateIndex& index);
  [[nodiscard]] Checked<void> check(const Step& step) const;

 private:
  // What the projection says of a tenant, if it names it.
  struct Wanted {
    std::optional<TenantView> tenant;
    const Statement* rule = nullptr;
  };
  [[nodiscard]] Checked<void> check_removal(const Step& step, const Wanted& wanted, const std::optional<PoolView>& pool) const;

  const StateIndex& index_;
  bool prune_tenants_ = false, prune_pools_ = false;
  std::vector<Wanted> tenants_;                 // by the tenant's index
  std::vector<std::optional<PoolView>> pools_;  // by the pool's
};

// A refusal of `rule`, its parts (text, numbers) joined to a sentence; line and statement are for the caller to add.
inline void append(std::string& text, std::string_view part) { text += part; }
inline void append(std::string& text, std::uint64_t part) { text += std::to_string(part); }
template <class... Parts>
[[nodiscard]] std::string say(const Parts&... parts) {
  std::string text;
  (append(text, parts), ...);
  return text;
}
[[nodiscard]] inline std::unexpected<Refusal> refuse(Rule rule, std::string why, std::string remedy) {
  return std::unexpected(Refusal{.rule = rule, .statement = {}, .why = std::move(why), .remedy = std::move(remedy)});
}
// `refusal` with the line and the words of statement `index` of `document`.
[[nodiscard]] std::unexpected<Refusal> at(const Document& document, std::size_t index, Refusal refusal);

}  // namespace mvm::lang
