#include "net-verify/space/box.h"

namespace mvm::verify {

bool Box::contains(const Box& inner) const {
  for (std::size_t i = 0; i < kFields; ++i)
    if (!at_[i].contains(inner.at_[i])) return false;
  return true;
}

Box Box::hull(const Box& other) const {
  Box made = *this;
  for (std::size_t i = 0; i < kFields; ++i)
    made.at_[i] = {std::min(at_[i].low, other.at_[i].low), std::max(at_[i].high, other.at_[i].high)};
  return made;
}

Box intersect(const Box& a, const Box& b) {
  Box made = a;
  for (std::size_t i = 0; i < kFields; ++i) made.at_[i] = intersect(a.at_[i], b.at_[i]);
  return made;
}

std::vector<Box> subtract(const Box& a, const Box& b) {
  const Box both = intersect(a, b);
  if (both.empty()) return a.empty() ? std::vector<Box>{} : std::vector{a};
  std::vector<Box> left;
  Box rest = a;  // narrowed, field by field, to what is inside of b there
  for (std::size_t i = 0; i < kFields; ++i) {
    const auto field = static_cast<Field>(i);
    const Interval have = rest.of(field), cut = both.of(field);
    if (have.low < cut.low) left.push_back(rest.with(field, {have.low, cut.low - 1}));
    if (have.high > cut.high) left.push_back(rest.with(field, {cut.high + 1, have.high}));
    rest = rest.with(field, cut);
  }
  return left;
}

}  // namespace mvm::verify
