// Statements that are several tasks: what sleeps, what wakes, and what a guest is told.
#include <gmock/gmock.h>

#include "tests/supervisor/stage.h"

namespace mvm::supervisor {
namespace {

// The steps of sleep and wake: one statement to the plan, and several tasks.
std::string projection_that_sleeps() {
  std::string text = test::projection_text();
  text.resize(text.rfind("end sha256:"));
  for (std::size_t at = 0; (at = text.find("sleeping=0", at)) != std::string::npos;) text.replace(at, 10, "sleeping=5");
  return test::ended(text);
}

class Sleeping : public testing::Test {
 protected:
  static Statement snapshot_line() {
    return test::parsed(lang::Kind::kState, test::ended("mvm-state 1\nnode node-7\ngeneration 1\ndesired none\nsnapshot acme/workers/i-00000001 kind=full base=none key=acme/1 "
                                                        "compression=none slot=3 seq=7\n"))
        .statements[0];
  }
  static std::vector<Statement> tenants_lines() {
    auto lines = test::running_lines(1, 0);
    std::erase_if(lines, [](const Statement& line) { return line.subject.kind == SubjectKind::kInstance; });
    return lines;
  }
  static std::vector<Statement> warm() {
    auto lines = test::running_lines(1, 0);
    for (Statement& line : lines) {
      if (line.word == Word::kJail) line.numbers[4] = lang::kWarm;
    }
    return lines;
  }
  static std::vector<Statement> asleep() {
    auto lines = tenants_lines();
    lines.push_back(snapshot_line());
    return lines;
  }
  static std::vector<Statement> awake() {
    auto lines = test::running_lines(1, 0);
    for (Statement& line : lines) {
      if (line.word != Word::kJail) continue;
      line.numbers[3] = lang::kBootSnapshot;
      line.numbers[5] = lang::kParked;
      line.digests[1] = lang::snapshot_digest(snapshot_line());
    }
    return lines;
  }
  static std::vector<std::string> one(std::string line) { return {std::move(line)}; }
  const std::string kSnapshot = "+ snapshot acme/workers/i-00000001";
  const std::string kJail = "+ jail acme/workers/i-00000001";
  const Digest vmm_ = sha256("a version"), file_ = sha256("a file");
};

TEST_F(Sleeping, IsWrittenSealedAndClearedBeforeTheJailGoes) {
  Stage stage(warm());
  stage.run(asleep(), projection_that_sleeps());
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kDump);
  EXPECT_EQ(stage.task(kSnapshot).asleep.mem, 128u);
  ASSERT_TRUE(stage.answer(kSnapshot, true, vmm_));
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kMake);
  EXPECT_EQ(stage.task(kSnapshot).asleep.vmm, vmm_);
  EXPECT_EQ(to_string(stage.task(kSnapshot).asleep.image), test::kImage);
  ASSERT_TRUE(stage.answer(kSnapshot, true, file_));
  EXPECT_EQ(stage.host().records.newest(snapshot_line().subject).value(), file_);
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kClear);
  EXPECT_EQ(stage.host().state.find(snapshot_line().subject, Word::kSnapshot), nullptr) << "not before all of it is done";
  ASSERT_TRUE(stage.answer(kSnapshot));
  EXPECT_NE(stage.host().state.find(snapshot_line().subject, Word::kSnapshot), nullptr);
  stage.answer_all();
  EXPECT_TRUE(stage.finish().complete());
}

TEST_F(Sleeping, IsBoundToTheDrivesThatStand) {
  auto with_secrets = warm();
  Statement secrets;
  secrets.word = Word::kSecrets;
  secrets.subject = with_secrets.back().subject;
  secrets.numbers = {1};
  secrets.digests[0] = *parse_digest(test::kImage);
  with_secrets.insert(with_secrets.end() - 2, secrets);
  Stage stage(with_secrets);
  stage.run(asleep(), projection_that_sleeps());
  (void)stage.tasks();
  ASSERT_TRUE(stage.answer(kSnapshot, true, vmm_));
  (void)stage.tasks();
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kMake);
  EXPECT_EQ(stage.task(kSnapshot).place.drives, wire::kSecretsDrive);
}

