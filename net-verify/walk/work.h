// How much may be done for one question, counted in steps, so that the answer's time has a bound whatever rules there are:
// past it the answer is that we cannot tell. Pure.
// Proven by: tests/net-verify/work_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mvm::verify {

// Steps for one question: about a microsecond each. One is an expression on a lot of packets, an element of a set on a box, a
// box made, a route on a box, or kComparisons boxes compared.
inline constexpr std::uint64_t kMaxWork = 50'000'000;
inline constexpr std::size_t kComparisons = 32;

class Work {
 public:
  explicit Work(std::uint64_t most) : left_(most) {}
  void spend(std::uint64_t steps) { left_ -= steps < left_ ? steps : left_; }
  void spend_comparisons(std::size_t many) { spend(many / kComparisons); }
  [[nodiscard]] bool spent() const { return left_ == 0; }

 private:
  std::uint64_t left_;
};

}  // namespace mvm::verify
