#include "broker/sandbox/landlock.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>

#include "base/fd.h"
#include "broker/sandbox/enter.h"

namespace mvm::sandbox {
namespace {

// struct landlock_ruleset_attr as of ABI 6. An older kernel takes it as long as what it does not know is zero.
struct RulesetAttr {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};
static_assert(offsetof(RulesetAttr, handled_access_fs) == offsetof(landlock_ruleset_attr, handled_access_fs));
static_assert(kAccessRights[0].bit == LANDLOCK_ACCESS_FS_EXECUTE && kAccessRights[12].bit == LANDLOCK_ACCESS_FS_MAKE_SYM);

constexpr std::uint64_t kTcpBindAndConnect = 0b11;           // since ABI 4
constexpr std::uint64_t kTcpConnect = 0b10;
constexpr std::uint64_t kAbstractSocketsAndSignals = 0b11;   // since ABI 6

// struct landlock_net_port_attr and LANDLOCK_RULE_NET_PORT, since ABI 4.
struct NetPortAttr {
  std::uint64_t allowed_access;
  std::uint64_t port;  // in host byte order
};
constexpr int kRuleNetPort = 2;
static_assert(LANDLOCK_RULE_PATH_BENEATH == 1);

std::uint64_t rights_of(int abi) {
  std::uint64_t rights = 0;
  for (const AccessRight& right : kAccessRights) {
    if (right.since <= abi) rights |= right.bit;
  }
  return rights;
}

// The place's descriptor, or the path opened (into `owned`).
Result<int> descriptor_of(const PathGrant& grant, std::span<const Place> places, Fd& owned) {
  if (grant.path.starts_with('$')) {
    const auto place = std::ranges::find(places, grant.path, &Place::name);
    if (place == places.end()) return fail(Errc::kNotFound, "grant a place that main() did not open", std::string(grant.path));
    return place->fd;
  }
  const std::string path(grant.path);
  owned = Fd(open(path.c_str(), O_PATH | O_CLOEXEC | O_NOFOLLOW));
  const int saved_errno = errno;
  if (!owned.valid()) return fail_errno(saved_errno, "open a granted path", path);
  return owned.get();
}

Status add_rule(int ruleset, const PathGrant& grant, std::uint64_t handled, std::span<const Place> places) {
  Fd owned;
  const auto fd = descriptor_of(grant, places, owned);
  if (!fd) return forward(fd.error());
  landlock_path_beneath_attr rule{.allowed_access = grant.access & handled, .parent_fd = *fd};
  if (rule.allowed_access == 0) return {};  // nothing that this kernel would have refused
  if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "landlock_add_rule", std::string(grant.path));
  }
  return {};
}

Status add_port(int ruleset, std::uint16_t port) {
  const NetPortAttr rule{kTcpConnect, port};
  if (syscall(SYS_landlock_add_rule, ruleset, kRuleNetPort, &rule, 0) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "landlock_add_rule", "port " + std::to_string(port));
  }
  return {};
}

}  // namespace

Status close_files(const Grants& grants, std::span<const Place> places) {
  const auto abi = static_cast<int>(syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
  if (abi < 1) return fail(Errc::kUnsupported, "find Landlock in this kernel");
  const RulesetAttr attr{.handled_access_fs = rights_of(abi),
                         .handled_access_net = abi >= 4 ? kTcpBindAndConnect : 0,
                         .scoped = abi >= 6 ? kAbstractSocketsAndSignals : 0};
  const Fd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0)));
  const int saved_errno = errno;
  if (!ruleset.valid()) return fail_errno(saved_errno, "landlock_create_ruleset");
  for (const PathGrant& grant : grants.paths) {
    if (auto ok = add_rule(ruleset.get(), grant, attr.handled_access_fs, places); !ok) return ok;
  }
  if (grants.connect_port != 0 && attr.handled_access_net != 0) {
    if (auto ok = add_port(ruleset.get(), grants.connect_port); !ok) return ok;
  }
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    const int restrict_errno = errno;
    return fail_errno(restrict_errno, "landlock_restrict_self");
  }
  return {};
}

}  // namespace mvm::sandbox