TEST_F(Sleeping, ThatCannotBeSealedIsClearedAndStaysWarm) {
  Stage stage(warm());
  stage.run(asleep(), projection_that_sleeps());
  (void)stage.tasks();
  ASSERT_TRUE(stage.answer(kSnapshot, true, vmm_));
  (void)stage.tasks();
  ASSERT_TRUE(stage.answer(kSnapshot, false));
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kClear);
  ASSERT_TRUE(stage.answer(kSnapshot));
  EXPECT_TRUE(stage.tasks().empty());
  const auto finished = stage.finish();
  EXPECT_EQ(finished.failed, 1u);
  EXPECT_EQ(stage.host().state.document().statements, warm());
}

TEST_F(Sleeping, EndsHostdWhereAWorkerDoesNotSayWhatItHasMade) {
  Stage stage(warm());
  stage.run(asleep(), projection_that_sleeps());
  (void)stage.tasks();
  EXPECT_EQ(stage.answer(kSnapshot).error().code, Errc::kMalformed);
}

// What a guest is told: by two workers, and taken back as far as that goes.
class Telling : public Sleeping {
 protected:
  const std::string kPark = "~ guest acme/workers/i-00000001 awake>parked", kGoOn = "~ guest acme/workers/i-00000001 parked>awake";
  static std::vector<Statement> running(std::uint64_t guest) {
    auto lines = test::running_lines(1, 0);
    for (Statement& line : lines) {
      if (line.word == Word::kJail) line.numbers[5] = guest;
    }
    return lines;
  }
  // The tasks of that line, the one that tells it answered so.
  void tell(Stage& stage, const std::string& line, bool obeys) {
    ASSERT_EQ(stage.tasks(), one(line));
    if (line == kGoOn) {
      ASSERT_EQ(stage.task(line).op, wire::Op::kDeflate);
      ASSERT_TRUE(stage.answer(line));
      ASSERT_EQ(stage.tasks(), one(line));
    }
    ASSERT_EQ(stage.task(line).op, wire::Op::kConnect);
    ASSERT_TRUE(stage.answer(line));
    ASSERT_EQ(stage.tasks(), one(line));
    ASSERT_EQ(stage.task(line).op, wire::Op::kMove);
    ASSERT_TRUE(stage.answer(line, obeys));
    if (line == kGoOn || !obeys) return;
    ASSERT_EQ(stage.tasks(), one(line));
    ASSERT_EQ(stage.task(line).op, wire::Op::kInflate);
    EXPECT_EQ(stage.task(line).asleep.mem, lang::jail_view(*stage.host().state.find(stage.task(line).statement.subject, Word::kJail)).mem_mib);
    ASSERT_TRUE(stage.answer(line));
  }
};

TEST_F(Telling, BeginsWithAConnectionAndComesBeforeTheSleep) {
  Stage stage(test::running_lines(1, 0));
  stage.run(asleep(), projection_that_sleeps());
  tell(stage, kPark, true);
  EXPECT_EQ(stage.host().state.document().statements, running(lang::kParked));
  EXPECT_EQ(stage.tasks(), one("~ jail acme/workers/i-00000001 running>warm"));
}

TEST_F(Telling, IsTakenBackAtOnceWhereTheGuestDoesNotPark) {
  Stage stage(test::running_lines(1, 0));
  stage.run(asleep(), projection_that_sleeps());
  tell(stage, kPark, false);
  tell(stage, kGoOn, true);
  EXPECT_TRUE(stage.tasks().empty());
  EXPECT_EQ(stage.finish().failed, 1u);
  EXPECT_EQ(stage.host().state.document().statements, test::running_lines(1, 0));
}

