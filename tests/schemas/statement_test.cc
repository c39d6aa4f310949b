#include <gtest/gtest.h>

#include "schemas/statement_codec.h"
#include "tests/schemas/samples.h"

namespace mvm::wire {
namespace {

using lang::Kind;
using lang::Sign;
using lang::Statement;
using lang::Word;
using test::make;
using test::one_of_each;

bool decodes(const Statement& statement, Kind kind = Kind::kPlan) { return decode_statement(to_fbs(statement), kind).has_value(); }

TEST(StatementCodec, BringsBackEveryPrimitiveAsItWas) {
  for (const Sign sign : {Sign::kAdd, Sign::kRemove}) {
    for (const Statement& statement : one_of_each(sign)) {
      const auto back = decode_statement(to_fbs(statement), Kind::kPlan);
      ASSERT_TRUE(back) << lang::row(statement.word).name << ": " << back.error().message();
      EXPECT_EQ(*back, statement);
    }
  }
  for (const Statement& statement : one_of_each(Sign::kNone)) EXPECT_TRUE(decodes(statement, Kind::kState));
}

TEST(StatementCodec, RefusesASignThatTheKindOrTheWordDoesNotTake) {
  for (const Statement& statement : one_of_each(Sign::kNone)) EXPECT_FALSE(decodes(statement, Kind::kPlan));
  for (const Statement& statement : one_of_each(Sign::kAdd)) EXPECT_FALSE(decodes(statement, Kind::kState));
  EXPECT_FALSE(decodes(make(Sign::kMove, Word::kTap, test::instance(), {0, 1})));
  EXPECT_FALSE(decodes(make(Sign::kAdd, Word::kGuest, test::instance(), {})));
}

TEST(StatementCodec, RefusesAWordThatDoesNotStandInThatKindOfText) {
  const Statement cidr = make(Sign::kNone, Word::kCidr, {}, {test::kCidr.packed()});
  EXPECT_TRUE(decodes(cidr, Kind::kPolicy));
  EXPECT_FALSE(decodes(cidr, Kind::kState));
  EXPECT_FALSE(decodes(make(Sign::kNone, Word::kTap, test::instance(), {5}), Kind::kProjection));
}

TEST(StatementCodec, HoldsEveryNumberToItsFieldsBounds) {
  for (const Statement& sample : one_of_each(Sign::kAdd)) {
    const auto fields = lang::row(sample.word).fields;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].kind == lang::FieldKind::kSubnet) continue;
      Statement above = sample;
      above.numbers[i] = fields[i].max + 1;
      EXPECT_FALSE(decodes(above)) << lang::row(sample.word).name << " " << fields[i].name;
      if (fields[i].min == 0) continue;
      Statement below = sample;
      below.numbers[i] = fields[i].min - 1;
      EXPECT_FALSE(decodes(below)) << lang::row(sample.word).name << " " << fields[i].name;
    }
  }
}

TEST(StatementCodec, RefusesASubnetWithHostBitsOrAnOddPrefix) {
  const auto bridge = [](std::uint64_t packed) { return make(Sign::kAdd, Word::kBridge, test::acme(), {3, packed}); };
  EXPECT_TRUE(decodes(bridge(Subnet{0x0af00300, 24}.packed())));
  EXPECT_FALSE(decodes(bridge(Subnet{0x0af00301, 24}.packed())));
  EXPECT_FALSE(decodes(bridge(Subnet{0x0af00300, 31}.packed())));
  EXPECT_FALSE(decodes(bridge(Subnet{0, 7}.packed())));
  EXPECT_FALSE(decodes(bridge(Subnet{0x0af00300, 24}.packed() | std::uint64_t{1} << 40)));
}

TEST(StatementCodec, RefusesWhatTheRowDoesNotUse) {
  for (const Statement& sample : one_of_each(Sign::kAdd)) {
    const auto fields = lang::row(sample.word).fields;
    if (fields.size() < lang::kMaxFields) {
      Statement number = sample;
      number.numbers[fields.size()] = 1;
      EXPECT_FALSE(decodes(number));
    }
    if (sample.key_tenant.empty()) {
      Statement key = sample;
      key.key_tenant = *Name::from("acme");
      EXPECT_FALSE(decodes(key));
    }
    if (sample.digests[1] == Digest{}) {
      Statement digest = sample;
      digest.digests[1] = test::digest_of(1);
      EXPECT_FALSE(decodes(digest));
    }
  }
}

TEST(StatementCodec, TiesADigestAndAKeyToTheFieldThatSaysNone) {
  Statement cold = one_of_each(Sign::kAdd)[8];
  cold.numbers[3] = lang::kBootCold;
  EXPECT_FALSE(decodes(cold)) << "boot=cold with a snapshot's digest";
  cold.digests[1] = {};
  EXPECT_TRUE(decodes(cold));

  Statement plain = one_of_each(Sign::kAdd)[3];
  plain.numbers[1] = 0;
  EXPECT_FALSE(decodes(plain)) << "key=none of a tenant";
  plain.key_tenant = {};
  EXPECT_TRUE(decodes(plain));
  plain.numbers[1] = 1;
  EXPECT_FALSE(decodes(plain)) << "a version of nobody's key";
}

TEST(StatementCodec, RefusesASubjectOfTheWrongKind) {
  EXPECT_FALSE(decodes(make(Sign::kAdd, Word::kTap, test::acme(), {5})));
  EXPECT_FALSE(decodes(make(Sign::kAdd, Word::kRule, test::instance(), {0, 0, 0, 0})));
  Subject half = test::instance();
  half.pool = {};
  EXPECT_FALSE(decodes(make(Sign::kAdd, Word::kTap, half, {5})));
}

TEST(StatementCodec, TakesAMoveBetweenStatesThatThereAreAndNothingBesides) {
  EXPECT_TRUE(decodes(make(Sign::kMove, Word::kJail, test::instance(), {lang::kRunning, lang::kWarm})));
  EXPECT_TRUE(decodes(make(Sign::kMove, Word::kGuest, test::instance(), {lang::kAwake, lang::kParked})));
  EXPECT_FALSE(decodes(make(Sign::kMove, Word::kJail, test::instance(), {0, 2})));
  EXPECT_FALSE(decodes(make(Sign::kMove, Word::kJail, test::instance(), {0, 1, 7})));
}

TEST(StatementCodec, RefusesNamesThatAreNotNames) {
  const Statement tap = one_of_each(Sign::kAdd)[7];
  for (const char* name : {"Acme", "a/b", "-a", "a-", "../x"}) {
    fbs::Statement raw = to_fbs(tap);
    auto* bytes = const_cast<std::uint8_t*>(raw.subject().tenant().bytes()->Data());
    std::memset(bytes, 0, 32);
    std::memcpy(bytes, name, std::strlen(name));
    EXPECT_FALSE(decode_statement(raw, Kind::kPlan)) << name;
  }
  fbs::Statement raw = to_fbs(tap);
  const_cast<std::uint8_t*>(raw.subject().tenant().bytes()->Data())[31] = 'x';  // after the padding
  EXPECT_FALSE(decode_statement(raw, Kind::kPlan));
}

}  // namespace
}  // namespace mvm::wire
