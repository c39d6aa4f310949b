#include "policy-lang/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "policy-lang/print.h"
#include "tests/policy-lang/forms.h"

namespace mvm::lang {
namespace {

using test::with_end;
using ::testing::HasSubstr;

const std::string kOnes = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const std::string kTwos = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
const std::string kPlanHeader = "mvm-plan 1\nnode node-7\ngeneration 42\ndesired " + kOnes + "\nbase " + kTwos + "\n";
const std::string kStateHeader = "mvm-state 1\nnode node-7\ngeneration 0\ndesired none\n";
const std::string kProjectionHeader = "mvm-projection 1\nnode node-7\ngeneration 1\n";
const std::string kTap = "+ tap acme/workers/i-a3f7b2c1 slot=5 pps=0 mbps=0";
const std::string kInstance = "acme/workers/i-a3f7b2c1";

std::string plan_with(const std::string& line) { return with_end(kPlanHeader + line + "\n"); }

Refusal refusal_of(Kind kind, const std::string& text) {
  const auto parsed = parse(kind, text);
  EXPECT_FALSE(parsed) << text;
  return parsed ? Refusal{} : parsed.error();
}

// The line is refused as the sixth of a plan, at that column, for that reason.
void expect_refused(const std::string& line, std::uint32_t column, const std::string& why) {
  const Refusal refusal = refusal_of(Kind::kPlan, plan_with(line));
  EXPECT_EQ(refusal.rule, Rule::kForm);
  EXPECT_EQ(refusal.line, 6u) << line;
  EXPECT_EQ(refusal.column, column) << line << "\n" << refusal.message();
  EXPECT_THAT(refusal.why, HasSubstr(why)) << line;
  EXPECT_FALSE(refusal.remedy.empty()) << line;
  EXPECT_EQ(refusal.statement, printable(line.substr(0, line.find('\n'))));
}

void expect_whole_refused(Kind kind, const std::string& text, std::uint32_t line, const std::string& why) {
  const Refusal refusal = refusal_of(kind, text);
  EXPECT_EQ(refusal.line, line) << text << refusal.message();
  EXPECT_THAT(refusal.why, HasSubstr(why)) << text;
}

TEST(Parse, ReadsAPlan) {
  const std::string text = with_end(kPlanHeader + kTap + "\n~ jail " + kInstance + " running>warm\n- jail " + kInstance + " image=" +
                                    kOnes + " vcpus=2 mem=1024 boot=snapshot:" + kTwos + " state=warm guest=parked\n");
  const auto plan = parse(Kind::kPlan, text);
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->header.node.view(), "node-7");
  EXPECT_EQ(plan->header.generation, 42u);
  EXPECT_EQ(plan->header.desired, *parse_digest(kOnes));
  EXPECT_EQ(plan->header.base, *parse_digest(kTwos));
  ASSERT_EQ(plan->statements.size(), 3u);
  EXPECT_EQ(plan->statements[0].sign, Sign::kAdd);
  EXPECT_EQ(plan->statements[0].number("slot"), 5u);
  EXPECT_EQ(to_string(plan->statements[0].subject), kInstance);
  EXPECT_EQ(plan->statements[1].numbers[0], kRunning);
  EXPECT_EQ(plan->statements[1].numbers[1], kWarm);
  EXPECT_EQ(jail_view(plan->statements[2]).boot_digest, *parse_digest(kTwos));
  EXPECT_EQ(print(*plan), text);
}

TEST(Parse, IsTheInverseOfPrint) {
  test::Random random(test::test_seed());
  for (const Kind kind : kKinds) {
    for (int i = 0; i < 500; ++i) {
      const Document document = test::random_document(kind, test::below(40, random), random);
      const std::string text = print(document);
      const auto parsed = parse(kind, text);
      ASSERT_TRUE(parsed) << parsed.error().message() << "\n" << text;
      ASSERT_EQ(*parsed, document);
      ASSERT_EQ(print(*parsed), text);
    }
  }
}

TEST(Parse, TakesNoByteChangedRemovedOrAddedUnlessItPrintsTheSame) {
  test::Random random(test::test_seed());
  for (const Kind kind : kKinds) {
    for (int i = 0; i < 3000; ++i) {
      std::string text = print(test::random_document(kind, 1 + test::below(6, random), random));
      const std::size_t at = test::below(text.size(), random);
      switch (test::below(3, random)) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.erase(at, 1); break;
        default: text.insert(at, 1, text[test::below(text.size(), random)]);
      }
      const auto parsed = parse(kind, text);
      if (!parsed) continue;
      ASSERT_EQ(print(*parsed), kind == Kind::kPolicy ? strip_comments(text) : text);
    }
  }
}

