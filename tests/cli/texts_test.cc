#include "cli/texts.h"

#include <gtest/gtest.h>

#include "cli/diff_view.h"
#include "tests/planner/texts.h"

namespace mvm::cli {
namespace {

TEST(Format, SortsCleansAndSealsWhatPeopleWrote) {
  const std::string canonical = test::projection_text(1, test::kPrune + test::tenant("acme", 3) + test::tenant("globex", 4));
  const std::string draft = "# a draft\nmvm-projection 1\nnode node-7\ngeneration 1\n\n" + test::tenant("globex", 4) + test::tenant("acme", 3) +
                            test::kPrune + "end sha256:" + std::string(64, '0') + "\n";
  const auto formatted = format(draft);
  ASSERT_TRUE(formatted);
  EXPECT_EQ(*formatted, canonical);
  EXPECT_EQ(format(*formatted).value(), *formatted);
}

TEST(Format, NamesTheLineThatIsWrong) {
  const auto formatted = format("mvm-projection 1\nnode node-7\ngeneration 1\n" + test::kPrune + "tenant acme net=x\n");
  ASSERT_FALSE(formatted);
  EXPECT_EQ(std::get<lang::Refusal>(formatted.error()).line, 5u);
}

TEST(Format, KeepsTheOrderOfAPlan) {
  const std::string plan = test::sealed("mvm-plan 1\nnode node-7\ngeneration 1\ndesired sha256:" + std::string(64, '1') + "\nbase sha256:" +
                                        std::string(64, '2') + "\n+ bridge globex net=4 subnet=10.240.4.0/24\n+ bridge acme net=3 subnet=10.240.3.0/24\n");
  EXPECT_EQ(format(plan).value(), plan);
}

TEST(Format, RefusesATextOfNoKnownKind) {
  EXPECT_FALSE(format(""));
  EXPECT_FALSE(format("mvm-projection 2\n"));
  EXPECT_FALSE(format("hello\n"));
}

lang::Document state(const std::string& statements) {
  return test::parsed(lang::Kind::kState, test::sealed("mvm-state 1\nnode node-7\ngeneration 0\ndesired none\n" + statements));
}
const std::string kBridge = "bridge acme net=3 subnet=10.240.3.0/24\n";

TEST(Compare, ShowsWhatIsAddedRemovedAndChangedAndNothingElse) {
  const auto left = state(kBridge + "rule acme egress=none pps=0 mbps=0 cps=0\n");
  const auto right = state("bridge acme net=3 subnet=10.240.3.0/25\nbridge globex net=4 subnet=10.240.4.0/24\n");
  EXPECT_TRUE(compare(left, left).same());
  EXPECT_EQ(to_text({}, compare(left, right)),
            "acme\n  ! bridge acme net=3 subnet=10.240.3.0/24 -> 10.240.3.0/25\n"
            "  < rule acme egress=none pps=0 mbps=0 cps=0\n"
            "globex\n  > bridge globex net=4 subnet=10.240.4.0/24\n");
  const Json json = to_json(compare(left, right));
  EXPECT_EQ(json["changes"].size(), 3u);
  EXPECT_EQ(json["changes"][0]["after"]["fields"]["subnet"], "10.240.3.0/25");
}

TEST(Compare, SeesThatTwoPlansDifferInOrderAlone) {
  lang::Document left = state(kBridge + "bridge globex net=4 subnet=10.240.4.0/24\n");
  left.kind = lang::Kind::kPlan;
  lang::Document right = left;
  std::swap(right.statements[0], right.statements[1]);
  EXPECT_TRUE(compare(left, right).reordered);
  EXPECT_FALSE(compare(left, right).same());
}

TEST(Compare, ColoursOnlyWhereAsked) {
  const auto comparison = compare(state(""), state(kBridge));
  EXPECT_EQ(to_text({.json = false, .colour = false}, comparison).find('\033'), std::string::npos);
  EXPECT_NE(to_text({.json = false, .colour = true}, comparison).find("\033[32m"), std::string::npos);
}

}  // namespace
}  // namespace mvm::cli
