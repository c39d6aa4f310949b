// A pool's base and the diffs that stand on it, by the snapshot worker's tasks, on files of our own in a memory file system's place. Needs root.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/derived.h"
#include "broker/snapshot/executor.h"
#include "broker/snapshot/hand_over.h"
#include "policy-lang/print.h"
#include "snapshot-file/crypto.h"
#include "tests/base/socket_pair.h"

namespace mvm::snapshot {
namespace {

namespace fs = std::filesystem;
using lang::Word;
using testing::HasSubstr;

class Bases : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    umask(077);
    ASSERT_NE(mkdtemp(root_.data()), nullptr);
    for (const std::string& each : {root_ + "/memory", root_ + "/snapshots"}) fs::create_directory(each);
    ASSERT_TRUE(snapshot_file::prepare());
    Fd ours;
    test::socket_pair(SOCK_SEQPACKET, ours, link_);
    host_ = std::make_unique<Host>(Host{Files(directory("snapshots")), directory("memory"), std::move(ours), {sha256("a kernel"), sha256("a CPU")}, SecretArena::make().value(),
                                        [this](const wire::Task&, std::uint32_t version) {
                                          auto key = host_->arena.take(32);
                                          if (key) std::ranges::fill(key->bytes(), static_cast<std::uint8_t>(version));
                                          return key;
                                        }});
    full_ = sealed(snapshot(first_, 1));
    base_ = sealed(base());
  }
  void TearDown() override { fs::remove_all(root_); }
  [[nodiscard]] Fd directory(const std::string& name) const { return Fd(open((root_ + "/" + name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
  [[nodiscard]] std::string path(const std::string& name) const { return root_ + "/snapshots/acme/workers/" + name + ".snap"; }

  wire::Answer ask(const wire::Task& task) { return dispatch(*host_, wire::decode_task(wire::encode(task)).value()).front(); }
  // Of what the jail worker would have had written.
  wire::Answer seal(const wire::Task& task) {
    if (task.statement.word == Word::kSnapshot) {
      const std::string dumped = root_ + "/memory/" + memory_name(task.statement.subject);
      fs::create_directory(dumped);
      std::ofstream(dumped + "/memory") << "what the guest has";
      fs::resize_file(dumped + "/memory", std::uint64_t{kMib} << 20);
      std::ofstream(dumped + "/state") << "a state";
    }
    return ask(task);
  }
  Digest sealed(const wire::Task& task) {
    const auto answer = seal(task);
    EXPECT_TRUE(answer.ok) << answer.error.message();
    return answer.digest.value_or(Digest{});
  }
  std::string refused(const wire::Task& task) {
    const auto answer = seal(task);
    EXPECT_FALSE(answer.ok);
    return answer.error.message();
  }

  static wire::Task task(wire::Op op, Word word, const Subject& subject) {
    wire::Task task;
    task.seq = 1;
    task.op = op;
    task.statement.sign = lang::Sign::kAdd;
    task.statement.word = word;
    task.statement.subject = subject;
    return task;
  }
  wire::Task snapshot(const Subject& instance, std::uint32_t seq) const {
    wire::Task made = task(wire::Op::kMake, Word::kSnapshot, instance);
    made.statement.key_tenant = instance.tenant;
    made.statement.numbers = {lang::kFull, 0, 1, 1, 4, seq};
    made.asleep.image = sha256("an image");
    made.asleep.mem = kMib;
    return made;
  }
  wire::Task base() const {
    wire::Task made = task(wire::Op::kMake, Word::kBase, pool_subject(first_.tenant, first_.pool));
    made.statement.key_tenant = first_.tenant;
    made.statement.digests = {lang::snapshot_digest(snapshot(first_, 1).statement), sha256("an image")};
    made.statement.numbers = {1, 1, kMib, 1};
    made.asleep.file = full_;
    made.asleep.source = first_.instance.value;
    return made;
  }
  void remove_base() {
    wire::Task removed = base();
    removed.op = wire::Op::kUnmake;
    removed.statement.sign = lang::Sign::kRemove;
    const auto answer = ask(removed);
    ASSERT_TRUE(answer.ok) << answer.error.message();
  }
  wire::Task diff() const {
    wire::Task made = snapshot(second_, 1);
    made.statement.numbers[0] = lang::kDiff;
    made.statement.numbers[1] = 1;
    made.statement.digests[0] = lang::snapshot_digest(base().statement);
    made.asleep.base = base_;
    return made;
  }
  // Of a microVM that wakes from that diff.
  wire::Task hand_over() const {
    wire::Task made = task(wire::Op::kHandOver, Word::kJail, second_);
    made.statement.digests = {sha256("an image"), lang::snapshot_digest(diff().statement)};
    made.statement.numbers = {1, 1, kMib, lang::kBootSnapshot, lang::kRunning, lang::kParked};
    made.asleep.file = diff_;
    made.asleep.base = base_;
    made.asleep.key_version = 1;
    return made;
  }
  // The file of that name is another one for a while: an older one that somebody has put back, or one of another's.
  std::string refused_with(const std::string& name, const std::string& other, const wire::Task& task) {
    fs::rename(path(name), root_ + "/kept");
    fs::copy_file(other, path(name));
    std::string why = refused(task);
    fs::rename(root_ + "/kept", path(name));
    return why;
  }

  static constexpr std::uint32_t kMib = 16;
  const Subject first_ = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{1});
  const Subject second_ = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{2});
  std::string root_ = "/var/tmp/mvm-bases-test-XXXXXX";
  Fd link_;
  std::unique_ptr<Host> host_;
  Digest full_, base_, diff_;
};

TEST_F(Bases, AreMadeOfTheSnapshotThatTheirLineNames) {
  remove_base();
  wire::Task other = base();
  other.statement.digests[0] = sha256("another line");
  EXPECT_THAT(refused(other), HasSubstr("make a base of another snapshot"));
  other = base();
  other.asleep.file = sha256("another file");
  EXPECT_THAT(refused(other), HasSubstr("make a base of another snapshot"));
  other = base();
  other.statement.numbers[2] = 2 * kMib;
  EXPECT_THAT(refused(other), HasSubstr("another size of memory"));
  other = base();
  other.statement.numbers[3] = 2;
  EXPECT_THAT(refused(other), HasSubstr("another key than its line says"));
  other = base();
  other.asleep.source = second_.instance.value;
  EXPECT_FALSE(seal(other).ok) << "there is none of that instance";
  fs::copy_file(path("i-00000001"), path("i-00000002"));
  EXPECT_THAT(refused(other), HasSubstr("another instance")) << "nor is it one of its own";
  EXPECT_FALSE(fs::exists(path("base")));
  EXPECT_TRUE(seal(base()).ok);
}

TEST_F(Bases, AreStoodOnByWhatNamesThem) {
  wire::Task other = diff();
  other.statement.digests[0] = sha256("another line");
  EXPECT_THAT(refused(other), HasSubstr("seal a diff on a base of another line"));
  other = diff();
  other.asleep.base = sha256("a newer base");
  EXPECT_THAT(refused(other), HasSubstr("another file than the newest"));
  other = diff();
  other.statement.numbers[2] = 2;
  EXPECT_THAT(refused(other), HasSubstr("another key than its line says"));
  EXPECT_FALSE(fs::exists(path("i-00000002")));
  EXPECT_TRUE(seal(diff()).ok);
}

TEST_F(Bases, AreHandedOverWithTheDiffsThatStandOnThem) {
  diff_ = sealed(diff());
  const auto handed = ask(hand_over());
  ASSERT_TRUE(handed.ok) << handed.error.message();
  const auto got = receive_hand_over(link_.get());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_TRUE(got->base.valid());
  EXPECT_EQ(got->instance, second_);
}

TEST_F(Bases, AreNotHandedOverWhereTheyAreNotTheNewest) {
  diff_ = sealed(diff());
  wire::Task other = hand_over();
  other.asleep.base = sha256("a newer base");
  EXPECT_THAT(refused(other), HasSubstr("another file than the newest"));
  fs::copy_file(path("base"), root_ + "/older");
  remove_base();
  const Digest newer = sealed(base());
  other.asleep.base = newer;
  EXPECT_THAT(refused_with("base", root_ + "/older", other), HasSubstr("another file than the newest"));
  EXPECT_THAT(refused(other), HasSubstr("another base")) << "the diff does not stand on it";
}

TEST_F(Bases, AreNobodysSnapshot) {
  diff_ = base_;
  fs::copy_file(path("base"), path("i-00000002"));
  EXPECT_THAT(refused(hand_over()), HasSubstr("another instance")) << "nothing is resumed of it";
  remove_base();
  EXPECT_THAT(refused_with("i-00000001", path("i-00000002"), base()), HasSubstr("another instance"));
}

TEST_F(Bases, AreAPoolsAndAllElseAnInstances) {
  wire::Task other = task(wire::Op::kSpend, Word::kRule, tenant_subject(first_.tenant));
  EXPECT_EQ(ask(other).error.code, Errc::kMalformed);
}

}  // namespace
}  // namespace mvm::snapshot