TEST(Parse, RefusesWhiteSpaceThatIsNotOneSpace) {
  expect_refused("+  tap " + kInstance + " slot=5", 3, "a word is expected");
  expect_refused("+ tap  " + kInstance + " slot=5", 7, "no name of a tenant");
  expect_refused("+ tap " + kInstance + "  slot=5", 31, "'slot' is expected");
  expect_refused("+ tap\t" + kInstance + " slot=5", 6, "a space is expected");
  expect_refused(kTap + " ", 50, "goes on");
  expect_refused(" " + kTap, 1, "begins with its sign");
  expect_refused("", 1, "begins with its sign");
  expect_refused(kTap + "\r", 50, "carriage return");
}

TEST(Parse, RefusesNumbersInAnySecondSpelling) {
  expect_refused("+ tap " + kInstance + " slot=05", 36, "leading zero");
  expect_refused("+ tap " + kInstance + " slot=+5", 36, "no value");
  expect_refused("+ tap " + kInstance + " slot=0x5", 36, "out of its range");
  expect_refused("+ tap " + kInstance + " slot=5x", 37, "a space is expected");
  expect_refused(kTap + "x", 50, "goes on");
  expect_refused("+ tap " + kInstance + " slot=", 36, "no value");
  expect_refused("+ tap " + kInstance + " slot=2", 36, "out of its range");
  expect_refused("+ tap " + kInstance + " slot=1048575", 36, "out of its range");
  expect_refused("+ tap " + kInstance + " slot=9999999999999999", 36, "out of its range");
  expect_refused("+ tap " + kInstance + " slot=18446744073709551621", 36, "no value");  // 5, if it wrapped at 64 bits
}

TEST(Parse, RefusesNamesBeyondTheirLimitAndTakesThemAtIt) {
  const std::string longest(kMaxName, 'a'), longer(kMaxName + 1, 'a');
  const auto line = [](const std::string& tenant, const std::string& pool) { return "+ tap " + tenant + "/" + pool + "/i-a3f7b2c1 slot=5 pps=0 mbps=0"; };
  EXPECT_TRUE(parse(Kind::kPlan, plan_with(line(longest, longest))));
  expect_refused(line(longer, "p"), 7, "no name of a tenant");
  expect_refused(line("t", longer), 9, "no name of a pool");
  expect_refused(line("acme-", "p"), 11, "does not end with '-'");
  expect_refused(line("Acme", "p"), 7, "no name of a tenant");
  expect_refused(line("4cme", "p"), 7, "no name of a tenant");
  expect_refused(line("a_b", "p"), 8, "'/' is expected");
  expect_refused("+ tap acme/workers/i-A3F7B2C1 slot=5", 20, "no name of an instance");
  expect_refused("+ tap acme/workers/i-a3f7b2c slot=5", 20, "no name of an instance");
  expect_refused("+ tap acme/workers/i-a3f7b2c11 slot=5", 30, "a space is expected");
  expect_refused("+ tap acme/workers slot=5", 19, "'/' is expected");
  expect_refused("+ bridge acme/workers net=3 subnet=10.240.3.0/24", 14, "a space is expected");
}

TEST(Parse, RefusesDigestsInAnySecondSpelling) {
  const std::string begin = "+ secrets " + kInstance + " digest=";
  EXPECT_TRUE(parse(Kind::kPlan, plan_with(begin + kOnes)));
  std::string upper = kOnes;
  upper[9] = 'A';
  expect_refused(begin + upper, 42, "no value");
  expect_refused(begin + kOnes + "1", 113, "goes on");
  expect_refused(begin + kOnes.substr(0, kOnes.size() - 1), 42, "no value");
  expect_refused(begin + kOnes.substr(7), 42, "no value");
  expect_refused(begin + "none", 42, "no value");
}

