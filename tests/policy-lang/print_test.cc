#include "policy-lang/print.h"

#include <gtest/gtest.h>

#include "policy-lang/text_error.h"
#include "tests/policy-lang/forms.h"

namespace mvm::lang {
namespace {

const Subject kInstance = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1});

Statement make(Sign sign, Word word, const Subject& subject, std::array<std::uint64_t, kMaxFields> numbers) {
  Statement s;
  s.sign = sign;
  s.word = word;
  s.subject = subject;
  s.numbers = numbers;
  return s;
}

Digest filled(std::uint8_t byte) {
  Digest digest;
  digest.bytes.fill(byte);
  return digest;
}

const std::string kTwos = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
const std::string kThrees = "sha256:3333333333333333333333333333333333333333333333333333333333333333";

TEST(Print, WritesAStatementAsTheDesignShowsIt) {
  const Subject acme = tenant_subject(*Name::from("acme"));
  EXPECT_EQ(print(make(Sign::kAdd, Word::kBridge, acme, {3, Subnet{0x0af00300, 24}.packed()})), "+ bridge acme net=3 subnet=10.240.3.0/24");
  EXPECT_EQ(print(make(Sign::kAdd, Word::kRule, acme, {kEgressNat, 0, 10, 0})), "+ rule acme egress=nat pps=0 mbps=10 cps=0");
  EXPECT_EQ(print(make(Sign::kRemove, Word::kTap, kInstance, {7})), "- tap acme/workers/i-a3f7b2c1 slot=7 pps=0 mbps=0");
  EXPECT_EQ(print(make(Sign::kMove, Word::kJail, kInstance, {kRunning, kWarm})), "~ jail acme/workers/i-a3f7b2c1 running>warm");
  EXPECT_EQ(print(make(Sign::kMove, Word::kGuest, kInstance, {kParked, kAwake})), "~ guest acme/workers/i-a3f7b2c1 parked>awake");
}

TEST(Print, WritesDigestsKeysAndNone) {
  Statement volume = make(Sign::kNone, Word::kVolume, kInstance, {2048, 1});
  volume.key_tenant = *Name::from("acme");
  EXPECT_EQ(print(volume), "volume acme/workers/i-a3f7b2c1 mib=2048 key=acme/1");
  EXPECT_EQ(print(make(Sign::kNone, Word::kVolume, kInstance, {2048, 0})), "volume acme/workers/i-a3f7b2c1 mib=2048 key=none");
  Statement jail = make(Sign::kNone, Word::kJail, kInstance, {1, 2, 1024, kBootSnapshot, kRunning, kParked});
  jail.digests = {filled(0x22), filled(0x33)};
  EXPECT_EQ(print(jail), "jail acme/workers/i-a3f7b2c1 image=" + kTwos + " vcpus=2 mem=1024 boot=snapshot:" + kThrees +
                             " state=running guest=parked");
  jail.numbers[3] = kBootCold;
  EXPECT_EQ(print(jail), "jail acme/workers/i-a3f7b2c1 image=" + kTwos + " vcpus=2 mem=1024 boot=cold state=running guest=parked");
  Statement coordinator = make(Sign::kNone, Word::kCoordinator, {}, {1});
  coordinator.digests[0] = filled(0x22);
  EXPECT_EQ(print(coordinator), "coordinator key=ed25519:" + kTwos.substr(7));
}