TEST_F(Telling, LeavesAGuestThatHearsNothingAsItIs) {
  Stage stage(test::running_lines(1, 0));
  stage.run(asleep(), projection_that_sleeps());
  ASSERT_EQ(stage.tasks(), one(kPark));
  ASSERT_TRUE(stage.answer(kPark, false)) << "no connection";
  ASSERT_EQ(stage.tasks(), one(kGoOn));
  ASSERT_TRUE(stage.answer(kGoOn, false));
  EXPECT_TRUE(stage.tasks().empty());
  EXPECT_EQ(stage.finish().failed, 1u);
  EXPECT_EQ(stage.host().state.document().statements, test::running_lines(1, 0));
  EXPECT_NE(stage.audit_log().find("undo-failed ~ guest acme/workers/i-00000001 awake>parked"), std::string::npos);
}

TEST_F(Telling, IsTakenBackWhereWhatFollowsFails) {
  Stage stage(test::running_lines(1, 0));
  stage.run(asleep(), projection_that_sleeps());
  tell(stage, kPark, true);
  (void)stage.tasks();
  ASSERT_TRUE(stage.answer("~ jail", false));
  tell(stage, kGoOn, true);
  EXPECT_TRUE(stage.tasks().empty());
  EXPECT_EQ(stage.host().state.document().statements, test::running_lines(1, 0));
}

TEST_F(Telling, ToGoOnIsNotTakenBack) {
  Stage stage(running(lang::kParked));
  stage.run(test::running_lines(1, 0));
  tell(stage, kGoOn, false);
  EXPECT_TRUE(stage.tasks().empty());
  EXPECT_EQ(stage.finish().failed, 1u);
  EXPECT_EQ(stage.host().state.document().statements, running(lang::kParked));
}

class Waking : public Sleeping {
 protected:
  // Up to the jail's first step.
  static void begin(Stage& stage, const Digest& file) {
    ASSERT_TRUE(stage.host().records.write_newest(snapshot_line().subject, file));
    stage.run(awake(), projection_that_sleeps());
    for (const char* line : {"+ cgroup", "+ tap"}) {
      (void)stage.tasks();
      ASSERT_TRUE(stage.answer(line));
    }
    ASSERT_EQ(stage.tasks().size(), 1u);
  }
};

TEST_F(Waking, IsHandedOverLoadedSpentAndOnlyThenLetRun) {
  Stage stage(asleep());
  begin(stage, file_);
  EXPECT_EQ(stage.task(kJail).op, wire::Op::kOpenImage);
  EXPECT_TRUE(stage.task(kJail).sealed.empty());
  ASSERT_TRUE(stage.answer(kJail));
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kJail).op, wire::Op::kHandOver);
  EXPECT_EQ(stage.task(kJail).asleep.file, file_);
  EXPECT_EQ(stage.task(kJail).asleep.key_version, 1u);
  for (const wire::Op op : {wire::Op::kMake, wire::Op::kSpend, wire::Op::kRelease}) {
    ASSERT_TRUE(stage.answer(kJail));
    ASSERT_EQ(stage.tasks().size(), 1u);
    EXPECT_EQ(stage.task(kJail).op, op);
  }
  ASSERT_TRUE(stage.answer(kJail));
  EXPECT_EQ(stage.tasks().size(), 1u) << "- snapshot";
  stage.answer_all();
  EXPECT_TRUE(stage.finish().complete());
  EXPECT_EQ(stage.host().records.newest(snapshot_line().subject).error().code, Errc::kNotFound);
  EXPECT_FALSE(stage.execution().wants_settling());
}

TEST_F(Waking, WithoutTheDigestOfTheNewestIsNotBegun) {
  Stage stage(asleep());
  stage.run(awake(), projection_that_sleeps());
  for (const char* line : {"+ cgroup", "+ tap"}) {
    (void)stage.tasks();
    ASSERT_TRUE(stage.answer(line));
  }
  EXPECT_EQ(stage.tasks(), one("- jail acme/workers/i-00000001 image=" + test::kImage + " vcpus=2 mem=128 boot=snapshot:" + to_string(lang::snapshot_digest(snapshot_line())) + " state=running guest=parked"))
      << "nothing but what undoes it";
}