TEST(Parse, RefusesSubnetsInAnySecondSpelling) {
  const auto line = [](const std::string& subnet) { return "+ bridge acme net=3 subnet=" + subnet; };
  EXPECT_TRUE(parse(Kind::kPlan, plan_with(line("10.240.3.0/24"))));
  expect_refused(line("10.240.3.1/24"), 28, "host bits");
  expect_refused(line("10.240.03.0/24"), 35, "leading zero");
  expect_refused(line("10.240.256.0/24"), 35, "out of its range");
  expect_refused(line("10.240.3/24"), 28, "no value");
  expect_refused(line("10.240.3.0"), 28, "no value");
  expect_refused(line("10.240.3.0/024"), 39, "leading zero");
  expect_refused(line("10.240.3.0/31"), 39, "out of its range");
  expect_refused(line("8.0.0.0/7"), 36, "out of its range");
  EXPECT_TRUE(parse(Kind::kPlan, plan_with(line("8.0.0.0/8"))));
  EXPECT_TRUE(parse(Kind::kPlan, plan_with(line("10.0.0.252/30"))));
}

TEST(Parse, RefusesKeysInAnySecondSpelling) {
  const auto volume = [](const std::string& key) { return "+ volume " + kInstance + " mib=1 key=" + key; };
  const auto open = [](const std::string& key) { return "+ luksOpen " + kInstance + " key=" + key; };
  for (const char* good : {"none", "acme/1", "none/65535"}) EXPECT_TRUE(parse(Kind::kPlan, plan_with(volume(good)))) << good;
  expect_refused(volume("acme"), 48, "no version");
  expect_refused(volume("acme/0"), 49, "out of its range");
  expect_refused(volume("acme/65536"), 49, "out of its range");
  expect_refused(volume("acme/01"), 49, "leading zero");
  expect_refused(volume("acme-/1"), 48, "does not end with '-'");
  expect_refused(volume(""), 44, "no value");
  expect_refused(open("none"), 44, "no value");
}

TEST(Parse, RefusesFieldsThatAreMissingUnknownTwiceOrNotInOrder) {
  expect_refused("+ cgroup " + kInstance + " mem=256 pids=64 io=0", 34, "'cpu' is missing before 'mem'");
  expect_refused("+ cgroup " + kInstance + " cpu=100 mem=256 pids=64", 57, "ends before the field 'io'");
  expect_refused("+ cgroup " + kInstance + " cpu=100 cpu=100 mem=256 pids=64 io=0", 42, "'cpu' is written twice");
  expect_refused("+ cgroup " + kInstance + " cpu=100 swap=0 mem=256 pids=64 io=0", 42, "no such field");
  expect_refused("+ cgroup " + kInstance + " cpu=100 mem=256 pids=64 io=0 io=0", 62, "goes on");
  expect_refused("+ cgroup " + kInstance + " cpu 100 mem=256 pids=64 io=0", 37, "'=' is expected");
  expect_refused("+ cgroup " + kInstance, 33, "ends before the field 'cpu'");
}

TEST(Parse, RefusesWordsOfFieldsThatAreNotInTheTable) {
  const std::string begin = "+ jail " + kInstance + " image=" + kOnes + " vcpus=1 mem=16 boot=";
  expect_refused(begin + "warm state=running guest=awake", 130, "no value");
  expect_refused(begin + "cold state=Running guest=awake", 141, "no value");
  expect_refused(begin + "cold state=run guest=awake", 141, "'run' is no value");
  expect_refused(begin + "snapshot:none state=running guest=awake", 139, "no value");
}

TEST(Parse, RefusesWordsThatDoNotStandInThatKindOfText) {
  expect_refused("+ pool acme/workers x=1", 3, "does not stand in a plan");
  expect_refused("+ frobnicate acme", 3, "there is no word");
  expect_refused("+ end", 3, "there is no word");
  expect_whole_refused(Kind::kState, with_end(kStateHeader + "guest " + kInstance + "\n"), 5, "does not stand in a state");
  expect_whole_refused(Kind::kState, with_end(kStateHeader + "prune tenants=no pools=no\n"), 5, "does not stand in a state");
  expect_whole_refused(Kind::kProjection, with_end(kProjectionHeader + "tap " + kInstance + " slot=5 pps=0 mbps=0\n"), 4, "does not stand in a projection");
  expect_whole_refused(Kind::kPolicy, "mvm-policy 1\nnode a\nprune tenants=no pools=no\nend\n", 3, "does not stand in a policy");
}

