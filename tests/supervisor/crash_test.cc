// hostd killed before and after every mark of its journal, and then started again: what stands is what the kernel shows, it
// is a state that a plan can start from, and nothing is left over.
#include "base/audit_chain.h"
#include "tests/supervisor/hostd_process.h"

namespace mvm::test {
namespace {

void expect_sound(HostdProcess& hostd, const std::string& when) {
  const lang::Document state = hostd.state();
  EXPECT_EQ(hostd.things(), things_of(state)) << when;
  const bool jailed = std::ranges::any_of(state.statements, [](const auto& line) { return line.word == lang::Word::kJail; });
  EXPECT_EQ(std::filesystem::exists(hostd.kernel() + "/image." + to_hex(parse_digest(kImage)->bytes)), jailed) << when;
  EXPECT_EQ(hostd.violations(), "") << when;
  const auto audit = verify_audit(hostd.audit_log(), hostd.audit_head());
  EXPECT_TRUE(audit) << when << ": line " << audit.error().line << ": " << audit.error().why;
  EXPECT_FALSE(std::filesystem::exists(hostd.prefix() + "/state/journal/plan")) << when;
}

bool is_running(const lang::Document& state, const Subject& instance) {
  return std::ranges::any_of(state.statements, [&](const auto& line) { return line.subject == instance && line.word == lang::Word::kJail; });
}

// No instance is half made: it has all of its three lines or none.
void expect_no_halves(const lang::Document& state, const std::string& when) {
  std::map<Subject, int> lines;
  for (const auto& line : state.statements) lines[line.subject] += line.subject.kind == SubjectKind::kInstance;
  for (const auto& [subject, count] : lines) EXPECT_TRUE(count == 0 || count == 3) << when << " " << to_string(subject);
}

// Kills it at every mark of the plan from one state to another. Returns how often it was killed.
unsigned kill_at_every_mark(const std::vector<lang::Statement>& from, const std::vector<lang::Statement>& to) {
  for (unsigned kills = 0;; ++kills) {
    const std::string fault = (kills % 2 == 0 ? "before:" : "after:") + std::to_string(kills / 2 + 1);
    HostdProcess hostd;
    EXPECT_TRUE(hostd.start()) << hostd.errors();
    if (!from.empty()) {
      EXPECT_TRUE(hostd.reach(from).last);
    }
    hostd.kill_it(SIGTERM);
    EXPECT_TRUE(hostd.start(fault)) << fault << hostd.errors();
    const Reply reply = hostd.reach(to);
    if (reply.last) return kills;  // there is no such mark
    EXPECT_EQ(reply.last.error().code, Errc::kClosed) << fault;
    EXPECT_TRUE(hostd.wait_gone()) << fault;
    EXPECT_TRUE(hostd.start()) << fault << ": " << hostd.errors();
    expect_sound(hostd, fault);
    expect_no_halves(hostd.state(), fault);
    EXPECT_TRUE(hostd.reach(to).last) << fault;
    EXPECT_EQ(hostd.state().statements, to) << fault;
    expect_sound(hostd, fault + ", and then all of it");
    if (testing::Test::HasFailure()) return kills;
  }
}

TEST(Crash, AtEveryMarkOfAPlanThatMakesThingsLeavesAVerifiedStateAndNothingElse) {
  const unsigned kills = kill_at_every_mark({}, running_lines(2, 1));
  EXPECT_EQ(kills, 2u * 2u * running_lines(2, 1).size());
}

TEST(Crash, LeavesDataThatHasNoLineAloneAndSaysSo) {
  HostdProcess hostd;
  hostd.steer("volume.acme.workers.i-00000009", "opened");
  hostd.steer("volume.acme.workers.i-00000008", "");
  hostd.steer("luksOpen.acme.workers.i-00000009", "");
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_EQ(hostd.things(), (std::vector<std::string>{"volume.acme.workers.i-00000009"})) << "closed, and not destroyed; what was never opened is swept";
  EXPECT_NE(hostd.audit_log().find("stray volume acme/workers/i-00000009"), std::string::npos);
}

TEST(Crash, AtEveryMarkOfAPlanThatRemovesThingsLeavesAVerifiedStateAndNothingElse) {
  const unsigned kills = kill_at_every_mark(running_lines(2, 1), {});
  EXPECT_EQ(kills, 2u * 2u * running_lines(2, 1).size());
}

TEST(Crash, AtEveryMarkOfAPlanThatDoesBothLeavesWhatItDoesNotTouchRunning) {
  const auto from = running_lines(1, 2), to = running_lines(2, 1);
  EXPECT_GT(kill_at_every_mark(from, to), 12u);
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  ASSERT_TRUE(hostd.reach(from).last);
  hostd.kill_it();
  ASSERT_TRUE(hostd.start("after:3"));
  EXPECT_FALSE(hostd.reach(to).last);
  ASSERT_TRUE(hostd.wait_gone());
  ASSERT_TRUE(hostd.start());
  EXPECT_TRUE(is_running(hostd.state(), from[2].subject)) << "acme's first instance is in neither part of the plan";
}

// Whatever it was told last, it can be told again.
TEST(Crash, AtEveryMarkOfWhatAGuestIsToldLeavesAGuestThatCanBeToldAgain) {
  auto parked = running_lines(1, 0);
  parked.back().numbers[lang::field_index(lang::Word::kJail, "guest")] = lang::kParked;
  EXPECT_EQ(kill_at_every_mark(running_lines(1, 0), parked), 4u);
  EXPECT_EQ(kill_at_every_mark(running_lines(2, 0), running_lines(1, 0)), 4u * 3u);
}

TEST(Crash, TwiceInARowIsNoDifferent) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start("after:9"));
  EXPECT_FALSE(hostd.reach(running_lines(3, 3)).last);
  ASSERT_TRUE(hostd.wait_gone());
  hostd.steer("slow", "30");
  for (int i = 0; i < 5; ++i) {  // in the middle of recovery's sweep
    hostd.start_and_kill(60'000 + 20'000 * i);
  }
  hostd.unsteer("slow");
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  expect_sound(hostd, "after five kills while recovering");
  expect_no_halves(hostd.state(), "after five kills while recovering");
}

