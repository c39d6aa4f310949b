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
struct TapView { std::uint32_t slot; };
struct JailView { Digest image; std::uint32_t vcpus, mem_mib; std::uint64_t boot; Digest boot_digest; std::uint64_t state, guest; };
struct SnapshotView { std::uint64_t kind; bool has_base; Digest base; Name key_tenant; std::uint32_t key_version; std::uint64_t compression; std::uint32_t slot; std::uint32_t seq; };
struct KernelView { Digest digest; std::uint64_t bytes; };
struct RootfsView { Digest root; std::uint64_t blocks; };
struct TenantView { std::uint16_t net; Subnet subnet; std::uint64_t vcpus, mem, running, warm, pools, instances, disk; bool has_secrets; Digest secrets; };
struct PoolView { Digest image; std::uint64_t vcpus, mem, data, running, warm, sleeping; bool pinned, critical; std::uint64_t compression; bool has_config; Digest config; };

[[nodiscard]] BridgeView bridge_view(const Statement& statement);
[[nodiscard]] RuleView rule_view(const Statement& statement);
[[nodiscard]] CgroupView cgroup_view(const Statement& statement);
[[nodiscard]] VolumeView volume_view(const Statement& statement);
[[nodiscard]] TapView tap_view(const Statement& statement);
[[nodiscard]] JailView jail_view(const Statement& statement);
[[nodiscard]] SnapshotView snapshot_view(const Statement& statement);
[[nodiscard]] KernelView kernel_view(const Statement& statement);
[[nodiscard]] RootfsView rootfs_view(const Statement& statement);
[[nodiscard]] TenantView tenant_view(const Statement& statement);
[[nodiscard]] PoolView pool_view(const Statement& statement);

}  // namespace mvm::lang