TEST(Parse, TakesEachSignWhereItsWordTakesItAndNowhereElse) {
  expect_refused("~ tap " + kInstance + " running>warm", 1, "does not take this sign");
  expect_refused("+ guest " + kInstance, 1, "does not take this sign");
  expect_refused("tap " + kInstance + " slot=5 pps=0 mbps=0", 1, "begins with its sign");
  expect_refused("+tap " + kInstance + " slot=5", 2, "a space is expected");
  expect_refused("~ jail " + kInstance + " running>parked", 40, "'parked' is no value");
  expect_refused("~ jail " + kInstance + " running > warm", 39, "'>' is expected");
  expect_refused("~ jail " + kInstance + " running", 39, "'>' is expected");
  expect_whole_refused(Kind::kState, with_end(kStateHeader + kTap + "\n"), 5, "a word is expected");
}

TEST(Parse, RefusesAHeaderThatIsNotComplete) {
  expect_whole_refused(Kind::kPlan, "", 1, "ends before its 'end' line");
  expect_whole_refused(Kind::kPlan, with_end("mvm-plan 2\n"), 1, "does not begin");
  expect_whole_refused(Kind::kPlan, with_end("mvm-state 1\n"), 1, "does not begin");
  expect_whole_refused(Kind::kPlan, with_end("mvm-plan 1\nnode A\n"), 2, "no name of a node");
  expect_whole_refused(Kind::kPlan, with_end("mvm-plan 1\nnode a-\n"), 2, "does not end");
  expect_whole_refused(Kind::kPlan, with_end("mvm-plan 1\nnode a\ndesired none\n"), 3, "generation");
  expect_whole_refused(Kind::kPlan, with_end("mvm-plan 1\nnode a\ngeneration 0\n"), 3, "out of its range");
  expect_whole_refused(Kind::kPlan, with_end("mvm-plan 1\nnode a\ngeneration 1\ndesired none\n"), 4, "no digest");
  expect_whole_refused(Kind::kPlan, with_end("mvm-plan 1\nnode a\ngeneration 1\ndesired " + kOnes + "\n"), 5, "base");
  expect_whole_refused(Kind::kState, with_end("mvm-state 1\nnode a\ngeneration 1\n"), 4, "desired");
  expect_whole_refused(Kind::kState, with_end("mvm-state 1\nnode a\ngeneration 01\ndesired none\n"), 3, "leading zero");
  expect_whole_refused(Kind::kProjection, with_end("mvm-projection 1\nnode a\ngeneration 1\ndesired none\n"), 4, "there is no word");
}

TEST(Parse, TakesGenerationsUpToTheirLimit) {
  const auto text = [](const std::string& generation) { return with_end("mvm-state 1\nnode a\ngeneration " + generation + "\ndesired none\n"); };
  EXPECT_TRUE(parse(Kind::kState, text("0")));
  EXPECT_TRUE(parse(Kind::kState, text("9007199254740991")));
  expect_whole_refused(Kind::kState, text("9007199254740992"), 3, "out of its range");
  expect_whole_refused(Kind::kState, text("18446744073709551617"), 3, "no generation");
}

TEST(Parse, RefusesATextThatIsCutShortAtEveryByte) {
  const std::string text = plan_with(kTap);
  for (std::size_t size = 0; size < text.size(); ++size) EXPECT_FALSE(parse(Kind::kPlan, text.substr(0, size))) << size;
  expect_whole_refused(Kind::kPlan, text.substr(0, text.size() - 1), 7, "no line feed");
  expect_whole_refused(Kind::kPlan, kPlanHeader + kTap + "\n", 7, "ends before its 'end' line");
}

TEST(Parse, RefusesBytesAfterTheEnd) {
  const std::string text = plan_with(kTap);
  expect_whole_refused(Kind::kPlan, text + "\n", 8, "goes on after its last line");
  expect_whole_refused(Kind::kPlan, text + text, 8, "goes on after its last line");
  expect_whole_refused(Kind::kPlan, text + std::string(1, '\0'), 8, "goes on after its last line");
}