TEST(Crash, OfTheWholeNodeLeavesAnEmptyHostAndAnEmptyState) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  ASSERT_TRUE(hostd.reach(running_lines(2, 2)).last);
  hostd.kill_it();
  std::filesystem::remove_all(hostd.kernel());  // with the power
  std::filesystem::create_directory(hostd.kernel());
  hostd.boot_id = "boot-2";
  // What was renamed but not synced may be empty.
  std::ofstream(hostd.prefix() + "/state/records/acme.workers.i-00000001").close();
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_TRUE(hostd.state().statements.empty());
  EXPECT_EQ(hostd.state().header.generation, 1u) << "a generation does not go back";
  ASSERT_TRUE(hostd.reach(running_lines(2, 2), 2).last);
  EXPECT_EQ(hostd.state().statements, running_lines(2, 2));
}

// As an upgrade may find them, or another policy: their instances run on.
TEST(Recovery, MendsWhatIsThereInPartAndEndsNobody) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  const auto lines = running_lines(2, 1);
  ASSERT_TRUE(hostd.reach(lines).last);
  hostd.kill_it(SIGTERM);
  for (const std::string& thing : hostd.things())
    if (thing.starts_with("bridge.") || thing.starts_with("rule.") || thing.starts_with("tap.")) hostd.steer("part." + thing);
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_EQ(hostd.state().statements, lines);
  EXPECT_NE(hostd.audit_log().find("mended bridge acme"), std::string::npos);
  expect_sound(hostd, "after parts were missing");
}

