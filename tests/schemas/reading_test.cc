#include "schemas/reading.h"

#include <gtest/gtest.h>

#include "schemas/broker.h"
#include "schemas/reading_generated.h"
#include "schemas/worker.h"
#include "tests/schemas/samples.h"

namespace mvm::wire {
namespace {

Reading whole() {
  return {.instance = test::instance(), .cpu = 1'000'000, .memory = 1 << 20, .frames = Frames{7, 8}, .guest = GuestSays::kIdle, .since = 12};
}
Reading of_a_tap() { return {.net = 3, .slot = 5, .frames = Frames{7, 8}}; }

TEST(Reading, ComesBackAsItWas) {
  const Reading silent{.instance = test::instance()}, zero{.instance = test::instance(), .cpu = 0, .memory = 0, .frames = Frames{}, .guest = GuestSays::kBusy};
  for (const Reading& reading : {whole(), of_a_tap(), silent, zero}) EXPECT_EQ(decode_reading(to_fbs(reading)), reading);
}

TEST(Reading, IsOfAnInstanceOrOfATapAndOfNothingElse) {
  for (const Subject& other : {test::acme(), pool_subject(*Name::from("acme"), *Name::from("workers"))}) {
    EXPECT_FALSE(decode_reading(to_fbs(Reading{.instance = other, .slot = 3})));
    EXPECT_FALSE(decode_reading(to_fbs(Reading{.instance = other})));
  }
  EXPECT_FALSE(decode_reading(to_fbs(Reading{.cpu = 5})));
  EXPECT_FALSE(decode_reading(to_fbs(Reading{.instance = test::instance(), .slot = 3})));
  EXPECT_FALSE(decode_reading(to_fbs(Reading{.instance = test::instance(), .net = 3})));
  EXPECT_FALSE(decode_reading(to_fbs(Reading{.net = 4096, .slot = 3})));
}

TEST(Reading, SaysNoWordAndNoNumberThatThereIsNot) {
  const auto remade = [&](std::uint8_t has, std::uint8_t guest) {
    const fbs::Reading made(wire::to_fbs(whole()).subject(), 1, 1, 1, 1, 1, 0, 0, has, guest);
    return decode_reading(made);
  };
  EXPECT_TRUE(remade(7, 5));
  EXPECT_FALSE(remade(7, 6)) << "no such word";
  EXPECT_FALSE(remade(7, 0)) << "a time, and nothing said";
  EXPECT_FALSE(remade(15, 5)) << "no such number";
  for (const int missing : {1, 2, 4}) EXPECT_FALSE(remade(static_cast<std::uint8_t>(7 & ~missing), 5)) << "a number that was not read";
}

TEST(Readings, ComeBackInTheirMessages) {
  const Readings event{{whole(), Reading{.instance = test::instance(2)}}, true};
  const auto back = decode_event(encode(Event(event)));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(std::get<Readings>(*back), event);
  EXPECT_TRUE(decode_event(encode(Event(Readings{}))));
  Answer answer = answer_to(7, {});
  answer.readings = {whole(), of_a_tap()};
  const auto answered = decode_answer(encode(answer));
  ASSERT_TRUE(answered) << answered.error().message();
  EXPECT_EQ(answered->readings, answer.readings);
  EXPECT_EQ(std::get<AskReadings>(*decode_request(encode(Request(AskReadings{})))), AskReadings{});
}

TEST(Readings, OfTapsDoNotReachAgentdAndMoreThanTheirLimitReachNobody) {
  EXPECT_FALSE(decode_event(encode(Event(Readings{{of_a_tap()}, false}))));
  const std::vector<Reading> most(kMaxReadings, whole()), too_many(kMaxReadings + 1, whole());
  const auto bytes = encode(Event(Readings{most, false}));
  EXPECT_LE(bytes.size(), kMaxEvent);
  EXPECT_TRUE(decode_event(bytes));
  EXPECT_FALSE(decode_event(encode(Event(Readings{too_many, false}))));
  Answer answer = answer_to(7, {});
  answer.readings.assign(kMaxItems, whole());
  EXPECT_TRUE(decode_answer(encode(answer)));
  answer.readings.push_back(whole());
  EXPECT_FALSE(decode_answer(encode(answer)));
  Answer failure = answer_to(7, fail(Errc::kDenied, "read"));
  failure.readings = {whole()};
  EXPECT_FALSE(decode_answer(encode(failure))) << "of a failure";
}

TEST(Readings, ComeInPages) {
  const std::vector<Reading> all(2 * kMaxItems + 1, whole());
  const auto answers = pages(7, Result<std::vector<Reading>>(all));
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_TRUE(answers[0].more && answers[1].more && !answers[2].more);
  EXPECT_EQ(answers[2].readings.size(), 1u);
}

}  // namespace
}  // namespace mvm::wire