TEST_F(Waking, ThatFailsIsUndoneAndLookedInto) {
  for (int step = 0; step < 5; ++step) {
    Stage stage(asleep());
    begin(stage, file_);
    for (int i = 0; i < step; ++i) {
      ASSERT_TRUE(stage.answer(kJail));
      (void)stage.tasks();
    }
    ASSERT_TRUE(stage.answer(kJail, false));
    stage.answer_all();
    EXPECT_EQ(stage.finish().failed, 1u);
    EXPECT_EQ(stage.host().state.document().statements, asleep());
    EXPECT_TRUE(stage.execution().wants_settling());
  }
}

// A pool's base, and what stands on it.
class OnABase : public Waking {
 protected:
  static Statement line(const std::string& text) {
    return test::parsed(lang::Kind::kState, test::ended("mvm-state 1\nnode node-7\ngeneration 1\ndesired none\n" + text + "\n")).statements[0];
  }
  static Statement base_line() {
    return line("base acme/workers snapshot=" + to_string(lang::snapshot_digest(snapshot_line())) + " image=" + test::kImage + " mem=128 key=acme/1");
  }
  static Statement diff_line() {
    return line("snapshot acme/workers/i-00000001 kind=diff base=" + to_string(lang::snapshot_digest(base_line())) + " key=acme/1 compression=none slot=3 seq=8");
  }
  static std::vector<Statement> with(std::vector<Statement> lines, const Statement& line) {
    lines.push_back(line);
    std::ranges::sort(lines, lang::canonical_less);
    return lines;
  }
  static std::vector<Statement> diff_asleep() { return with(with(tenants_lines(), base_line()), diff_line()); }
  const Subject pool_ = base_line().subject;
  const std::string kBase = "+ base acme/workers";
  const Digest base_file_ = sha256("a base's file");
};

TEST_F(OnABase, ABaseIsMadeOfTheNewestFileOfItsSnapshot) {
  Stage stage(asleep());
  ASSERT_TRUE(stage.host().records.write_newest(snapshot_line().subject, file_));
  stage.run(with(asleep(), base_line()), projection_that_sleeps());
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kBase).op, wire::Op::kMake);
  EXPECT_EQ(stage.task(kBase).asleep.file, file_);
  EXPECT_EQ(stage.task(kBase).asleep.source, snapshot_line().subject.instance.value);
  ASSERT_TRUE(stage.answer(kBase, true, base_file_));
  EXPECT_TRUE(stage.finish().complete());
  EXPECT_EQ(stage.host().records.newest(pool_).value(), base_file_);
  EXPECT_THAT(stage.records(), testing::IsSupersetOf({"acme.workers.pool", "acme.workers.pool.newest"}));
}

TEST_F(OnABase, ABaseWhoseFileIsNotSaidEndsHostd) {
  Stage stage(asleep());
  ASSERT_TRUE(stage.host().records.write_newest(snapshot_line().subject, file_));
  stage.run(with(asleep(), base_line()), projection_that_sleeps());
  (void)stage.tasks();
  EXPECT_EQ(stage.answer(kBase).error().code, Errc::kMalformed);
}

TEST_F(OnABase, ABaseThatFailsLeavesNothingAndItsPoolGoesOn) {
  Stage stage(asleep());
  ASSERT_TRUE(stage.host().records.write_newest(snapshot_line().subject, file_));
  auto to = with(asleep(), base_line());
  to = with(to, line("cgroup acme/workers/i-00000002 cpu=200 mem=256 pids=64 io=0"));
  stage.run(to, projection_that_sleeps());
  ASSERT_EQ(stage.tasks().size(), 1u) << "in its turn";
  ASSERT_TRUE(stage.answer(kBase, false));
  EXPECT_EQ(stage.tasks(), one("+ cgroup acme/workers/i-00000002 cpu=200 mem=256 pids=64 io=0"));
  stage.answer_all();
  const auto finished = stage.finish();
  EXPECT_EQ(finished.failed, 1u);
  EXPECT_EQ(finished.done, 1u);
  EXPECT_EQ(stage.host().state.find(pool_, Word::kBase), nullptr);
}

