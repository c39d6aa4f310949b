// What is read of instances, with the test as the workers.
#include "broker/supervisor/survey.h"

#include <gtest/gtest.h>

#include "policy-lang/print.h"
#include "tests/supervisor/stage.h"

namespace mvm::supervisor {
namespace {

using wire::GuestSays;
using wire::Op;
using wire::Reading;

Subject instance(std::uint32_t id) { return instance_subject(*Name::from("acme"), *Name::from("workers"), {id}); }

class SomeSurvey : public testing::Test {
 protected:
  SomeSurvey() {
    std::vector<Fd> theirs;
    for (int i = 0; i < 5; ++i) {
      Ends ends;
      worker_ends_[static_cast<std::size_t>(i)] = std::move(ends.worker);
      theirs.push_back(std::move(ends.hostd));
    }
    workers_.emplace(Workers::make({std::move(theirs[0]), std::move(theirs[1]), std::move(theirs[2]), std::move(theirs[3]), std::move(theirs[4])}).value());
  }
  void begin(std::uint32_t count) {
    HostState state;
    for (const lang::Statement& line : test::running_lines(count, 0)) state.put(line);
    survey_.emplace(*workers_, state);
    ASSERT_TRUE(survey_->start());
  }
  // The tasks of that operation that have come and are not answered.
  std::vector<wire::Task> tasks(Op op) {
    for (const Fd& end : worker_ends_) {
      std::vector<std::uint8_t> bytes(wire::kMaxPacket);
      for (ssize_t got = 0; (got = recv(end.get(), bytes.data(), bytes.size(), MSG_DONTWAIT)) > 0;) waiting_.push_back(wire::decode_task(std::span(bytes).first(static_cast<std::size_t>(got))).value());
    }
    std::vector<wire::Task> found;
    std::ranges::copy_if(waiting_, std::back_inserter(found), [&](const wire::Task& task) { return task.op == op; });
    return found;
  }
  Status answer(const wire::Task& task, std::vector<Reading> readings = {}, bool ok = true) {
    std::erase_if(waiting_, [&](const wire::Task& each) { return each.seq == task.seq; });
    wire::Answer answer = wire::answer_to(task.seq, ok ? Status{} : fail(Errc::kTimeout, "hear the guest out"));
    answer.readings = std::move(readings);
    return survey_->take(answer);
  }
  // Both that read without a guest, with nothing.
  void answer_reads() {
    for (const wire::Task& task : tasks(Op::kRead)) ASSERT_TRUE(answer(task));
  }

  std::array<Fd, 5> worker_ends_;
  std::optional<Workers> workers_;
  std::optional<Survey> survey_;
  std::vector<wire::Task> waiting_;
};

TEST_F(SomeSurvey, PutsTogetherWhatEachWorkerReads) {
  begin(2);
  const auto reads = tasks(Op::kRead);
  ASSERT_EQ(reads.size(), 2u);
  ASSERT_EQ(tasks(Op::kConnect).size(), 2u);
  // In the order of kExecutors: net's came first.
  ASSERT_TRUE(answer(reads[0], {{.net = 3, .slot = 3, .frames = wire::Frames{7, 8}}, {.net = 3, .slot = 99, .frames = wire::Frames{}}}));
  ASSERT_TRUE(answer(reads[1], {{.instance = instance(1), .cpu = 5, .memory = 6}, {.instance = instance(77), .cpu = 1}}));
  const auto connects = tasks(Op::kConnect);
  ASSERT_TRUE(answer(connects[0]));
  ASSERT_TRUE(answer(connects[1], {}, false));
  ASSERT_EQ(tasks(Op::kAsk).size(), 1u) << "who could not be connected to is not asked";
  EXPECT_FALSE(survey_->over());
  ASSERT_TRUE(answer(tasks(Op::kAsk)[0], {{.instance = instance(1), .guest = GuestSays::kBusy, .since = 4}}));
  EXPECT_TRUE(survey_->over());
  EXPECT_EQ(survey_->readings(), (std::vector<Reading>{{.instance = instance(1), .cpu = 5, .memory = 6, .frames = wire::Frames{7, 8}, .guest = GuestSays::kBusy, .since = 4},
                                                       {.instance = instance(2)}}));
}

TEST_F(SomeSurvey, AsksNoMoreGuestsAtOnceThanItsBound) {
  begin(kMaxAsked + 5);
  answer_reads();
  ASSERT_EQ(tasks(Op::kConnect).size(), kMaxAsked);
  ASSERT_TRUE(answer(tasks(Op::kConnect)[0], {}, false));
  EXPECT_EQ(tasks(Op::kConnect).size(), kMaxAsked) << "one has ended, another begins";
  survey_->hurry();
  while (!tasks(Op::kConnect).empty()) ASSERT_TRUE(answer(tasks(Op::kConnect)[0]));
  EXPECT_EQ(tasks(Op::kAsk).size(), kMaxAsked);
  while (!tasks(Op::kAsk).empty()) ASSERT_TRUE(answer(tasks(Op::kAsk)[0], {}, false));
  EXPECT_TRUE(survey_->over()) << "and in a hurry none of the rest does";
}

TEST_F(SomeSurvey, TakesAReadingOfNobodyElseThanWhoWasAsked) {
  begin(2);
  answer_reads();
  ASSERT_TRUE(answer(tasks(Op::kConnect)[0]));
  EXPECT_FALSE(answer(tasks(Op::kAsk)[0], {{.instance = instance(2), .guest = GuestSays::kIdle}}));
}

TEST_F(SomeSurvey, TakesNothingThatItDidNotAskFor) {
  begin(1);
  const wire::Task connect = tasks(Op::kConnect)[0];
  EXPECT_FALSE(answer(connect, {{.instance = instance(1), .guest = GuestSays::kIdle}})) << "who connects reads nothing";
  wire::Task other = connect;
  other.seq = 4711;
  EXPECT_FALSE(answer(other));
  begin(1);
  wire::Answer paged = wire::answer_to(tasks(Op::kConnect).back().seq, {});
  paged.more = true;
  EXPECT_FALSE(survey_->take(paged));
  begin(1);
  ASSERT_TRUE(answer(tasks(Op::kConnect).back()));
  EXPECT_FALSE(answer(tasks(Op::kAsk).back())) << "it has asked well, and nothing was said";
}

TEST_F(SomeSurvey, EndsHostdWhereAWorkerDoesNotAnswer) {
  begin(1);
  EXPECT_TRUE(survey_->overdue(Survey::Clock::now()));
  EXPECT_EQ(survey_->overdue(Survey::Clock::now() + kTaskDeadline).error().code, Errc::kTimeout);
}

}  // namespace
}  // namespace mvm::supervisor
