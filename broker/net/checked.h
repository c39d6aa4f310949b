// A task, checked: the only way to a value that the executors take. The supervisor has verified the plan already; this is
// the second look, of the process that has the power. Pure.
// Proven by: tests/net/checked_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "broker/net/closed.h"
#include "schemas/worker.h"

namespace mvm::net {

// Longest list of egress=listed.
inline constexpr std::size_t kMaxEgressSubnets = 64;
// In the kernel a bucket of bytes holds rate + burst times 10^9 in 64 bits (net/netfilter/nft_limit.c).
inline constexpr std::uint64_t kMaxMbps = 100'000;

struct RuleRates {
  std::uint64_t packets_per_second = 0;  // 0: no limit
  std::uint64_t bytes_per_second = 0;
  std::uint64_t connections_per_second = 0;
};

class CheckedBridge {
 public:
  // kDenied where the place and the statement differ, or the subnet is not one inside the cluster's.
  [[nodiscard]] static Result<CheckedBridge> from(const wire::Task& task);
  [[nodiscard]] std::uint16_t net() const { return net_; }
  [[nodiscard]] const Subnet& subnet() const { return subnet_; }
  [[nodiscard]] const Subnet& cidr() const { return cidr_; }
  [[nodiscard]] const std::vector<Range>& closed() const { return closed_; }

 private:
  CheckedBridge() = default;
  std::uint16_t net_ = 0;
  Subnet subnet_, cidr_;
  std::vector<Range> closed_;
};

class CheckedTap {
 public:
  // kDenied also where the slot is not a host of the subnet that may be given away, or the uid is a system's.
  [[nodiscard]] static Result<CheckedTap> from(const wire::Task& task);
  [[nodiscard]] std::uint16_t net() const { return net_; }
  [[nodiscard]] std::uint32_t slot() const { return slot_; }
  [[nodiscard]] std::uint32_t address() const { return address_; }
  [[nodiscard]] std::uint32_t uid() const { return uid_; }

 private:
  CheckedTap() = default;
  std::uint16_t net_ = 0;
  std::uint32_t slot_ = 0, address_ = 0, uid_ = 0;
};

class CheckedRule {
 public:
  // kLimit above kMaxEgressSubnets and kMaxMbps; kDenied for a list where egress is not `listed`, or none where it is.
  [[nodiscard]] static Result<CheckedRule> from(const wire::Task& task);
  [[nodiscard]] std::uint16_t net() const { return net_; }
  [[nodiscard]] std::uint64_t egress() const { return egress_; }  // lang::kEgressNone, ...
  // Sorted, none inside another: nftables takes no ranges that overlap.
  [[nodiscard]] const std::vector<Subnet>& listed() const { return listed_; }
  [[nodiscard]] const RuleRates& rates() const { return rates_; }

 private:
  CheckedRule() = default;
  std::uint16_t net_ = 0;
  std::uint64_t egress_ = 0;
  std::vector<Subnet> listed_;
  RuleRates rates_;
};

// What the policy wants closed, and lists for egress=listed, to hold what is there against it.
class CheckedInventory {
 public:
  // kDenied: a list with what is no subnet, or no cluster's subnet.
  [[nodiscard]] static Result<CheckedInventory> from(const wire::Task& task);
  [[nodiscard]] const std::vector<Range>& closed() const { return closed_; }
  [[nodiscard]] const std::vector<Range>& listed() const { return listed_; }  // sorted; of CheckedRule's subnets

 private:
  CheckedInventory() = default;
  std::vector<Range> closed_, listed_;
};

// What is to be removed is named by net and slot alone: a leak has no statement.
class CheckedRemoval {
 public:
  [[nodiscard]] static Result<CheckedRemoval> from(const wire::Task& task);
  [[nodiscard]] std::uint16_t net() const { return net_; }
  [[nodiscard]] std::uint32_t slot() const { return slot_; }
  // Where the supervisor knows the subnet: the slot's address, which saves looking for it.
  [[nodiscard]] std::optional<std::uint32_t> address() const { return address_; }

 private:
  CheckedRemoval() = default;
  std::uint16_t net_ = 0;
  std::uint32_t slot_ = 0;
  std::optional<std::uint32_t> address_;
};

}  // namespace mvm::net
