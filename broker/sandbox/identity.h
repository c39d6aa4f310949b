// Who a process is: user, group, capability sets, securebits (capabilities(7)). Changed once, while still root.
// Proven by: tests/sandbox/identity_test.cc.
#pragma once

#include <sys/types.h>

#include <string_view>

#include "base/error.h"
#include "broker/sandbox/grants.h"

namespace mvm::sandbox {

struct User {
  uid_t uid = 0;
  gid_t gid = 0;
  bool operator==(const User&) const = default;
};

// From /etc/passwd itself, not by NSS, which would load libraries into the process. kNotFound where it is not there.
[[nodiscard]] Result<User> user_named(std::string_view name);

// Needs root. Bounding set, groups, gid, uid, then permitted = effective = inheritable = ambient = grants.capabilities, and
// the securebits locked: root's uid gives nothing at execve, no ambient capability can be added; leaving uid 0 still loses
// all of them (the jailer's setuid depends on it).
[[nodiscard]] Status become(const Grants& grants, const User& user);

// For a process that may change its ids and no more: groups, gid, uid; leaving uid 0 loses every capability, which is looked at. kDenied: the user
// is root, or something is left.
[[nodiscard]] Status step_down(const User& user);

}  // namespace mvm::sandbox
