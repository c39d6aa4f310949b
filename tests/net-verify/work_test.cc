// However many rules there are, and however they cut the packets: the answer comes after a bounded number of steps, and says so.
#include <gtest/gtest.h>
#include <linux/netfilter/nf_tables.h>

#include "net-verify/verify.h"
#include "net-verify/walk/evaluate.h"

namespace mvm::verify {
namespace {

constexpr std::uint8_t kNetdev = 5;
constexpr std::uint64_t kFew = 20'000;

// `ether saddr & 0xff == i, ip saddr & 0xff == i: drop`, and so on: each rule leaves more boxes than it was given.
Rule cutting(std::uint8_t value) {
  Rule rule;
  for (const auto& [base, offset] : {std::pair{NFT_PAYLOAD_LL_HEADER, 11U}, std::pair{NFT_PAYLOAD_NETWORK_HEADER, 14U}, std::pair{NFT_PAYLOAD_NETWORK_HEADER, 18U}}) {
    Expr load;
    load.kind = ExprKind::kPayload;
    load.base = base, load.offset = offset, load.length = 1, load.destination = NFT_REG32_00;
    Expr compare;
    compare.kind = ExprKind::kCompare;
    compare.source = NFT_REG32_00;
    compare.data = {value};
    rule.exprs.push_back(load);
    rule.exprs.push_back(compare);
  }
  Expr drop;
  drop.kind = ExprKind::kImmediate;
  drop.verdict = Verdict{0, {}};
  rule.exprs.push_back(drop);
  return rule;
}

Snapshot that_cuts(int rules) {
  Snapshot snapshot;
  Link tap;
  tap.index = 5, tap.name = "tn3i3", tap.kind = "tun";
  snapshot.links = {tap};
  snapshot.chains = {{kNetdev, "t", "in", Hook{0, 0, "filter", {tap.name}, true}, {}}};
  for (int i = 0; i < rules; ++i) snapshot.chains[0].rules.push_back(cutting(static_cast<std::uint8_t>(i)));
  return snapshot;
}

bool gave_up(const std::map<std::string, std::set<std::uint16_t>>& all) {
  return std::ranges::any_of(all, [](const auto& one) { return one.first.contains("more work than is done for one question") && one.second.empty(); });
}

TEST(Work, PastItsBoundEndsWithAnAnswerThatIsWorthNothing) {
  const Snapshot snapshot = that_cuts(200);
  Evaluator evaluator(snapshot, kFew);
  EXPECT_TRUE(evaluator.run({kNetdev, 0, &snapshot.links[0], nullptr, nullptr, nullptr}, {Packets{}}).empty());
  EXPECT_TRUE(gave_up(evaluator.cannot_tell()));
  // And nothing is done any more.
  EXPECT_TRUE(evaluator.run({kNetdev, 1, nullptr, &snapshot.links[0], nullptr, nullptr}, {Packets{}}).empty());
}

TEST(Work, OfFewRulesIsFarBelowIt) {
  const Snapshot snapshot = that_cuts(1);
  Evaluator evaluator(snapshot, kFew);
  EXPECT_FALSE(evaluator.run({kNetdev, 0, &snapshot.links[0], nullptr, nullptr, nullptr}, {Packets{}}).empty());
  EXPECT_FALSE(gave_up(evaluator.cannot_tell()));
}

TEST(Work, PastItsBoundIsNeverSound) {
  const Report report = verify(that_cuts(200), {}, std::nullopt, kFew);
  EXPECT_TRUE(std::ranges::any_of(report.cannot_tell, [](const Unsure& unsure) { return unsure.nets.empty() && unsure.what.contains("more work than is done"); }));
}

// Two ways to the same packets are one, and the surer one is told.
TEST(Work, IsNotDoneTwiceForTheSamePackets) {
  const Packets all, some = all.in(Box().with(Field::kMark, 3));
  std::vector<Packets> packets = {all.doubted("who knows"), some.then("a"), all.then("b"), some.then("c")};
  merge(packets);
  ASSERT_EQ(1U, packets.size());
  EXPECT_EQ(Box(), packets[0].box);
  EXPECT_EQ(nullptr, packets[0].doubt);
  EXPECT_EQ("b", packets[0].path->what);
}

TEST(Work, KeepsPacketsApartThatCameByOtherWaysOrAreInDoubt) {
  const Packets low = Packets{}.in(Box().with(Field::kMark, {0, 9})), high = Packets{}.in(Box().with(Field::kMark, {10, 0xffff'ffff}));
  std::vector<Packets> one_way = {low, high}, two_ways = {low.then("a"), high.then("b")}, doubted = {low, high.doubted("who knows")};
  merge(one_way), merge(two_ways), merge(doubted);
  EXPECT_EQ(1U, one_way.size());
  EXPECT_EQ(2U, two_ways.size());
  EXPECT_EQ(2U, doubted.size());
}

}  // namespace
}  // namespace mvm::verify