TEST_F(OnABase, WhatWasToStandOnABaseThatFailedIsNotRun) {
  auto from = with(warm(), line("snapshot acme/workers/i-00000002 kind=full base=none key=acme/1 compression=none slot=4 seq=7"));
  const Statement other = line("base acme/workers snapshot=" + to_string(lang::snapshot_digest(from.back())) + " image=" + test::kImage + " mem=128 key=acme/1");
  const Statement on_it = line("snapshot acme/workers/i-00000001 kind=diff base=" + to_string(lang::snapshot_digest(other)) + " key=acme/1 compression=none slot=3 seq=8");
  Stage stage(from);
  ASSERT_TRUE(stage.host().records.write_newest(from.back().subject, file_));
  auto to = with(with(tenants_lines(), from.back()), other);
  stage.run(with(to, on_it), projection_that_sleeps());
  (void)stage.tasks();
  ASSERT_TRUE(stage.answer(kBase, false));
  EXPECT_TRUE(stage.tasks().empty()) << "its instance stays warm";
  EXPECT_GT(stage.finish().skipped, 0u);
  EXPECT_EQ(stage.host().state.document().statements, from);
}

TEST_F(OnABase, ADiffIsSealedOnTheNewestFileOfItsPoolsBase) {
  Stage stage(with(warm(), base_line()));
  ASSERT_TRUE(stage.host().records.write_newest(pool_, base_file_));
  stage.run(diff_asleep(), projection_that_sleeps());
  (void)stage.tasks();
  ASSERT_TRUE(stage.answer(kSnapshot, true, vmm_));
  (void)stage.tasks();
  EXPECT_EQ(stage.task(kSnapshot).op, wire::Op::kMake);
  EXPECT_EQ(stage.task(kSnapshot).asleep.base, base_file_);
}

TEST_F(OnABase, ADiffWakesOnTheNewestFileOfItsPoolsBase) {
  auto woken = with(awake(), base_line());
  for (Statement& each : woken) {
    if (each.word == Word::kJail) each.digests[1] = lang::snapshot_digest(diff_line());
  }
  Stage stage(diff_asleep());
  ASSERT_TRUE(stage.host().records.write_newest(diff_line().subject, file_));
  ASSERT_TRUE(stage.host().records.write_newest(pool_, base_file_));
  stage.run(woken, projection_that_sleeps());
  for (const char* each : {"+ cgroup", "+ tap", "+ jail"}) {
    (void)stage.tasks();
    ASSERT_TRUE(stage.answer(each));
  }
  ASSERT_EQ(stage.tasks().size(), 1u);
  EXPECT_EQ(stage.task(kJail).op, wire::Op::kHandOver);
  EXPECT_EQ(stage.task(kJail).asleep.file, file_);
  EXPECT_EQ(stage.task(kJail).asleep.base, base_file_);
}

TEST_F(OnABase, ABaseGoesWithTheDigestOfItsFile) {
  Stage stage(with(asleep(), base_line()));
  ASSERT_TRUE(stage.host().records.write_newest(pool_, base_file_));
  stage.run(asleep(), projection_that_sleeps());
  EXPECT_EQ(stage.tasks().size(), 1u);
  stage.answer_all();
  EXPECT_TRUE(stage.finish().complete());
  EXPECT_EQ(stage.host().records.newest(pool_).error().code, Errc::kNotFound);
}

TEST_F(OnABase, ABaseStaysWhileAnythingStandsOnIt) {
  HostState state;
  for (const Statement& each : diff_asleep()) state.put(each);
  EXPECT_FALSE(state.nothing_stands_on(pool_, Word::kBase));
  state.drop(diff_line().subject, Word::kSnapshot);
  EXPECT_TRUE(state.nothing_stands_on(pool_, Word::kBase));
}

}  // namespace
}  // namespace mvm::supervisor
