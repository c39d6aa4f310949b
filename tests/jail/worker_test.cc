// mvm-jail as a process: what it says on its channel, and what outlives it.
#include <poll.h>
#include <signal.h>

#include <array>

#include "seccomp/jail.grants.h"
#include "tests/base/socket_pair.h"
#include "tests/jail/jail_fixture.h"
#include "tests/sandbox/worker_process.h"

namespace mvm::jail {
namespace {

class JailWorker : public JailFixture {
 protected:
  void SetUp() override {
    JailFixture::SetUp();
    if (IsSkipped()) return;
    executor_.reset();
    start();
  }
  void TearDown() override {
    end();
    if (!state_.empty()) start_worker();
    JailFixture::TearDown();
  }

  // As the supervisor does: with the worker's grants, and as root.
  void start() {
    static const test::Runnable executable(MVM_JAIL);
    const std::array<std::string, 8> arguments = {cgroup_, state_, firecracker_dir(), memory_, MVM_PAGES, "nobody", block_path(), "/proc/misc"};
    Fd theirs, to_guests;
    test::socket_pair(SOCK_SEQPACKET, link_, theirs);
    test::socket_pair(SOCK_SEQPACKET, guests_, to_guests);
    const std::array<int, 2> extra = {theirs.get(), to_guests.get()};
    worker_ = test::started({.executable = executable.fd(), .grants = grants::kJail, .user = {0, 0}, .extra = extra, .arguments = arguments});
  }
  // How it ended; below 0: by a signal.
  int end() {
    worker_.channel.reset();
    return wait_for_worker();
  }
  int wait_for_worker() {
    const int how = worker_.pidfd.valid() ? test::ended(worker_) : 0;
    worker_.pidfd.reset();
    return how;
  }

  void say(const std::vector<std::uint8_t>& packet) { ASSERT_EQ(send(worker_.channel.get(), packet.data(), packet.size(), 0), static_cast<ssize_t>(packet.size())); }
  void say(const wire::Task& what) { say(wire::encode(what)); }
  std::optional<wire::Answer> hear() {
    pollfd ready{worker_.channel.get(), POLLIN, 0};
    if (poll(&ready, 1, 30'000) != 1) return std::nullopt;
    std::vector<std::uint8_t> buffer(wire::kMaxPacket);
    const ssize_t got = recv(worker_.channel.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return std::nullopt;
    auto answer = wire::decode_answer(std::span(buffer).first(static_cast<std::size_t>(got)));
    if (!answer) return std::nullopt;
    return std::move(*answer);
  }

  sandbox::Worker worker_;
  Fd link_, guests_;
};

TEST_F(JailWorker, MakesTellsAndEnds) {
  anchor();
  say(task(wire::Op::kMake, lang::Word::kJail));
  auto answer = hear();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->ok) << answer->error.message();
  EXPECT_EQ(answer->seq, 7u);
  ASSERT_EQ(kill(members().front(), SIGKILL), 0);
  answer = hear();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->seq, 0u);
  EXPECT_EQ(answer->ended, instance_);
  say(task(wire::Op::kUnmake, lang::Word::kJail));
  answer = hear();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->ok) << answer->error.message();
}

TEST_F(JailWorker, AnswersAboutWhatItRefuses) {
  say(task(wire::Op::kMake, lang::Word::kJail));
  const auto answer = hear();
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->ok);
  EXPECT_EQ(answer->error.code, Errc::kNotFound);
}

TEST_F(JailWorker, EndsWithItsSupervisor) { EXPECT_EQ(end(), 0); }

TEST_F(JailWorker, EndsWhenItIsSentNoTask) {
  say(std::vector<std::uint8_t>{1, 2, 3});
  EXPECT_GT(wait_for_worker(), 0);
}

TEST_F(JailWorker, LeavesItsMicrovmsRunningWhenItIsKilled) {
  anchor();
  say(task(wire::Op::kMake, lang::Word::kJail));
  ASSERT_TRUE(hear()->ok);
  const auto before = members();
  EXPECT_EQ(test::kill_and_wait(worker_), -SIGKILL);
  worker_.pidfd.reset();
  EXPECT_EQ(members(), before);
  start();
  say(task(wire::Op::kInventory, lang::Word::kJail));
  const auto answer = hear();
  ASSERT_TRUE(answer);
  ASSERT_TRUE(answer->ok);
  EXPECT_THAT(answer->items, testing::Contains(wire::Item{.word = lang::Word::kJail, .subject = instance_, .alive = true, .state = lang::kRunning}));
}

}  // namespace
}  // namespace mvm::jail