TEST(Parse, RefusesAWrongDigestAndSaysTheRightOne) {
  const Refusal refusal = refusal_of(Kind::kPlan, kPlanHeader + "end " + kOnes + "\n");
  EXPECT_EQ(refusal.line, 6u);
  EXPECT_EQ(refusal.column, 5u);
  EXPECT_THAT(refusal.remedy, HasSubstr(to_string(sha256(kPlanHeader))));
  EXPECT_FALSE(parse(Kind::kPlan, kPlanHeader + "end\n"));
  EXPECT_FALSE(parse(Kind::kPlan, kPlanHeader + "end none\n"));
  EXPECT_FALSE(parse(Kind::kPlan, kPlanHeader + "end  " + to_string(sha256(kPlanHeader)) + "\n"));
}

TEST(Parse, RefusesEveryByteThatIsNotPrintableAscii) {
  for (int byte = 0; byte < 256; ++byte) {
    if (byte >= 0x20 && byte < 0x7f) continue;
    for (std::size_t at = 0; at < kTap.size(); ++at) {
      std::string line = kTap;
      line[at] = static_cast<char>(byte);
      EXPECT_FALSE(parse(Kind::kPlan, plan_with(line))) << byte << " at " << at;
    }
  }
}

TEST(Parse, ShowsNoUnprintableByteInARefusal) {
  expect_refused("+ tap\x1b[2J acme", 6, "a space is expected");
  EXPECT_EQ(refusal_of(Kind::kPlan, plan_with("+ \x1bq")).statement, "+ \\x1bq");
}

TEST(Parse, TakesStatementsUpToTheirLimit) {
  Document plan = test::full_plan(kMaxStatements);
  const std::string full = print(plan);
  ASSERT_LE(full.size(), kMaxTextBytes);
  ASSERT_TRUE(parse(Kind::kPlan, full));
  const Statement tap = plan.statements[3];  // a short one, so that one more fits the bytes
  for (Statement& s : plan.statements) s = tap;
  plan.statements.push_back(tap);
  const std::string more = print(plan);
  ASSERT_LE(more.size(), kMaxTextBytes);
  expect_whole_refused(Kind::kPlan, more, 6 + kMaxStatements, "more than 16384 statements");
}

TEST(Parse, TakesBytesUpToTheirLimit) {
  // A policy, as its comments can be of any length.
  const auto text = [](std::size_t size) {
    const std::string rest = "\nmvm-policy 1\nnode a\nend\n";
    return "#" + std::string(size - rest.size() - 1, 'x') + rest;
  };
  EXPECT_TRUE(parse(Kind::kPolicy, text(kMaxTextBytes)));
  expect_whole_refused(Kind::kPolicy, text(kMaxTextBytes + 1), 0, "longer than 1048576 bytes");
}

TEST(Parse, RefusesALineBeyondItsLimitBeforeReadingIt) {
  const std::string at_limit(kMaxLineBytes, 'x'), above(kMaxLineBytes + 1, 'x');
  expect_refused(at_limit, 1, "begins with its sign");
  expect_refused(above, 1, "longer than");
  expect_whole_refused(Kind::kPlan, above, 1, "longer than");
  expect_whole_refused(Kind::kPlan, "mvm-plan 1\n" + above + "\n", 2, "longer than");
}

TEST(Parse, RefusesStatementsThatAreNotSortedOrStandTwice) {
  const std::string bridge = "bridge acme net=3 subnet=10.240.3.0/24\n", rule = "rule acme egress=none pps=0 mbps=0 cps=0\n";
  const std::string slot5 = "tap " + kInstance + " slot=5 pps=0 mbps=0\n", slot6 = "tap " + kInstance + " slot=6 pps=0 mbps=0\n";
  EXPECT_TRUE(parse(Kind::kState, with_end(kStateHeader + bridge + rule + slot5)));
  expect_whole_refused(Kind::kState, with_end(kStateHeader + rule + bridge), 6, "canonical order");
  expect_whole_refused(Kind::kState, with_end(kStateHeader + slot5 + bridge), 6, "canonical order");
  expect_whole_refused(Kind::kState, with_end(kStateHeader + slot5 + slot5), 6, "stands twice");
  expect_whole_refused(Kind::kState, with_end(kStateHeader + slot5 + slot6), 6, "stands twice");
  EXPECT_TRUE(parse(Kind::kPlan, plan_with("+ " + rule + "+ " + bridge + "+ " + bridge.substr(0, bridge.size() - 1)))) << "a plan has its own order";
}

