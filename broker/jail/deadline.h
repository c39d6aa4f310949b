// A moment after which we stop waiting. Monotonic.
#pragma once

#include <algorithm>
#include <chrono>

namespace mvm::jail {

class Deadline {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Deadline(std::chrono::milliseconds from_now) : at_(Clock::now() + from_now) {}
  // Whole milliseconds that are left, rounded up, as poll(2) takes them; 0: none.
  [[nodiscard]] int left_ms() const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, 1'000'000'000));
  }
  [[nodiscard]] bool passed() const { return left_ms() == 0; }
  [[nodiscard]] static Deadline sooner(const Deadline& a, const Deadline& b) { return a.at_ < b.at_ ? a : b; }

 private:
  Clock::time_point at_;
};

}  // namespace mvm::jail
