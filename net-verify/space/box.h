// Sets of packets: a box is an interval for each field of a header, and a set is a union of boxes. Pure.
// Proven by: tests/net-verify/space_test.cc (against every packet of a small space).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace mvm::verify {

// What of a packet is modelled. Nothing is said of a field that another ethertype has.
enum class Field : std::uint8_t {
  kTag,   // 0: none; 1: 802.1Q; 2: 802.1ad
  kType,  // ethertype, behind the tag (skb->protocol)
  kSourceMac, kTargetMac,
  kSource, kTarget,  // IPv4
  kProtocol,
  kFragment,  // flags and offset
  kSourcePort, kTargetPort,  // the first four bytes behind the IPv4 header
  kArpHead,   // hardware, protocol, their lengths: 6 bytes
  kArpOperation, kArpSourceMac, kArpSource, kArpTargetMac, kArpTarget,
  kMark,      // skb->mark
  kState,     // of conntrack: kInvalid..kUntracked
};
inline constexpr std::size_t kFields = 18;

enum StateOf : std::uint64_t { kInvalid, kEstablished, kRelated, kNew, kUntracked };

struct FieldShape {
  std::string_view name;
  unsigned bytes;      // as a register shows it
  std::uint64_t most;  // the largest value
  bool host_order;     // least byte first
};

inline constexpr std::array<FieldShape, kFields> kShapes = {{
    {"vlan tag", 2, 2, false},
    {"ethertype", 2, 0xffff, false},
    {"ether saddr", 6, 0xffff'ffff'ffff, false},
    {"ether daddr", 6, 0xffff'ffff'ffff, false},
    {"ip saddr", 4, 0xffff'ffff, false},
    {"ip daddr", 4, 0xffff'ffff, false},
    {"ip protocol", 1, 0xff, false},
    {"ip frag-off", 2, 0xffff, false},
    {"sport", 2, 0xffff, false},
    {"dport", 2, 0xffff, false},
    {"arp head", 6, 0xffff'ffff'ffff, false},
    {"arp operation", 2, 0xffff, false},
    {"arp saddr ether", 6, 0xffff'ffff'ffff, false},
    {"arp saddr ip", 4, 0xffff'ffff, false},
    {"arp daddr ether", 6, 0xffff'ffff'ffff, false},
    {"arp daddr ip", 4, 0xffff'ffff, false},
    {"mark", 4, 0xffff'ffff, true},
    {"ct state", 4, 4, true},
}};

[[nodiscard]] constexpr const FieldShape& shape(Field field) { return kShapes[static_cast<std::size_t>(field)]; }

struct Interval {
  std::uint64_t low = 0, high = 0;  // both inside
  auto operator<=>(const Interval&) const = default;
  [[nodiscard]] bool contains(std::uint64_t value) const { return value >= low && value <= high; }
  [[nodiscard]] bool contains(const Interval& inner) const { return inner.low >= low && inner.high <= high; }
  [[nodiscard]] bool empty() const { return low > high; }
  [[nodiscard]] bool single() const { return low == high; }
};

[[nodiscard]] constexpr Interval intersect(Interval a, Interval b) { return {std::max(a.low, b.low), std::min(a.high, b.high)}; }

class Box {
 public:
  Box() {  // every packet
    for (std::size_t i = 0; i < kFields; ++i) at_[i] = {0, kShapes[i].most};
  }
  [[nodiscard]] const Interval& of(Field field) const { return at_[static_cast<std::size_t>(field)]; }
  [[nodiscard]] Box with(Field field, Interval interval) const {
    Box made = *this;
    made.at_[static_cast<std::size_t>(field)] = interval;
    return made;
  }
  [[nodiscard]] Box with(Field field, std::uint64_t value) const { return with(field, {value, value}); }
  // What of this also lies in the interval; may be empty.
  [[nodiscard]] Box within(Field field, Interval interval) const { return with(field, intersect(of(field), interval)); }
  [[nodiscard]] bool empty() const {
    return std::ranges::any_of(at_, [](const Interval& i) { return i.empty(); });
  }
  [[nodiscard]] bool contains(const Box& inner) const;
  [[nodiscard]] Box hull(const Box& other) const;  // the least box around both
  bool operator==(const Box&) const = default;

 private:
  friend Box intersect(const Box& a, const Box& b);
  friend std::optional<Box> join(const Box& a, const Box& b);
  friend std::vector<Box> subtract(const Box& a, const Box& b);
  std::array<Interval, kFields> at_;
};

[[nodiscard]] Box intersect(const Box& a, const Box& b);
// The union, where that is a box: one holds the other, or they differ in one field alone and meet there.
[[nodiscard]] std::optional<Box> join(const Box& a, const Box& b);
// What of `a` is not in `b`: disjoint boxes, at most two for each field.
[[nodiscard]] std::vector<Box> subtract(const Box& a, const Box& b);

}  // namespace mvm::verify
