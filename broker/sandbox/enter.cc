#include "broker/sandbox/enter.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "broker/sandbox/capset.h"
#include "broker/sandbox/landlock.h"

namespace mvm::sandbox {
namespace {

// Landlock and capabilities are a thread's, not a process's: a second thread would stay outside.
Status check_one_thread() {
  struct stat task {};
  if (stat("/proc/self/task", &task) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "stat", "/proc/self/task");
  }
  // The directory has ".", "..", and one directory a thread.
  if (task.st_nlink != 3) return fail(Errc::kDenied, "enter the sandbox with one thread");
  return {};
}

Status limit(int resource, rlim_t value) {
  const rlimit both{.rlim_cur = value, .rlim_max = value};
  if (setrlimit(static_cast<__rlimit_resource_t>(resource), &both) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "setrlimit", std::to_string(resource));
  }
  return {};
}

Status set_limits(const Grants& grants) {
  if (auto ok = limit(RLIMIT_CORE, 0); !ok) return ok;
  for (const LimitGrant& grant : grants.limits) {
    if (auto ok = limit(grant.resource, grant.value); !ok) return ok;
  }
  return {};
}

Status close_to_others(const Grants& grants) {
  const std::string name = "mvm-" + std::string(grants.process);
  for (const auto& [option, argument] : std::array<std::pair<int, unsigned long>, 3>{{
           {PR_SET_NAME, reinterpret_cast<unsigned long>(name.c_str())},
           {PR_SET_NO_NEW_PRIVS, 1},
           {PR_SET_DUMPABLE, 0},
       }}) {
    if (auto ok = call_prctl(option, argument); !ok) return forward(std::move(ok.error()));
  }
  return {};
}

CapSet inherited(const Grants& grants) { return grants.over_exec == OverExec::kCapabilities ? grants.capabilities : 0; }

// Ambient goes where inheritable goes. The bounding set is for those that may still exec with privilege; with
// no_new_privs nothing is gained at execve, so what is left of it in a process that never was root gives nothing.
Status reduce_caps(const Grants& grants) {
  return set_caps(grants.capabilities, grants.capabilities, inherited(grants));
}

Status check_caps(const Grants& grants) {
  const auto sets = cap_sets();
  if (!sets) return forward(sets.error());
  const bool exact = sets->effective == grants.capabilities && sets->permitted == grants.capabilities &&
                     sets->inheritable == inherited(grants) && sets->ambient == inherited(grants);
  if (!exact) return fail(Errc::kDenied, "hold exactly the granted capabilities");
  return {};
}

// Only what starts the jailer may be root: see SECURITY.md, "Why the jail worker is uid 0".
Status check_ids(const Grants& grants) {
  uid_t real = 0, effective = 0, saved = 0;
  if (getresuid(&real, &effective, &saved) != 0 || real != effective || effective != saved) {
    return fail(Errc::kDenied, "be one user and no other");
  }
  if (effective == 0 && grants.over_exec == OverExec::kNothing) return fail(Errc::kDenied, "be a user that is not root");
  return {};
}

Status check_what_is_left(const Grants& grants) {
  if (auto ok = check_ids(grants); !ok) return ok;
  if (auto ok = check_caps(grants); !ok) return ok;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return fail(Errc::kDenied, "see no_new_privs set");
  if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return fail(Errc::kDenied, "see itself not dumpable");
  return {};
}

Status install_filter(const Grants& grants) {
  const sock_fprog program{.len = static_cast<unsigned short>(grants.filter.size()),
                           .filter = const_cast<sock_filter*>(grants.filter.data())};
  if (program.len == 0 || program.len != grants.filter.size()) return fail(Errc::kDenied, "have a filter of a possible length");
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "seccomp");
  }
  return {};
}

}  // namespace

Status enter(const Grants& grants, std::span<const Place> places) {
  if (auto ok = check_one_thread(); !ok) return ok;
  umask(077);
  if (auto ok = close_to_others(grants); !ok) return ok;
  if (grants.files == Files::kLandlock) {
    if (auto ok = close_files(grants, places); !ok) return ok;
  }
  if (auto ok = set_limits(grants); !ok) return ok;  // after Landlock, whose ruleset needs one descriptor more
  if (auto ok = reduce_caps(grants); !ok) return ok;
  if (auto ok = check_what_is_left(grants); !ok) return ok;
  return install_filter(grants);
}

void enter_or_exit(const Grants& grants, std::span<const Place> places) {
  const auto ok = enter(grants, places);
  if (ok) return;
  std::fprintf(stderr, "mvm-%s: cannot enter its sandbox: %s\n", std::string(grants.process).c_str(), ok.error().message().c_str());
  std::_Exit(EX_SOFTWARE);
}

}  // namespace mvm::sandbox