TEST(Print, WritesTheHeaderOfEachKind) {
  Header header{.node = *Name::from("node-7"), .generation = 42, .has_desired = true, .desired = filled(0x22), .base = filled(0x33)};
  const auto text = [&](Kind kind) { return print(Document{kind, header, {}}); };
  EXPECT_EQ(text(Kind::kProjection), test::with_end("mvm-projection 1\nnode node-7\ngeneration 42\n"));
  EXPECT_EQ(text(Kind::kState), test::with_end("mvm-state 1\nnode node-7\ngeneration 42\ndesired " + kTwos + "\n"));
  EXPECT_EQ(text(Kind::kPlan), test::with_end("mvm-plan 1\nnode node-7\ngeneration 42\ndesired " + kTwos + "\nbase " + kThrees + "\n"));
  EXPECT_EQ(text(Kind::kPolicy), "mvm-policy 1\nnode node-7\nend\n");
  header.has_desired = false;
  EXPECT_EQ(text(Kind::kState), test::with_end("mvm-state 1\nnode node-7\ngeneration 42\ndesired none\n"));
}

TEST(Print, GivesTheDigestThatTheEndLineCarries) {
  for (const Kind kind : {Kind::kProjection, Kind::kState, Kind::kPlan}) {
    test::Random random(7);
    const Document document = test::random_document(kind, 20, random);
    const std::string text = print(document);
    EXPECT_TRUE(text.ends_with("\nend " + to_string(text_digest(document)) + "\n"));
    EXPECT_EQ(text_digest(document), sha256(text.substr(0, text.rfind("end "))));
  }
}

TEST(Print, TellsTheSizeOfATextWithoutWritingIt) {
  for (const Kind kind : kKinds) {
    test::Random random(8);
    const Document document = test::random_document(kind, 20, random);
    EXPECT_EQ(text_size(document), print(document).size());
  }
}

// What a lying gate may send: every number too great, every name as long as a name can be.
TEST(Print, WritesTheLongestThatAStatementCanBe) {
  for (const Row& row : table()) {
    Statement s = make(Sign::kAdd, row.word, kInstance, {});
    s.numbers.fill(~std::uint64_t{0});
    s.subject.kind = SubjectKind::kInstance;
    s.subject.tenant = s.subject.pool = s.key_tenant = *Name::from(std::string(kMaxName, 'a'));
    EXPECT_FALSE(print(s).empty());
    EXPECT_LT(print(s).size(), 1024u);
  }
}

TEST(Print, NamesASnapshotByItsLineInAState) {
  Statement snapshot = make(Sign::kAdd, Word::kSnapshot, kInstance, {kFull, 0, 0, 1, 5, 9});
  EXPECT_EQ(snapshot_digest(snapshot),
            sha256("snapshot acme/workers/i-a3f7b2c1 kind=full base=none key=none compression=zstd slot=5 seq=9"));
}

TEST(Print, StripsCommentsAndEmptyLinesOfAPolicyAndNothingElse) {
  EXPECT_EQ(strip_comments("# a\n\nmvm-policy 1\n#\nnode a # b\n  # c\nend\n\n# d"), "mvm-policy 1\nnode a # b\n  # c\nend\n");
  EXPECT_EQ(strip_comments(""), "");
  EXPECT_EQ(strip_comments("end"), "end");
}

TEST(Refusal, SaysRuleLineColumnStatementWhyAndWhatWouldMakeItPass) {
  const Refusal refusal{.rule = Rule::kOrder, .line = 7, .column = 3, .statement = "+ x", .why = "no", .remedy = "y"};
  EXPECT_EQ(refusal.message(), "V2 order, line 7, column 3: + x (no). To pass: y");
  EXPECT_EQ(to_string(Rule::kForm), "V1 form");
  EXPECT_EQ(to_string(Rule::kFreshness), "V6 freshness");
}

TEST(Refusal, ShowsNoByteThatATerminalWouldObey) {
  EXPECT_EQ(printable(std::string_view("a\x1b[2J\0\xff~", 8)), "a\\x1b[2J\\x00\\xff~");
  EXPECT_EQ(printable(std::string(2 * kMaxLineBytes, 'a')).size(), kMaxLineBytes);
  EXPECT_LE(printable(std::string(2 * kMaxLineBytes, '\x01')).size(), kMaxLineBytes);
}

}  // namespace
}  // namespace mvm::lang
