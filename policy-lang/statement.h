// A statement, and a text of statements, as values. What parse() makes and print() takes.
// Pure. Trivially copyable, so it crosses between processes as it is (schemas/plan.fbs).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/flake_ref.h"
#include "base/ids.h"
#include "policy-lang/table.h"

namespace mvm::lang {

struct Statement {
  Sign sign = Sign::kNone;
  Word word = Word::kCidr;
  Subject subject = {};
  Name key_tenant = {};  // of a kKey field; empty where the key is none
  // numbers[i] belongs to row(word).fields[i]. Of a move ('~'), numbers[0] is the state before and numbers[1] after.
  std::array<std::uint64_t, kMaxFields> numbers{};
  // The digests of the fields that have one, in the order of the fields; all zero where the field says none.
  std::array<Digest, kMaxDigestFields> digests{};

  auto operator<=>(const Statement&) const = default;

  [[nodiscard]] std::uint64_t number(std::string_view field) const { return numbers[field_index(word, field)]; }
};

// What stands between the first line of a text and its statements.
struct Header {
  Name node;                      // all but a manifest
  std::uint64_t generation = 0;   // projection, state, plan
  bool has_desired = false;       // state: none before the first plan; plan: always
  Digest desired;                 // digest of the projection
  Digest base;                    // plan: digest of the state that it starts from
  FlakeRef flake = {};            // manifest
  auto operator<=>(const Header&) const = default;
};

// One text of any kind. Where its statements must be sorted (all kinds but plan), they are.
struct Document {
  Kind kind = Kind::kState;
  Header header;
  std::vector<Statement> statements;
  bool operator==(const Document&) const = default;
};

// Canonical order of a projection, state and policy: by subject, then by row; then by all else (policy lists).
[[nodiscard]] bool canonical_less(const Statement& left, const Statement& right);

// Typed views of a statement's fields, for whoever runs or compiles it. The word must be the view's own.
struct BridgeView { std::uint16_t net; Subnet subnet; };
struct RuleView { std::uint64_t egress, pps, mbps, cps; };
struct CgroupView { std::uint32_t cpu_percent, mem_mib, pids, io_mib_per_s; };
struct VolumeView { std::uint64_t mib; Name key_tenant; std::uint32_t key_version; };
struct TapView { std::uint32_t slot; std::uint64_t pps, mbps; };
struct JailView { Digest image; std::uint32_t vcpus, mem_mib; std::uint64_t boot; Digest boot_digest; std::uint64_t state, guest; };
struct SnapshotView { std::uint64_t kind; bool has_base; Digest base; Name key_tenant; std::uint32_t key_version; std::uint64_t compression; std::uint32_t slot; std::uint32_t seq; };
struct BaseView { Digest snapshot, image; std::uint32_t mem_mib; Name key_tenant; std::uint32_t key_version; };
struct KernelView { Digest digest; std::uint64_t bytes; };
struct RootfsView { Digest root; std::uint64_t blocks; };
struct TenantView { std::uint16_t net; Subnet subnet; std::uint64_t vcpus, mem, running, warm, pools, instances, disk; bool has_secrets; Digest secrets; };
struct PoolView { Digest image; std::uint64_t vcpus, mem, data, running, warm, sleeping; bool pinned, critical; std::uint64_t compression; bool has_config; Digest config; };

// Every field's bound fits its view; table_test.cc holds the two together.
template <class T>
[[nodiscard]] constexpr T narrow(std::uint64_t value) { return static_cast<T>(value); }

[[nodiscard]] inline BridgeView bridge_view(const Statement& s) { return {narrow<std::uint16_t>(s.numbers[0]), Subnet::unpack(s.numbers[1])}; }

[[nodiscard]] inline RuleView rule_view(const Statement& s) { return {s.numbers[0], s.numbers[1], s.numbers[2], s.numbers[3]}; }

[[nodiscard]] inline CgroupView cgroup_view(const Statement& s) {
  return {narrow<std::uint32_t>(s.numbers[0]), narrow<std::uint32_t>(s.numbers[1]), narrow<std::uint32_t>(s.numbers[2]),
          narrow<std::uint32_t>(s.numbers[3])};
}

[[nodiscard]] inline VolumeView volume_view(const Statement& s) { return {s.numbers[0], s.key_tenant, narrow<std::uint32_t>(s.numbers[1])}; }

[[nodiscard]] inline TapView tap_view(const Statement& s) { return {narrow<std::uint32_t>(s.numbers[0]), s.numbers[1], s.numbers[2]}; }

[[nodiscard]] inline JailView jail_view(const Statement& s) {
  return {.image = s.digests[0],
          .vcpus = narrow<std::uint32_t>(s.numbers[1]),
          .mem_mib = narrow<std::uint32_t>(s.numbers[2]),
          .boot = s.numbers[3],
          .boot_digest = s.digests[1],
          .state = s.numbers[4],
          .guest = s.numbers[5]};
}

[[nodiscard]] inline SnapshotView snapshot_view(const Statement& s) {
  return {.kind = s.numbers[0],
          .has_base = s.numbers[1] != 0,
          .base = s.digests[0],
          .key_tenant = s.key_tenant,
          .key_version = narrow<std::uint32_t>(s.numbers[2]),
          .compression = s.numbers[3],
          .slot = narrow<std::uint32_t>(s.numbers[4]),
          .seq = narrow<std::uint32_t>(s.numbers[5])};
}

[[nodiscard]] inline BaseView base_view(const Statement& s) {
  return {s.digests[0], s.digests[1], narrow<std::uint32_t>(s.numbers[2]), s.key_tenant, narrow<std::uint32_t>(s.numbers[3])};
}

// A snapshot that stands on its pool's base.
[[nodiscard]] inline bool is_diff(const Statement& s) { return s.word == Word::kSnapshot && s.numbers[0] == kDiff; }

[[nodiscard]] inline KernelView kernel_view(const Statement& s) { return {s.digests[0], s.numbers[1]}; }

[[nodiscard]] inline RootfsView rootfs_view(const Statement& s) { return {s.digests[0], s.numbers[1]}; }

[[nodiscard]] inline TenantView tenant_view(const Statement& s) {
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

[[nodiscard]] inline PoolView pool_view(const Statement& s) {
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
