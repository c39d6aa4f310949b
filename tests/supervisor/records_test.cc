// Records, the files below them, and the state that they are a copy of.
#include "broker/supervisor/records.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <fstream>

#include "tests/supervisor/directory.h"
#include "tests/supervisor/scene.h"

namespace mvm::supervisor {
namespace {

using lang::Word;

const Name kNode = *Name::from("node-7");

Result<lang::Document> parse(std::string_view text) {
  auto parsed = lang::parse(lang::Kind::kState, text);
  if (!parsed) return fail(Errc::kCorrupt, parsed.error().message());
  return *std::move(parsed);
}

HostState state_of(const std::vector<lang::Statement>& lines) {
  HostState state;
  state.header = test::empty_state().header;
  state.header.generation = 5;
  for (const auto& line : lines) state.put(line);
  return state;
}

void write_all_of(const Records& records, const HostState& state) {
  ASSERT_TRUE(records.write_header(state));
  for (const auto& [key, line] : state.lines()) ASSERT_TRUE(records.write(state, key.first, Keep::kOverCrash));
}

TEST(Records, GiveBackTheStateThatTheyAreACopyOf) {
  const test::Directory directory;
  const Records records(directory.open());
  const HostState state = state_of(test::running_lines(3, 2));
  write_all_of(records, state);
  const auto loaded = records.load(kNode, Boot::kSame, parse);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->document(), state.document());
  EXPECT_EQ(loaded->digest(), state.digest());
}

TEST(Records, AreGoneWithTheLastLineOfTheirSubject) {
  const test::Directory directory;
  const Records records(directory.open());
  HostState state = state_of(test::running_lines(1, 0));
  write_all_of(records, state);
  const Subject instance = test::running_lines(1, 0)[2].subject;
  EXPECT_TRUE(std::filesystem::exists(directory.path(record_name(instance))));
  for (const Word word : {Word::kJail, Word::kTap, Word::kCgroup}) state.drop(instance, word);
  ASSERT_TRUE(records.write(state, instance, Keep::kOverPowerCut));
  EXPECT_FALSE(std::filesystem::exists(directory.path(record_name(instance))));
  ASSERT_TRUE(records.write(state, instance, Keep::kOverCrash)) << "and removing it again is no error";
}

TEST(Records, AreWithoutAnEmptyOneFromAnotherBootOnAndWithoutTheUnfinishedOneAlways) {
  const test::Directory directory;
  const Records records(directory.open());
  write_all_of(records, state_of(test::running_lines(1, 0)));
  std::ofstream(directory.path("acme.workers.i-00000001")).close();
  std::ofstream(directory.path(".new")) << "half a rec";
  EXPECT_FALSE(records.load(kNode, Boot::kSame, parse));
  EXPECT_EQ(records.load(kNode, Boot::kAnother, parse).value().lines().size(), 2u);
  EXPECT_EQ(records.load(kNode, Boot::kSame, parse).value().lines().size(), 2u) << "the next start does not find it";
  std::ofstream(directory.path("state.header")).close();
  EXPECT_FALSE(records.load(kNode, Boot::kAnother, parse)) << "the header is synced";
}

// From here on whatever is synced fails.
void never_sync() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fsync, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, code};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

TEST(Records, AreSyncedBeforeTheirNameWhereALineOfThemIsDurable) {
  const test::Directory directory;
  const Records records(directory.open());
  HostState state = state_of(test::running_lines(1, 0));
  const Subject instance = test::running_lines(1, 0)[2].subject;
  const auto written = [&] {
    never_sync();
    std::_Exit(records.write(state, instance, Keep::kOverCrash) ? 0 : 1);
  };
  EXPECT_EXIT(written(), testing::ExitedWithCode(0), "") << "what goes with the power is not";
  lang::Statement volume;
  volume.word = Word::kVolume;
  volume.subject = instance;
  state.put(volume);
  EXPECT_EXIT(written(), testing::ExitedWithCode(1), "") << "whatever has changed in it";
}

TEST(Records, AreNamedAfterWhatTheySayAndSayNothingElse) {
  lang::Document record = test::empty_state();
  EXPECT_TRUE(is_record("state.header", kNode, record));
  EXPECT_FALSE(is_record("acme", kNode, record)) << "empty";
  const auto lines = test::running_lines(1, 1);
  record.statements = {lines[0], lines[1]};
  EXPECT_TRUE(is_record("acme", kNode, record));
  EXPECT_FALSE(is_record("beta", kNode, record));
  EXPECT_FALSE(is_record("state.header", kNode, record));
  EXPECT_FALSE(is_record("acme", *Name::from("node-8"), record));
  record.statements = {lines[0], lines[2]};
  EXPECT_FALSE(is_record("acme", kNode, record)) << "two subjects";
}

