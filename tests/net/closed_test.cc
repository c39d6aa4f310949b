// What the policy's lines close, as ranges, and as the kernel then has them.
#include "broker/net/closed.h"

#include <algorithm>

#include "base/derived.h"
#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;

constexpr Subnet subnet(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint8_t prefix) { return {a << 24 | b << 16 | c << 8, prefix}; }

bool closes(const std::vector<Range>& ranges, const Subnet& what, std::uint32_t offset = 0) {
  const std::uint32_t address = what.base + offset;
  return std::ranges::any_of(ranges, [&](const Range& range) { return range.first <= address && address <= range.last; });
}

TEST(ClosedRanges, ArePrivateOnesAndNobodysAndTheClustersWhereThePolicySaysNothing) {
  wire::Task task;
  task.place.cidr = subnet(192, 0, 0, 12);  // 192.0 to 192.15
  const auto ranges = closed_ranges(task);
  for (const Subnet& closed : {subnet(0, 0, 0, 8), subnet(10, 0, 0, 8), subnet(100, 64, 0, 10), subnet(127, 0, 0, 8), subnet(169, 254, 0, 16),
                               subnet(172, 16, 0, 12), subnet(192, 0, 0, 12), subnet(192, 168, 0, 16), subnet(224, 0, 0, 3)}) {
    const auto last = static_cast<std::uint32_t>(closed.size() - 1);
    EXPECT_TRUE(closes(ranges, closed) && closes(ranges, closed, last)) << to_string(closed);
    EXPECT_TRUE(closed.prefix == 3 || !closes(ranges, closed, last + 1)) << "behind " << to_string(closed);
    EXPECT_TRUE(closed.base == 0 || !closes(ranges, closed, ~0U)) << "before " << to_string(closed);
  }
  EXPECT_EQ(9U, ranges.size());
}

TEST(ClosedRanges, LeaveOutOfThePrivateOnesWhatEgressNames) {
  wire::Task task;
  task.place.cidr = kCidr;
  task.egress = {subnet(192, 168, 7, 24), subnet(10, 1, 0, 16), subnet(172, 16, 0, 12), subnet(100, 0, 0, 9)};
  const auto ranges = closed_ranges(task);
  EXPECT_TRUE(closes(ranges, subnet(192, 168, 6, 24), 255) && closes(ranges, subnet(192, 168, 8, 24)));
  EXPECT_FALSE(closes(ranges, subnet(192, 168, 7, 24)) || closes(ranges, subnet(192, 168, 7, 24), 255));
  EXPECT_FALSE(closes(ranges, subnet(10, 1, 0, 16)));
  EXPECT_TRUE(closes(ranges, subnet(10, 2, 0, 16)));
  EXPECT_FALSE(closes(ranges, subnet(172, 20, 0, 16)));
  EXPECT_FALSE(closes(ranges, subnet(100, 127, 0, 16)));
}

TEST(ClosedRanges, HoldWhatIsClosedWhateverEgressNames) {
  wire::Task task;
  task.place.cidr = kCidr;
  task.egress = {subnet(10, 0, 0, 8), subnet(169, 254, 0, 16), subnet(198, 51, 100, 24)};
  task.closed = {subnet(10, 9, 0, 16), subnet(198, 51, 100, 25), subnet(8, 8, 8, 24)};
  const auto ranges = closed_ranges(task);
  EXPECT_TRUE(closes(ranges, kCidr)) << "the cluster's";
  EXPECT_TRUE(closes(ranges, subnet(169, 254, 169, 24), 254)) << "nobody's";
  EXPECT_TRUE(closes(ranges, subnet(10, 9, 0, 16)));
  EXPECT_FALSE(closes(ranges, subnet(10, 8, 0, 16)));
  EXPECT_TRUE(closes(ranges, subnet(198, 51, 100, 24)));
  EXPECT_FALSE(closes(ranges, subnet(198, 51, 100, 24), 128));
  EXPECT_TRUE(closes(ranges, subnet(8, 8, 8, 24), 8));
}

// As an interval set takes them: sorted, and none that meets the next.
TEST(ClosedRanges, DoNotMeet) {
  wire::Task task;
  task.place.cidr = kCidr;
  task.closed = {subnet(11, 0, 0, 8), subnet(9, 0, 0, 8), subnet(223, 0, 0, 8), subnet(240, 0, 0, 8)};
  const auto ranges = closed_ranges(task);
  for (std::size_t i = 1; i < ranges.size(); ++i) EXPECT_LT(std::uint64_t{ranges[i - 1].last} + 1, ranges[i].first);
  EXPECT_EQ(~0U, ranges.back().last);
  EXPECT_TRUE(std::ranges::find(ranges, Range{9U << 24, (12U << 24) - 1}) != ranges.end());
}

class Closed : public InANamespace {
 protected:
  bool bridge_is_whole(const wire::Task& wanted) {
    const auto items = inventory_items(wanted);
    return items.size() == 1 && items[0].alive;
  }
};

TEST_F(Closed, AreWhatThePolicySaysWhenTheNextBridgeIsMadeAndTheInventorySeesWhereTheyAreNot) {
  wire::Task bridge = bridge_task(Op::kMake, 3), wanted = inventory_task();
  make(bridge);
  EXPECT_TRUE(bridge_is_whole(wanted));
  wanted.closed = bridge.closed = {subnet(198, 51, 100, 24)};
  wanted.egress = bridge.egress = {subnet(192, 168, 7, 24)};
  EXPECT_FALSE(bridge_is_whole(wanted)) << "a line more in the policy, and hostd started again";
  make(bridge);
  EXPECT_TRUE(bridge_is_whole(wanted));
  for (const char* family : {"inet", "bridge"}) {
    const std::string set = shell(std::string("nft list set ") + family + " mvm closed");
    EXPECT_TRUE(set.contains("198.51.100.0/24")) << set;
    EXPECT_FALSE(set.contains("192.168.0.0/16")) << set;
    shell(std::string("nft delete element ") + family + " mvm closed '{ 198.51.100.0/24 }'");
    EXPECT_FALSE(bridge_is_whole(wanted)) << family;
    make(bridge);
    EXPECT_TRUE(bridge_is_whole(wanted)) << family;
  }
  EXPECT_FALSE(bridge_is_whole(inventory_task())) << "a line less";
}

TEST_F(Closed, TakeTheLongestListsThatAPolicyHas) {
  wire::Task bridge = bridge_task(Op::kMake, 3);
  for (std::uint32_t i = 0; i < wire::kMaxSubnets; ++i) {
    bridge.closed.push_back(subnet(20, i, 0, 24));
    bridge.egress.push_back(subnet(10, 0, 2 * i, 24));
  }
  make(bridge);
  wire::Task wanted = inventory_task();
  wanted.egress = bridge.egress, wanted.closed = bridge.closed;
  EXPECT_TRUE(bridge_is_whole(wanted));
  make(bridge_task(Op::kMake, 3));
  EXPECT_TRUE(bridge_is_whole(inventory_task()));
}

}  // namespace
}  // namespace mvm::net