TEST(Recovery, LetsFallWhatCannotBeMended) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  const auto lines = running_lines(2, 0);
  ASSERT_TRUE(hostd.reach(lines).last);
  hostd.kill_it(SIGTERM);
  std::string tap;
  for (const std::string& thing : hostd.things())
    if (thing.starts_with("tap.")) tap = thing;
  hostd.steer("part." + tap);
  hostd.steer("fail." + tap);
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_NE(hostd.audit_log().find("mend-failed tap "), std::string::npos);
  const lang::Document state = hostd.state();
  EXPECT_EQ(std::ranges::count(state.statements, lang::Word::kTap, &lang::Statement::word), 1);
  EXPECT_EQ(std::ranges::count(state.statements, lang::Word::kJail, &lang::Statement::word), 1) << "the one that stood on it";
  hostd.unsteer("part." + tap);
  expect_sound(hostd, "after a tap could not be mended");
}

TEST(Recovery, SweepsWhatHasNoLine) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
  hostd.kill_it();
  hostd.steer("bridge.77");
  hostd.steer("tap.77.9");
  hostd.steer("tap.3.200");
  hostd.steer("rule.77");
  hostd.steer("cgroup.other.pool.i-00000009");
  hostd.steer("jail.other.pool.i-00000009", "0");
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_EQ(hostd.state().statements, running_lines(1, 0));
  expect_sound(hostd, "after six leaks");
  EXPECT_NE(hostd.audit_log().find("sweep jail other/pool/i-00000009"), std::string::npos);
}

// Lines that another plan left, as their records; hostd does not run.
void leave_record(HostdProcess& hostd, const std::string& name, const std::string& line) {
  HostdProcess::put(hostd.prefix() + "/state/records/" + name, test::ended("mvm-state 1\nnode node-7\ngeneration 1\ndesired none\n" + line + "\n"));
}
const std::string kBaseLine = "base acme/workers snapshot=" + test::kImage + " image=" + test::kImage + " mem=128 key=acme/1";
const std::string kDiffLine = "snapshot acme/workers/i-00000009 kind=diff base=" + test::kImage + " key=acme/1 compression=none slot=9 seq=1";

TEST(Recovery, SweepsABaseThatHasNoLineButNotFromUnderADiff) {
  for (const bool diff : {false, true}) {
    HostdProcess hostd;
    ASSERT_TRUE(hostd.start());
    ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
    hostd.kill_it();
    hostd.steer("base.acme.workers", "whole");
    if (diff) leave_record(hostd, "acme.workers.i-00000009", kDiffLine);
    if (diff) hostd.steer("snapshot.acme.workers.i-00000009", "whole");
    ASSERT_TRUE(hostd.start()) << hostd.errors();
    EXPECT_EQ(std::filesystem::exists(hostd.kernel() + "/base.acme.workers"), diff);
    EXPECT_NE(hostd.audit_log().find(diff ? "stray base acme/workers" : "sweep base acme/workers"), std::string::npos);
  }
}

TEST(Recovery, LetsASpentBaseFallUnlessADiffStandsOnIt) {
  for (const bool diff : {false, true}) {
    HostdProcess hostd;
    ASSERT_TRUE(hostd.start());
    ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
    hostd.kill_it();
    leave_record(hostd, "acme.workers.pool", kBaseLine);
    hostd.steer("base.acme.workers", "spent");
    if (diff) leave_record(hostd, "acme.workers.i-00000009", kDiffLine);
    if (diff) hostd.steer("snapshot.acme.workers.i-00000009", "whole");
    ASSERT_TRUE(hostd.start()) << hostd.errors();
    const auto state = hostd.state().statements;
    EXPECT_EQ(std::ranges::count(state, lang::Word::kBase, &lang::Statement::word), diff ? 1 : 0);
  }
}

TEST(Recovery, SaysThatABaseIsMissingAndKeepsItsLine) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
  hostd.kill_it();
  leave_record(hostd, "acme.workers.pool", kBaseLine);
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  EXPECT_NE(hostd.audit_log().find("missing " + kBaseLine), std::string::npos);
}

