#include "broker/supervisor/steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mvm::supervisor {
namespace {

using lang::Sign;
using lang::Word;
using lang::Worker;
using ::testing::ElementsAre;
using wire::Op;

lang::Statement statement_of(Sign sign, Word word) {
  lang::Statement statement;
  statement.sign = sign;
  statement.word = word;
  return statement;
}

TEST(Steps, AreOneOfTheStatementsOwnWorkerWhereNothingSleepsOrWakes) {
  EXPECT_THAT(steps_of(statement_of(Sign::kAdd, Word::kTap)), ElementsAre(Step{Worker::kNet, Op::kMake}));
  EXPECT_THAT(steps_of(statement_of(Sign::kRemove, Word::kVolume)), ElementsAre(Step{Worker::kStorage, Op::kUnmake}));
  EXPECT_THAT(steps_of(statement_of(Sign::kMove, Word::kJail)), ElementsAre(Step{Worker::kJail, Op::kMove}));
  EXPECT_THAT(steps_of(statement_of(Sign::kRemove, Word::kSnapshot)), ElementsAre(Step{Worker::kSnapshot, Op::kUnmake}));
  EXPECT_THAT(steps_of(statement_of(Sign::kRemove, Word::kJail)), ElementsAre(Step{Worker::kJail, Op::kUnmake})) << "its image may be others', too";
}

TEST(Steps, OfAJailOpenItsImageBeforeAnythingElse) {
  EXPECT_THAT(steps_of(statement_of(Sign::kAdd, Word::kJail)), ElementsAre(Step{Worker::kStorage, Op::kOpenImage}, Step{Worker::kJail, Op::kMake}));
}

TEST(Steps, OfASleepEndWithTheMemoryClearedAway) {
  EXPECT_THAT(steps_of(statement_of(Sign::kAdd, Word::kSnapshot)),
              ElementsAre(Step{Worker::kJail, Op::kDump}, Step{Worker::kSnapshot, Op::kMake}, Step{Worker::kJail, Op::kClear}));
}

TEST(Steps, OfAWakeSpendTheKeyBeforeAnythingRuns) {
  lang::Statement jail = statement_of(Sign::kAdd, Word::kJail);
  jail.numbers[lang::field_index(Word::kJail, "boot")] = lang::kBootSnapshot;
  EXPECT_THAT(steps_of(jail), ElementsAre(Step{Worker::kStorage, Op::kOpenImage}, Step{Worker::kSnapshot, Op::kHandOver}, Step{Worker::kJail, Op::kMake},
                                          Step{Worker::kSnapshot, Op::kSpend}, Step{Worker::kJail, Op::kRelease}));
  jail.sign = Sign::kRemove;
  EXPECT_THAT(steps_of(jail), ElementsAre(Step{Worker::kJail, Op::kUnmake})) << "its end is no wake";
}

TEST(Steps, OfAGuestThatParksEndWithItsBalloonAndOfOneThatGoesOnBeginWithIt) {
  lang::Statement told = statement_of(Sign::kMove, Word::kGuest);
  told.numbers = {lang::kAwake, lang::kParked};
  EXPECT_THAT(steps_of(told), ElementsAre(Step{Worker::kJail, Op::kConnect}, Step{Worker::kGuest, Op::kMove}, Step{Worker::kJail, Op::kInflate}));
  told.numbers = {lang::kParked, lang::kAwake};
  EXPECT_THAT(steps_of(told), ElementsAre(Step{Worker::kJail, Op::kDeflate}, Step{Worker::kJail, Op::kConnect}, Step{Worker::kGuest, Op::kMove}));
}

}  // namespace
}  // namespace mvm::supervisor
