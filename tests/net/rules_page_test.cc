// docs/net-rules.md shows the rules as they are: what nft and ip list, for the example on the page.
#include <fstream>
#include <sstream>

#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;
using RulesPage = InANamespace;

TEST_F(RulesPage, ShowsWhatNftAndIpList) {
  shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
  make(bridge_task(Op::kMake, 3));
  make(bridge_task(Op::kMake, 4));
  make(tap_task(Op::kMake, 3, 5));
  wire::Task rule = rule_task(Op::kMake, 3, lang::kEgressListed);
  rule.statement.numbers = {lang::kEgressListed, 20'000, 0, 0};
  make(rule);
  make(rule_task(Op::kMake, 4, lang::kEgressNat));
  std::ifstream page(MVM_RULES_PAGE);
  std::stringstream text;
  text << page.rdbuf();
  for (const char* command : {"nft -s list ruleset", "ip rule", "ip route show table 7170003 | sed 's/ linkdown//'"})
    EXPECT_TRUE(text.str().contains("```\n" + shell(command) + "```\n")) << shell(command);
}

}  // namespace
}  // namespace mvm::net
