// Gives up all that a process was not granted, for good. Owns nothing; touches this process alone.
// A process calls enter() once, with one thread, when it holds all that it needs and before it reads its first byte of
// input. An error is fatal: the caller says it on stderr and exits. There is no going on with a privilege kept.
// Proven by: tests/sandbox/enter_test.cc (each forbidden thing dies or is refused), and each process's tests/sandbox/*_ablation_test.cc.
#pragma once

#include <span>
#include <string_view>

#include "base/error.h"
#include "broker/sandbox/grants.h"

namespace mvm::sandbox {

// A directory (or file) that stands for "$name" in a grant. Borrowed; only needed during the call.
struct Place {
  std::string_view name;  // "$state"
  int fd = -1;
};

// In this order: one thread; umask 077; no_new_privs; not dumpable; Landlock; rlimits (core 0 always); ambient and
// inheritable capabilities (unless they are for the jailer); a look at what the kernel says is left, which must be exactly
// the grant; the filter, last. Workers have changed identity before (spawn() did it); the supervisor calls become() first.
// kDenied: more was left than was granted. kNotFound: a grant names a place that was not given. kSystem: the kernel refused.
[[nodiscard]] Status enter(const Grants& grants, std::span<const Place> places = {});

// The same, and on failure one line on stderr and exit 70 (EX_SOFTWARE). For main().
void enter_or_exit(const Grants& grants, std::span<const Place> places = {});

}  // namespace mvm::sandbox
