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

std::optional<Box> join(const Box& a, const Box& b) {
  bool in_a = true, in_b = true;  // whether the one holds the other
  int differ = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < kFields; ++i) {
    const Interval one = a.at_[i], two = b.at_[i];
    if (one == two) continue;
    ++differ;
    where = i;
    in_a = in_a && one.contains(two);
    in_b = in_b && two.contains(one);
    if (differ > 1 && !in_a && !in_b) return std::nullopt;
  }
  if (in_a) return a;
  if (in_b) return b;
  const Interval one = a.at_[where], two = b.at_[where];
  if (std::max(one.low, two.low) > std::min(one.high, two.high) + 1) return std::nullopt;
  return a.hull(b);
}

std::vector<Box> subtract(const Box& a, const Box& b) {
  for (std::size_t i = 0; i < kFields; ++i)
    if (intersect(a.of(static_cast<Field>(i)), b.of(static_cast<Field>(i))).empty()) return a.empty() ? std::vector<Box>{} : std::vector{a};
  std::vector<Box> left;
  Box rest = a;  // narrowed, field by field, to what is inside of b there
  for (std::size_t i = 0; i < kFields; ++i) {
    const Interval have = rest.at_[i], cut = intersect(have, b.at_[i]);
    if (have == cut) continue;
    const auto field = static_cast<Field>(i);
    if (have.low < cut.low) left.push_back(rest.with(field, {have.low, cut.low - 1}));
    if (have.high > cut.high) left.push_back(rest.with(field, {cut.high + 1, have.high}));
    rest.at_[i] = cut;
  }
  return left;
}

}  // namespace mvm::verify
