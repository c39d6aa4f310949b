// kMake and kUnmake of a rule, as nft then shows it. What the rules do to packets is packets_test.cc's.
#include "base/derived.h"
#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;

class Rule : public InANamespace {
 protected:
  void SetUp() override {
    InANamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    make(bridge_task(Op::kMake, 3));
  }
  // The elements of a set or map, as nft prints them in JSON.
  std::string elements(const char* kind, const char* name) {
    const auto listing = shell_json(std::string("nft -j list ") + kind + " inet mvm " + name);
    for (const auto& entry : listing["nftables"])
      if (entry.contains(kind)) return entry[kind].value("elem", nlohmann::json::array()).dump();
    return "no such set";
  }
};

TEST_F(Rule, WithEgressNoneIsADropAndNoReplies) {
  make(rule_task(Op::kMake, 3, lang::kEgressNone));
  EXPECT_EQ(R"([["br-tenant-3",{"drop":null}]])", elements("map", "egress"));
  EXPECT_EQ("[]", elements("set", "replies"));
}

TEST_F(Rule, WithEgressNatIsAnAcceptAndReplies) {
  make(rule_task(Op::kMake, 3, lang::kEgressNat));
  EXPECT_EQ(R"([["br-tenant-3",{"accept":null}]])", elements("map", "egress"));
  EXPECT_EQ(R"(["br-tenant-3"])", elements("set", "replies"));
}

TEST_F(Rule, WithEgressListedGoesToTheList) {
  make(rule_task(Op::kMake, 3, lang::kEgressListed));
  EXPECT_EQ(R"([["br-tenant-3",{"goto":{"target":"listed"}}]])", elements("map", "egress"));
  EXPECT_TRUE(elements("set", "allowed").contains("192.0.2.0")) << elements("set", "allowed");
}

TEST_F(Rule, FoldsAListInWhichOneSubnetIsInsideAnother) {
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressListed);
  task.egress = {{192U << 24 | 2U << 8 | 128, 25}, {192U << 24 | 2U << 8, 24}, {192U << 24 | 2U << 8 | 9, 32}, {192U << 24 | 3U << 8, 24}};
  make(task);
  EXPECT_EQ(2U, nlohmann::json::parse(elements("set", "allowed")).size()) << elements("set", "allowed");
}

TEST_F(Rule, TakesTheLongestListAndNotALongerOne) {
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressListed);
  task.egress.clear();
  for (std::uint32_t i = 0; i < kMaxEgressSubnets; ++i) task.egress.push_back({192U << 24 | i << 9, 24});
  make(task);
  EXPECT_EQ(kMaxEgressSubnets, nlohmann::json::parse(elements("set", "allowed")).size());
  task.egress.push_back({193U << 24, 24});
  EXPECT_EQ(Errc::kLimit, run(task).error.code);
}

TEST_F(Rule, HasALimitForEachRateThatIsNotZero) {
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressNat);
  task.statement.numbers = {lang::kEgressNat, 1000, 8, 0};
  make(task);
  EXPECT_EQ(R"([["br-tenant-3","br-tenant-3-packets"]])", elements("map", "packets"));
  EXPECT_EQ(R"([["br-tenant-3","br-tenant-3-bytes"]])", elements("map", "bytes"));
  EXPECT_EQ("[]", elements("map", "connections"));
  const std::string limits = shell("nft list limits table inet mvm");
  EXPECT_TRUE(limits.contains("rate over 1000/second burst 100 packets")) << limits;
  EXPECT_TRUE(limits.contains("rate over 1000000 bytes/second burst 131072 bytes") ||
              limits.contains("rate over 1000000 bytes/second burst 128 kbytes")) << limits;
}

TEST_F(Rule, TakesTheHighestRatesThatThereAre) {
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressNat);
  for (const char* rate : {"pps", "mbps", "cps"}) {
    const std::size_t field = lang::field_index(lang::Word::kRule, rate);
    task.statement.numbers[field] = lang::row(lang::Word::kRule).fields[field].max;
  }
  make(task);
  EXPECT_TRUE(shell("nft list limits table inet mvm").contains("rate over 10000000/second"));
}

TEST_F(Rule, IsReplacedWithNothingOfTheOldOneLeft) {
  make(bridge_task(Op::kMake, 4));
  make(rule_task(Op::kMake, 4, lang::kEgressListed));
  const std::string before = whole_state();
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressListed);
  task.statement.numbers = {lang::kEgressListed, 10, 20, 30};
  make(task);
  make(rule_task(Op::kMake, 3, lang::kEgressNone));
  EXPECT_TRUE(elements("map", "egress").contains(R"(["br-tenant-3",{"drop":null}])"));
  make(rule_task(Op::kUnmake, 3, lang::kEgressNone));
  EXPECT_EQ(before, whole_state());
}

TEST_F(Rule, CanBeMadeTwiceAndRemovedTwice) {
  const std::string before = whole_state();
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressListed);
  task.statement.numbers = {lang::kEgressListed, 10, 20, 30};
  make(task);
  const std::string once = whole_state();
  make(task);
  EXPECT_EQ(once, whole_state());
  make(rule_task(Op::kUnmake, 3, lang::kEgressListed));
  make(rule_task(Op::kUnmake, 3, lang::kEgressListed));
  EXPECT_EQ(before, whole_state());
}

TEST_F(Rule, WithEgressIsRefusedWhereTheHostDoesNotForward) {
  shell("echo 0 > /proc/sys/net/ipv4/ip_forward");
  const std::string before = whole_state();
  const wire::Answer answer = run(rule_task(Op::kMake, 3, lang::kEgressNat));
  EXPECT_EQ(Errc::kUnsupported, answer.error.code);
  EXPECT_TRUE(answer.error.on.contains("ip_forward")) << answer.error.on;
  EXPECT_EQ(before, whole_state());
  make(rule_task(Op::kMake, 3, lang::kEgressNone));
}

TEST_F(Rule, NeedsItsBridge) { EXPECT_EQ(Errc::kNotFound, run(rule_task(Op::kMake, 5, lang::kEgressNone)).error.code); }

TEST_F(Rule, GoesWithItsBridge) {
  make(bridge_task(Op::kMake, 4));
  wire::Task task = rule_task(Op::kMake, 3, lang::kEgressListed);
  task.statement.numbers = {lang::kEgressListed, 10, 20, 30};
  make(task);
  make(bridge_task(Op::kUnmake, 3));
  EXPECT_FALSE(shell("nft list ruleset").contains("br-tenant-3"));
}

}  // namespace
}  // namespace mvm::net