TEST(Parse, SortsTheLinesOfAPolicyThatMayBeGivenSeveralTimes) {
  const auto policy = [](const std::string& lines) { return "mvm-policy 1\nnode a\n" + lines + "end\n"; };
  const std::string one = "image digest=" + kOnes + "\n", two = "image digest=" + kTwos + "\n";
  EXPECT_TRUE(parse(Kind::kPolicy, policy(one + two)));
  expect_whole_refused(Kind::kPolicy, policy(two + one), 4, "canonical order");
  expect_whole_refused(Kind::kPolicy, policy(one + one), 4, "stands twice");
  expect_whole_refused(Kind::kPolicy, policy("encrypt data=no snapshots=no\nencrypt data=yes snapshots=no\n"), 4, "stands twice");
}

TEST(Parse, ReadsAPolicyAsPeopleWriteIt) {
  const std::string text = "# of this node\n\nmvm-policy 1\n# name\nnode a\n\n#\nencrypt data=yes snapshots=yes\n\nend\n\n# gone";
  const auto policy = parse(Kind::kPolicy, text);
  ASSERT_TRUE(policy) << policy.error().message();
  EXPECT_EQ(print(*policy), strip_comments(text));
  EXPECT_EQ(*parse(Kind::kPolicy, strip_comments(text)), *policy);
  expect_whole_refused(Kind::kPolicy, "# of this node\n\nmvm-policy 1\nnode A\nend\n", 4, "no name of a node");
  expect_whole_refused(Kind::kPolicy, "mvm-policy 1\nnode a\n # indented\nend\n", 3, "a word is expected");
  expect_whole_refused(Kind::kPolicy, "mvm-policy 1\nnode a\nend sha256\n", 3, "goes on");
}

TEST(Parse, RefusesWhatFollowsTheEndOfAPolicyUnlessItIsAComment) {
  const std::string policy = "mvm-policy 1\nnode a\nend\n";
  EXPECT_TRUE(parse(Kind::kPolicy, policy + "\n# over\n"));
  expect_whole_refused(Kind::kPolicy, policy + "encrypt data=no snapshots=no\n", 4, "goes on after its last line");
  expect_whole_refused(Kind::kPolicy, policy + "\n" + policy, 5, "goes on after its last line");
  expect_whole_refused(Kind::kPolicy, policy + " ", 4, "goes on after its last line");
}

TEST(Parse, TakesCommentsAndEmptyLinesInAPolicyOnly) {
  expect_whole_refused(Kind::kPlan, "# c\n" + plan_with(kTap), 1, "does not begin");
  expect_refused("# c", 1, "begins with its sign");
  expect_whole_refused(Kind::kState, with_end(kStateHeader + "\n"), 5, "a word is expected");
  expect_whole_refused(Kind::kProjection, with_end(kProjectionHeader + "# c\n"), 4, "a word is expected");
}

// A corpus whose texts no longer parse would lead a fuzzer nowhere, and nobody would notice.
TEST(Corpus, HasTextsThatAreTaken) {
  const auto expect_taken = [](Kind kind, std::initializer_list<const char*> names) {
    for (const char* name : names) {
      std::ifstream in(std::string(MVM_SOURCE_DIR "/fuzz/corpus/") + std::string(to_string(kind)) + "_fuzz/" + name, std::ios::binary);
      const std::string text(std::istreambuf_iterator<char>(in), {});
      const auto parsed = parse(kind, text);
      EXPECT_TRUE(parsed) << name << ": " << parsed.error().message();
    }
  };
  expect_taken(Kind::kPlan, {"create_instance", "sleep_instance", "wake_instance", "empty_plan", "names_at_their_limit"});
  expect_taken(Kind::kProjection, {"tenant_rule_pool", "nothing", "longest_line", "generation_at_its_limit"});
  expect_taken(Kind::kState, {"running_instance", "sleeping_instance", "before_the_first_plan", "tenant_named_none"});
  expect_taken(Kind::kPolicy, {"every_line", "comments_and_empty_lines"});
}

}  // namespace
}  // namespace mvm::lang
