#include "policy-lang/statement.h"

#include <tuple>

namespace mvm::lang {
namespace {

template <class T>
T narrow(std::uint64_t value) {
  return static_cast<T>(value);  // every field's bound fits its view; table_test.cc holds the two together
}

}  // namespace

bool canonical_less(const Statement& left, const Statement& right) {
  return std::tie(left.subject, left.word, left) < std::tie(right.subject, right.word, right);
}

BridgeView bridge_view(const Statement& s) { return {narrow<std::uint16_t>(s.numbers[0]), Subnet::unpack(s.numbers[1])}; }

RuleView rule_view(const Statement& s) { return {s.numbers[0], s.numbers[1], s.numbers[2], s.numbers[3]}; }

CgroupView cgroup_view(const Statement& s) {
  return {narrow<std::uint32_t>(s.numbers[0]), narrow<std::uint32_t>(s.numbers[1]), narrow<std::uint32_t>(s.numbers[2]),
          narrow<std::uint32_t>(s.numbers[3])};
}

VolumeView volume_view(const Statement& s) { return {s.numbers[0], s.key_tenant, narrow<std::uint32_t>(s.numbers[1])}; }

TapView tap_view(const Statement& s) { return {narrow<std::uint32_t>(s.numbers[0])}; }

JailView jail_view(const Statement& s) {
  return {.image = s.digests[0],
          .vcpus = narrow<std::uint32_t>(s.numbers[1]),
          .mem_mib = narrow<std::uint32_t>(s.numbers[2]),
          .boot = s.numbers[3],
          .boot_digest = s.digests[1],
          .state = s.numbers[4],
          .guest = s.numbers[5]};
}

SnapshotView snapshot_view(const Statement& s) {
  return {.kind = s.numbers[0],
          .has_base = s.numbers[1] != 0,
          .base = s.digests[0],
          .key_tenant = s.key_tenant,
          .key_version = narrow<std::uint32_t>(s.numbers[2]),
          .compression = s.numbers[3],
          .slot = narrow<std::uint32_t>(s.numbers[4]),
          .seq = narrow<std::uint32_t>(s.numbers[5])};
}

KernelView kernel_view(const Statement& s) { return {s.digests[0], s.numbers[1]}; }

RootfsView rootfs_view(const Statement& s) { return {s.digests[0], s.numbers[1]}; }

TenantView tenant_view(const Statement& s) {
  return {.net = narrow<std::uint16_t>(s.numbers[0]),
          .subnet = Subnet::unpack(s.numbers[1]),
          .vcpus = s.numbers[2],
          .mem = s.numbers[3],
          .running = s.numbers[4],
          .warm = s.numbers[5],
          .pools = s.numbers[6],
          .instances = s.numbers[7],
          .disk = s.numbers[8],
          .has_secrets = s.numbers[9] != 0,
          .secrets = s.digests[0]};
}

PoolView pool_view(const Statement& s) {
  return {.image = s.digests[0],
          .vcpus = s.numbers[1],
          .mem = s.numbers[2],
          .data = s.numbers[3],
          .running = s.numbers[4],
          .warm = s.numbers[5],
          .sleeping = s.numbers[6],
          .pinned = s.numbers[7] == kYes,
          .critical = s.numbers[8] == kYes,
          .compression = s.numbers[9],
          .has_config = s.numbers[10] != 0,
          .config = s.digests[1]};
}

}  // namespace mvm::lang
