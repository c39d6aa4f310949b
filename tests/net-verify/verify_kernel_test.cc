// A node as the net worker makes it is sound; what anybody then changes with ip, bridge, nft or a sysctl is found.
#include "base/derived.h"
#include "net-verify/read/read.h"
#include "net-verify/verify.h"
#include "tests/net/net_fixture.h"

namespace mvm::verify {
namespace {

using net::bridge_task;
using net::rule_task;
using net::shell;
using net::subnet_of;
using net::tap_task;
using wire::Op;

constexpr std::uint16_t kOne = 3, kOther = 4;  // net ids: "acme", which may leave, and "bran", which may not

// Two tenants, of two taps and one; a host that forwards, with an uplink behind which all else is.
class Node : public net::InANamespace {
 protected:
  void SetUp() override {
    InANamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    shell("ip tuntap add up0 mode tap; ip address add 192.0.2.1/24 dev up0; ip link set up0 up; ip route add default via 192.0.2.9");
    for (const std::uint16_t net : {kOne, kOther}) make(bridge_task(Op::kMake, net));
    for (const auto& [net, slot] : {std::pair{kOne, 3U}, {kOne, 4U}, {kOther, 3U}}) make(tap_task(Op::kMake, net, slot));
    make(rule_task(Op::kMake, kOne, lang::kEgressNat));
    expected_.cidr = net::kCidr;
    expected_.tenants[kOne] = {*Name::from("acme"), kOne, true, subnet_of(kOne), lang::kEgressNat, {3, 4}};
    expected_.tenants[kOther] = {*Name::from("bran"), kOther, true, subnet_of(kOther), std::nullopt, {3}};
  }

  Report look() const {
    const Result<Snapshot> snapshot = read_network();
    EXPECT_TRUE(snapshot) << snapshot.error().message();
    return snapshot ? verify(*snapshot, expected_) : Report{};
  }

  static std::string text(const Report& report) {
    std::string all;
    for (const Finding& finding : report.findings) {
      all += finding.check + ": " + finding.what + (finding.doubt.empty() ? "" : " DOUBT " + finding.doubt) + "\n   ";
      for (const auto& [field, value] : finding.packet) all += " " + field + "=" + value;
      for (const std::string& step : finding.path) all += "\n      " + step;
      all += "\n";
    }
    for (const std::string& why : report.cannot_tell) all += "cannot tell: " + why + "\n";
    return all;
  }

  static bool has(const Report& report, const std::string& check, const std::string& words = {}) {
    return std::ranges::any_of(report.findings, [&](const Finding& finding) {
      return finding.check == check && finding.doubt.empty() && finding.what.contains(words);
    });
  }

  // It was sound, it is broken, and that is found.
  void breaks(const std::string& command, const std::string& check, const std::string& words = {}) {
    const Report before = look();
    ASSERT_EQ(Answer::kSound, before.answer()) << text(before);
    shell(command);
    const Report after = look();
    EXPECT_EQ(Answer::kFinding, after.answer()) << command;
    EXPECT_TRUE(has(after, check, words)) << command << "\n" << text(after);
  }

  Expected expected_;
};

TEST_F(Node, AsItIsMadeIsSound) {
  const Report report = look();
  EXPECT_EQ(Answer::kSound, report.answer()) << text(report);
  EXPECT_EQ(3U, report.taps);
}

TEST_F(Node, WhoseForwardingRulesAreGoneLetsTenantsReachEachOther) {
  breaks("nft flush chain inet mvm from; nft flush chain inet mvm to", "other-tenant", "tenant net 4 is reached from tenant net 3");
}

TEST_F(Node, WhoseInputRuleIsGoneIsReachedItself) { breaks("nft flush chain inet mvm input", "host"); }

}  // namespace
}  // namespace mvm::verify