TEST(Records, OfAPoolAreNotThoseOfAnInstanceOrATenant) {
  const test::Directory directory;
  const Records records(directory.open());
  const HostState state = state_of(parse(test::ended("mvm-state 1\nnode node-7\ngeneration 1\ndesired none\nbase acme/newest snapshot=" + test::kImage + " image=" + test::kImage +
                                                     " mem=128 key=acme/1\n"))->statements);
  write_all_of(records, state);
  EXPECT_TRUE(std::filesystem::exists(directory.path("acme.newest.pool")));
  const auto loaded = records.load(kNode, Boot::kSame, parse);
  ASSERT_TRUE(loaded) << loaded.error().message();
  EXPECT_EQ(loaded->document(), state.document());
}

TEST(Files, AreWholeOrNotThere) {
  const test::Directory directory;
  const Fd fd = directory.open();
  ASSERT_TRUE(write_file(fd, "a", "one", Keep::kOverPowerCut));
  ASSERT_TRUE(write_file(fd, "a", "two", Keep::kOverCrash));
  EXPECT_EQ(read_file(fd, "a", 3).value(), "two");
  EXPECT_FALSE(std::filesystem::exists(directory.path(".new")));
  struct stat status {};
  ASSERT_EQ(stat(directory.path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST(Files, AreNotFollowedOutOfTheirDirectory) {
  const test::Directory directory;
  const Fd fd = directory.open();
  std::filesystem::create_symlink("/etc/passwd", directory.path("link"));
  std::filesystem::create_directory(directory.path("directory"));
  ASSERT_EQ(mkfifo(directory.path("pipe").c_str(), 0600), 0);
  for (const char* name : {"link", "../etc", "/etc/passwd", "directory", "pipe"}) EXPECT_FALSE(read_file(fd, name, 1 << 20)) << name;
  EXPECT_FALSE(open_file(fd, "link", O_WRONLY));
  EXPECT_EQ(read_file(fd, "nothing", 1).error().code, Errc::kNotFound);
}

TEST(Files, AreReadUpToTheirLimitAndNotOneByteMore) {
  const test::Directory directory;
  const Fd fd = directory.open();
  ASSERT_TRUE(write_file(fd, "a", "12345", Keep::kOverCrash));
  EXPECT_TRUE(read_file(fd, "a", 5));
  EXPECT_EQ(read_file(fd, "a", 4).error().code, Errc::kLimit);
  ASSERT_TRUE(write_file(fd, "b", "", Keep::kOverCrash));
  EXPECT_EQ(list_directory(fd, 2).value(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(list_directory(fd, 1).error().code, Errc::kLimit);
}

TEST(HostState, KnowsWhatNeedsWhat) {
  const auto lines = test::running_lines(1, 0);  // bridge, rule, cgroup, tap, jail
  HostState state = state_of(lines);
  const Subject acme = lines[0].subject, instance = lines[2].subject;
  EXPECT_FALSE(state.nothing_stands_on(acme, Word::kBridge));
  EXPECT_FALSE(state.nothing_stands_on(instance, Word::kTap));
  EXPECT_TRUE(state.nothing_stands_on(instance, Word::kJail));
  state.drop(instance, Word::kJail);
  EXPECT_TRUE(state.nothing_stands_on(instance, Word::kTap));
  state.drop(instance, Word::kTap);
  EXPECT_FALSE(state.nothing_stands_on(acme, Word::kBridge)) << "its rule";
  EXPECT_FALSE(state.has_what_it_needs(lines[4])) << "a jail without its tap";
  EXPECT_TRUE(state.has_what_it_needs(lines[3]));
  state.drop(acme, Word::kRule);
  state.drop(acme, Word::kBridge);
  EXPECT_FALSE(state.has_what_it_needs(lines[3])) << "a tap without its bridge";
}

TEST(HostState, CarriesOutWhatAPlanSaysAndStaysCanonical) {
  const auto from = test::running_lines(2, 1), to = test::running_lines(1, 2);
  lang::Document before = test::empty_state(), after = before;
  before.statements = from;
  after.statements = to;
  HostState state = state_of(from);
  const lang::Document plan = lang::diff(before, after).value();
  for (const auto& statement : plan.statements) state.carry_out(statement);
  EXPECT_EQ(state.document().statements, to);
  EXPECT_EQ(test::parsed(lang::Kind::kState, lang::print(state.document())), state.document());
}

}  // namespace
}  // namespace mvm::supervisor
