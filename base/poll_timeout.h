// How long poll(2) is to wait. Proven by: tests/base/poll_timeout_test.cc.
#pragma once

#include <algorithm>
#include <chrono>

namespace mvm {

// Until that moment: whole milliseconds, rounded up, a minute at most; 0: it has come; -1, for ever: it is max().
[[nodiscard]] inline int poll_timeout(std::chrono::steady_clock::time_point due) {
  using Clock = std::chrono::steady_clock;
  if (due == Clock::time_point::max()) return -1;
  return static_cast<int>(std::clamp<long long>(std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count(), 0, 60'000));
}

}  // namespace mvm
