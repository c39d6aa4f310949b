#include "broker/supervisor/journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "broker/supervisor/fault.h"
#include "broker/supervisor/interrupted.h"
#include "tests/supervisor/directory.h"
#include "tests/supervisor/scene.h"

namespace mvm::supervisor {

void at_mark(std::uint64_t, Side) {}

namespace {

using lang::Sign;
using lang::Word;

const Digest kPlan = sha256("a plan"), kOther = sha256("another");
const std::vector<Mark> kMarks = {{0, Point::kBegin}, {1, Point::kBegin}, {0, Point::kDone}, {1, Point::kFailed}, {0, Point::kUndoBegin}, {0, Point::kUndone}};

std::string bytes_of(const std::vector<Mark>& marks, const Digest& plan = kPlan) {
  std::string bytes;
  for (std::size_t i = 0; i < marks.size(); ++i) bytes += print_mark(marks[i], i, plan);
  return bytes;
}

TEST(Journal, ReadsBackTheMarksItWrote) {
  EXPECT_EQ(read_marks(bytes_of(kMarks), kPlan, Boot::kSame).value(), kMarks);
  EXPECT_TRUE(read_marks("", kPlan, Boot::kSame).value().empty());
}

TEST(Journal, ToleratesALastMarkThatIsTorn) {
  const std::string whole = bytes_of(kMarks);
  for (std::size_t cut = 1; cut <= kMarkBytes; ++cut) {
    const auto marks = read_marks(whole.substr(0, whole.size() - cut), kPlan, Boot::kSame);
    ASSERT_TRUE(marks) << cut;
    EXPECT_EQ(marks->size(), kMarks.size() - 1) << cut;
  }
  for (std::size_t i = 0; i < kMarkBytes; ++i) {
    std::string bytes = whole;
    bytes[whole.size() - 1 - i] = static_cast<char>(bytes[whole.size() - 1 - i] ^ 1);
    EXPECT_EQ(read_marks(bytes, kPlan, Boot::kSame).value().size(), kMarks.size() - 1) << i;
  }
}

TEST(Journal, RefusesADamagedMarkBeforeTheLastAndInAnotherBootStopsThere) {
  for (std::size_t i = 0; i < kMarkBytes; ++i) {
    std::string bytes = bytes_of(kMarks);
    bytes[2 * kMarkBytes + i] = static_cast<char>(bytes[2 * kMarkBytes + i] ^ 1);
    const auto marks = read_marks(bytes, kPlan, Boot::kSame);
    ASSERT_FALSE(marks) << i;
    EXPECT_EQ(marks.error().code, Errc::kCorrupt);
    EXPECT_EQ(read_marks(bytes, kPlan, Boot::kAnother).value().size(), 2u);
  }
}

TEST(Journal, RefusesMarksOfAnotherPlanInAnotherOrderOrTwice) {
  EXPECT_FALSE(read_marks(bytes_of(kMarks, kOther), kPlan, Boot::kSame));
  const std::string bytes = bytes_of(kMarks);
  const std::string first = bytes.substr(0, kMarkBytes), second = bytes.substr(kMarkBytes, kMarkBytes);
  EXPECT_FALSE(read_marks(second + first + bytes.substr(2 * kMarkBytes), kPlan, Boot::kSame));
  EXPECT_FALSE(read_marks(first + bytes, kPlan, Boot::kSame));
}

TEST(Journal, TakesAsManyMarksAsAPlanCanHaveAndNotOneMore) {
  std::vector<Mark> marks(kMaxMarks);
  EXPECT_TRUE(read_marks(bytes_of(marks), kPlan, Boot::kSame));
  marks.resize(kMaxMarks + 2);
  EXPECT_FALSE(read_marks(bytes_of(marks), kPlan, Boot::kSame));
}

TEST(Journal, GivesBackWhatAnInterruptedPlanLeftAndNothingAfterItsEnd) {
  const test::Directory directory;
  {
    Journal journal(directory.open());
    EXPECT_FALSE(journal.interrupted().value());
    ASSERT_TRUE(journal.start("text\n", kPlan));
    for (const Mark& mark : kMarks) ASSERT_TRUE(journal.mark(mark, Keep::kOverCrash));
  }
  Journal journal(directory.open());
  const auto left = journal.interrupted();
  ASSERT_TRUE(left && *left);
  EXPECT_EQ((*left)->plan, "text\n");
  EXPECT_EQ(read_marks((*left)->marks, kPlan, Boot::kSame).value(), kMarks);
  ASSERT_TRUE(journal.finish());
  EXPECT_FALSE(journal.interrupted().value());
}

// ---- what it makes of the state (interrupted.h)

lang::Document plan_between(const std::vector<lang::Statement>& from, const std::vector<lang::Statement>& to) {
  lang::Document before = test::empty_state(), after = before;
  before.statements = from;
  after.statements = to;
  return lang::diff(before, after).value();
}

HostState state_of(const std::vector<lang::Statement>& lines) {
  HostState state;
  for (const auto& line : lines) state.put(line);
  return state;
}

std::set<Word> words_of(const HostState& state, const Subject& subject) {
  std::set<Word> words;
  for (const auto& line : state.lines_of(subject)) words.insert(line.word);
  return words;
}

// Runs `steps` statements of the plan, and leaves the last of them begun.
std::vector<Mark> run(const lang::Document& plan, HostState& state, std::uint32_t steps) {
  std::vector<Mark> marks;
  for (std::uint32_t i = 0; i < steps; ++i) {
    marks.push_back({i, Point::kBegin});
    if (i + 1 == steps) continue;
    state.carry_out(plan.statements[i]);
    marks.push_back({i, Point::kDone});
  }
  return marks;
}

TEST(Interrupted, GoesBackWhereItWasMakingThings) {
  const auto plan = plan_between({}, test::running_lines(1, 0));
  ASSERT_EQ(plan.statements.size(), 5u);  // bridge, rule, cgroup, tap, jail
  for (std::uint32_t steps = 3; steps <= 5; ++steps) {
    HostState state;
    const auto marks = run(plan, state, steps);
    EXPECT_EQ(resolve(plan, marks, state).size(), steps == 3 ? 0u : 1u);
    EXPECT_TRUE(words_of(state, plan.statements[4].subject).empty()) << steps;
    EXPECT_EQ(words_of(state, plan.statements[0].subject), (std::set{Word::kBridge, Word::kRule}))
        << "the tenant's own was complete";
  }
}

TEST(Interrupted, GoesForwardWhereItWasRemovingThings) {
  const auto lines = test::running_lines(1, 0);
  const auto plan = plan_between(lines, {});
  for (std::uint32_t steps = 1; steps <= 3; ++steps) {
    HostState state = state_of(lines);
    const auto marks = run(plan, state, steps);
    static_cast<void>(resolve(plan, marks, state));
    EXPECT_TRUE(words_of(state, plan.statements[0].subject).empty()) << steps;
    EXPECT_TRUE(state.find(tenant_subject(plan.statements[0].subject.tenant), Word::kBridge) != nullptr) << "not begun";
  }
}

TEST(Interrupted, TakesAPlanOfRemovalAndMakingBackToWhatTheRemovalLeft) {
  auto from = test::running_lines(1, 0), to = from;
  to[2].numbers[0] = 300;  // the cgroup, and with it all that stands on it
  const auto plan = plan_between(from, to);
  const Subject instance = from[2].subject;
  for (std::uint32_t steps = 1; steps <= plan.statements.size(); ++steps) {
    HostState state = state_of(from);
    const auto marks = run(plan, state, steps);
    static_cast<void>(resolve(plan, marks, state));
    EXPECT_TRUE(words_of(state, instance).empty()) << steps;
  }
}

TEST(Interrupted, LeavesWhatIsCompleteAndWhatHasNotBegun) {
  const auto plan = plan_between({}, test::running_lines(2, 0));
  HostState state;
  std::vector<Mark> marks;
  for (std::uint32_t i = 0; i < plan.statements.size(); ++i) {
    if (plan.statements[i].subject.kind == SubjectKind::kInstance && plan.statements[i].subject.instance.value == 2) continue;
    state.carry_out(plan.statements[i]);
    marks.push_back({i, Point::kBegin});
    marks.push_back({i, Point::kDone});
  }
  EXPECT_TRUE(resolve(plan, marks, state).empty());
  EXPECT_EQ(state.lines().size(), 5u);
}

TEST(Interrupted, LeavesAMoveToWhatTheKernelShows) {
  auto from = test::running_lines(1, 0), to = from;
  to.back().numbers[lang::field_index(Word::kJail, "state")] = lang::kWarm;
  const auto plan = plan_between(from, to);
  HostState state = state_of(from);
  EXPECT_TRUE(resolve(plan, {{0, Point::kBegin}}, state).empty());
  EXPECT_EQ(state.document().statements, from);
}

TEST(Interrupted, TakesAGuestAsParkedThatWasBeingToldSomething) {
  auto awake = test::running_lines(1, 0), parked = awake;
  parked.back().numbers[lang::field_index(Word::kJail, "guest")] = lang::kParked;
  for (const bool parks : {true, false}) {
    const auto &from = parks ? awake : parked, &to = parks ? parked : awake;
    const auto plan = plan_between(from, to);
    for (const std::vector<Mark>& open : {std::vector<Mark>{{0, Point::kBegin}}, {{0, Point::kBegin}, {0, Point::kFailed}}, {{0, Point::kBegin}, {0, Point::kDone}, {0, Point::kUndoBegin}}}) {
      HostState state = state_of(from);
      EXPECT_EQ(resolve(plan, open, state).size(), parks ? 1u : 0u);
      EXPECT_EQ(state.document().statements, parked);
    }
    HostState state = state_of(to);
    EXPECT_TRUE(resolve(plan, {{0, Point::kBegin}, {0, Point::kDone}}, state).empty());
    EXPECT_EQ(state.document().statements, to);
    state = state_of(from);
    EXPECT_TRUE(resolve(plan, {{0, Point::kBegin}, {0, Point::kFailed}, {0, Point::kUndoBegin}, {0, Point::kUndone}}, state).empty());
    EXPECT_EQ(state.document().statements, from) << "what it was is known again";
  }
}

TEST(Interrupted, RemovesNothingThatOthersStandOn) {
  const auto plan = plan_between({}, test::running_lines(1, 0));
  HostState state;
  for (const auto& statement : plan.statements) state.carry_out(statement);
  // The rule failed after the instance was made, in another order than diff's: the bridge has a tap on it.
  static_cast<void>(resolve(plan, {{0, Point::kBegin}, {0, Point::kDone}, {1, Point::kBegin}}, state));
  EXPECT_NE(state.find(plan.statements[0].subject, Word::kBridge), nullptr);
  EXPECT_EQ(state.find(plan.statements[0].subject, Word::kRule), nullptr);
}

}  // namespace
}  // namespace mvm::supervisor
