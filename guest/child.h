// A child process with a deadline: an image's program, or work that may hang in the kernel. It is the leader of a session of its own, and whatever
// of that is left when the time is up is killed.
// Proven by: tests/guest/park_test.cc.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/error.h"

namespace mvm::guest {

using Clock = std::chrono::steady_clock;

// Runs `work` in a child, which ends with the status that it returns. kTimeout: not ended by then, and killed. kDenied: ended with another
// status than 0, or by a signal.
[[nodiscard]] Status run_child(const std::function<int()>& work, Clock::time_point until, const std::string& name);

// Runs the programs of a directory one after the other, in the order of their names, with `word` as their one argument. A directory that is not
// there has none. Each must be a regular file that root owns and alone may write, at most kMaxHooks of them: else kDenied, and none runs.
inline constexpr std::size_t kMaxHooks = 32;
[[nodiscard]] Status run_hooks(const std::string& directory, const char* word, Clock::time_point until);

}  // namespace mvm::guest
