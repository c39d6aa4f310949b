#include "broker/sandbox/identity.h"

#include <grp.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <string>

#include "base/owned.h"
#include "broker/sandbox/capset.h"

namespace mvm::sandbox {
namespace {

// Root's uid gives nothing at execve and no ambient capability can be raised. That leaving uid 0 loses all capabilities
// (SECBIT_NO_SETUID_FIXUP off) and that they are not kept over it (SECBIT_KEEP_CAPS off) is locked as it is.
constexpr unsigned long kSecurebits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP_LOCKED |
                                      SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

Status change_ids(const User& user) {
  if (setgroups(0, nullptr) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "setgroups");
  }
  if (setresgid(user.gid, user.gid, user.gid) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "setresgid", std::to_string(user.gid));
  }
  if (setresuid(user.uid, user.uid, user.uid) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "setresuid", std::to_string(user.uid));
  }
  return {};
}

Status securebits(unsigned long bits) {
  if (auto ok = call_prctl(PR_SET_SECUREBITS, bits, 0, "PR_SET_SECUREBITS"); !ok) return forward(std::move(ok.error()));
  return {};
}

Status check_left(const Grants& grants) {
  const auto sets = cap_sets();
  if (!sets) return forward(sets.error());
  const CapSet caps = grants.capabilities;
  if (*sets != CapSets{caps, caps, caps, caps, caps}) return fail(Errc::kDenied, "hold exactly the granted capabilities");
  return {};
}

}  // namespace

Result<User> user_named(std::string_view name) {
  const Owned<std::FILE, std::fclose> file(std::fopen("/etc/passwd", "re"));
  const int saved_errno = errno;
  if (!file) return fail_errno(saved_errno, "open", "/etc/passwd");
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  while (fgetpwent_r(file.get(), &entry, buffer.data(), buffer.size(), &found) == 0) {
    if (entry.pw_name == name) return User{entry.pw_uid, entry.pw_gid};
  }
  return fail(Errc::kNotFound, "find a system user", std::string(name));
}

Status become(const Grants& grants, const User& user) {
  const CapSet caps = grants.capabilities;
  const CapSet meanwhile = caps | cap_bit(CAP_SETPCAP);
  if (auto ok = drop_bounding(caps); !ok) return ok;
  if (auto ok = securebits(SECBIT_KEEP_CAPS); !ok) return ok;
  if (auto ok = change_ids(user); !ok) return ok;
  if (auto ok = set_caps(meanwhile, meanwhile, caps); !ok) return ok;
  if (auto ok = raise_ambient(caps); !ok) return ok;
  if (auto ok = securebits(kSecurebits); !ok) return ok;
  if (auto ok = set_caps(caps, caps, caps); !ok) return ok;
  return check_left(grants);
}

Status step_down(const User& user) {
  if (user.uid == 0 || user.gid == 0) return fail(Errc::kDenied, "step down to root");
  if (auto ok = change_ids(user); !ok) return ok;
  const auto sets = cap_sets();
  if (!sets) return forward(sets.error());
  if (sets->effective != 0 || sets->permitted != 0 || sets->ambient != 0) return fail(Errc::kDenied, "keep no capability");
  return {};
}

}  // namespace mvm::sandbox