TEST(Recovery, DropsTheLinesOfWhatIsGoneAndAllThatStoodOnThem) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  ASSERT_TRUE(hostd.reach(running_lines(2, 1)).last);
  hostd.kill_it();
  hostd.unsteer("bridge.4");
  hostd.unsteer("jail.acme.workers.i-00000001");
  ASSERT_TRUE(hostd.start()) << hostd.errors();
  expect_sound(hostd, "after a bridge and a microVM have gone");
  for (const auto& line : hostd.state().statements) {
    EXPECT_FALSE(line.subject.tenant.view() == "beta" && line.word != lang::Word::kCgroup) << lang::print(line);
  }
  EXPECT_TRUE(is_running(hostd.state(), running_lines(2, 0).back().subject));
}

TEST(Recovery, TakesTheKernelsWordForTheStateOfAMicrovm) {
  HostdProcess hostd;
  ASSERT_TRUE(hostd.start());
  ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
  hostd.kill_it();
  hostd.steer("jail.acme.workers.i-00000001", "1");
  ASSERT_TRUE(hostd.start());
  EXPECT_EQ(lang::jail_view(hostd.state().statements.back()).state, lang::kWarm);
}

TEST(Recovery, RefusesToStartOnWhatNoCrashLeavesAndChangesNothing) {
  struct Damage {
    const char* what;
    std::function<void(HostdProcess&)> done;
  };
  const auto record = [](HostdProcess& hostd) { return hostd.prefix() + "/state/records/acme.workers.i-00000001"; };
  const std::vector<Damage> damages = {
      {"a record that was changed", [&](HostdProcess& h) {
         std::string text = h.get(record(h));
         text.replace(text.find("slot=3"), 6, "slot=4");
         h.put(record(h), text);
       }},
      {"a record under another's name", [&](HostdProcess& h) { std::filesystem::copy(record(h), h.prefix() + "/state/records/acme.workers.i-00000002"); }},
      {"an empty record in the same boot", [&](HostdProcess& h) { h.put(record(h), ""); }},
      {"a record that is no file", [&](HostdProcess& h) { std::filesystem::remove(record(h)); std::filesystem::create_directory(record(h)); }},
      {"a header that is gone", [&](HostdProcess& h) { std::filesystem::remove(h.prefix() + "/state/records/state.header"); }},
      {"a plan in the journal that is no plan", [&](HostdProcess& h) { h.put(h.prefix() + "/state/journal/plan", "mvm-plan 1\n"); }},
      {"an audit log that was cut", [&](HostdProcess& h) { h.put(h.prefix() + "/state/audit/log", h.audit_log().substr(0, 200)); }},
      {"an audit head that was changed", [&](HostdProcess& h) { h.put(h.prefix() + "/state/audit/head", std::string(kAuditHeadBytes, 'x')); }},
      {"a record of another node", [&](HostdProcess& h) {
         std::string text = policy_text();
         text.replace(text.find("node-7"), 6, "node-8");
         h.put(h.prefix() + "/node.policy", text);
       }},
      {"an address range that no longer holds what stands", [&](HostdProcess& h) {
         std::string text = policy_text();
         text.replace(text.find("10.240.0.0/12"), 13, "10.240.4.0/24");
         h.put(h.prefix() + "/node.policy", text);
       }},
  };
  for (const Damage& damage : damages) {
    HostdProcess hostd;
    ASSERT_TRUE(hostd.start());
    ASSERT_TRUE(hostd.reach(running_lines(1, 0)).last);
    hostd.kill_it(SIGTERM);
    const auto before = hostd.things();
    damage.done(hostd);
    EXPECT_FALSE(hostd.start()) << damage.what;
    EXPECT_TRUE(WIFEXITED(hostd.status)) << damage.what << ": it says why, and is not killed by its filter";
    EXPECT_NE(hostd.errors(), "") << damage.what;
    EXPECT_EQ(hostd.things(), before) << damage.what;
  }
}

}  // namespace
}  // namespace mvm::test
