// The jail worker as a process, with its grants, and the snapshot worker's half of it in the test: a microVM that is put to sleep and wakes by the steps
// that the supervisor would have them take.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <array>

#include "broker/snapshot/executor.h"
#include "policy-lang/print.h"
#include "seccomp/jail.grants.h"
#include "snapshot-file/crypto.h"
#include "tests/base/socket_pair.h"
#include "tests/jail/jail_fixture.h"
#include "tests/sandbox/worker_process.h"

namespace mvm::jail {

class SleepFixture : public JailFixture {
 protected:
  void SetUp() override {
    JailFixture::SetUp();
    if (IsSkipped()) return;
    executor_.reset();
    start_workers();
    anchor();
  }
  void TearDown() override {
    worker_.channel.reset();
    if (worker_.pidfd.valid()) test::ended(worker_);
    worker_.pidfd.reset();
    if (!state_.empty()) JailFixture::start_worker();
    JailFixture::TearDown();
  }

  // The end of the link that is the jail worker's.
  Fd start_sealer() {
    Fd ours, theirs;
    EXPECT_TRUE(snapshot_file::prepare());
    fs::create_directory(state_ + "/snapshots");
    test::socket_pair(SOCK_SEQPACKET, ours, theirs);
    sealer_ = std::make_unique<snapshot::Host>(snapshot::Host{snapshot::Files(Fd(open((state_ + "/snapshots").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC))),
                                                              Fd(open(memory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), std::move(ours), fits_, SecretArena::make().value(),
                                                              [this](const wire::Task& task, std::uint32_t version) { return key_of(task, version); }});
    return theirs;
  }
  void start_workers() {
    const Fd link = start_sealer();
    static const test::Runnable executable(MVM_JAIL);
    const std::array<std::string, 8> arguments = {cgroup_, state_, firecracker_dir(), memory_, MVM_PAGES, "nobody", block_path(), misc()};
    Fd theirs;
    test::socket_pair(SOCK_SEQPACKET, guests_, theirs);
    const std::array<int, 2> extra = {link.get(), theirs.get()};
    worker_ = test::started({.executable = executable.fd(), .grants = grants::kJail, .user = {0, 0}, .extra = extra, .arguments = arguments});
  }
  // Where the jail worker looks for userfaultfd: what this kernel lists, or a list as that of a kernel without it.
  [[nodiscard]] std::string misc() const {
    if (has_userfaultfd_) return "/proc/misc";
    std::ofstream(state_ + "/misc") << "232 kvm\n";
    return state_ + "/misc";
  }
  Result<Secret> key_of(const wire::Task& task, std::uint32_t version) const {
    auto key = sealer_->arena.take(32);
    if (key) std::ranges::fill(key->bytes(), static_cast<std::uint8_t>(task.statement.subject.tenant.view()[0] + version));
    return key;
  }

  std::optional<wire::Answer> hear(int milliseconds = 60'000) {
    pollfd ready{worker_.channel.get(), POLLIN, 0};
    if (poll(&ready, 1, milliseconds) != 1) return std::nullopt;
    std::vector<std::uint8_t> buffer(wire::kMaxPacket);
    const ssize_t got = recv(worker_.channel.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return std::nullopt;
    auto answer = wire::decode_answer(std::span(buffer).first(static_cast<std::size_t>(got)));
    return answer ? std::optional(*std::move(answer)) : std::nullopt;
  }
  wire::Answer to_jail(const wire::Task& what) {
    const auto packet = wire::encode(what);
    if (send(worker_.channel.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) return refused("the jail worker has gone");
    auto answer = hear();
    return answer ? *std::move(answer) : refused("the jail worker said nothing");
  }
  wire::Answer to_sealer(const wire::Task& what) { return snapshot::dispatch(*sealer_, *wire::decode_task(wire::encode(what))).front(); }
  static wire::Answer refused(const char* why) {
    wire::Answer answer;
    answer.error = Error{Errc::kClosed, 0, why, {}};
    return answer;
  }

  lang::Statement snapshot_line(std::uint32_t seq) const {
    lang::Statement line;
    line.word = lang::Word::kSnapshot;
    line.subject = instance_;
    line.key_tenant = instance_.tenant;
    line.numbers = {lang::kFull, 0, 1, 1, kSlot, seq};
    return line;
  }
  wire::Task snapshot_task(wire::Op op, std::uint32_t seq) const {
    wire::Task made = task(op, lang::Word::kSnapshot);
    made.statement = snapshot_line(seq);
    made.statement.sign = op == wire::Op::kUnmake ? lang::Sign::kRemove : lang::Sign::kAdd;
    made.asleep.image = image_;
    made.asleep.mem = mib_;
    return made;
  }
  wire::Task jail_task(wire::Op op) const {
    wire::Task made = task(op, lang::Word::kJail);
    made.statement.sign = op == wire::Op::kUnmake ? lang::Sign::kRemove : lang::Sign::kAdd;
    made.statement.numbers[2] = mib_;
    return made;
  }
  wire::Task move_task(std::uint64_t from, std::uint64_t to) const {
    wire::Task made = task(wire::Op::kMove, lang::Word::kJail);
    made.statement.numbers = {from, to};
    made.statement.digests = {};
    return made;
  }
  wire::Task wake_task(wire::Op op, std::uint32_t seq, std::uint64_t state = lang::kRunning) const {
    wire::Task made = jail_task(op);
    made.statement.numbers[3] = lang::kBootSnapshot;
    made.statement.numbers[4] = state;
    made.statement.numbers[5] = lang::kParked;
    made.statement.digests[1] = lang::snapshot_digest(snapshot_line(seq));
    made.asleep.file = newest_;
    made.asleep.key_version = 1;
    return made;
  }

  // Paused, written, sealed, cleared, ended: what a plan's sleep does. The error of the step that failed.
  Status falls_asleep(std::uint32_t seq) {
    if (auto paused = to_jail(move_task(lang::kRunning, lang::kWarm)); !paused.ok) return forward(paused.error);
    return sleeps_warm(seq);
  }
  [[nodiscard]] wire::Task seal_task(std::uint32_t seq, const wire::Answer& dumped) const {
    wire::Task make = snapshot_task(wire::Op::kMake, seq);
    make.asleep.vmm = dumped.digest.value();
    return make;
  }
  Status sleeps_warm(std::uint32_t seq) {
    const auto dumped = to_jail(snapshot_task(wire::Op::kDump, seq));
    if (!dumped.ok) return forward(dumped.error);
    held_ = fs::is_fifo(memory_path() + "/hold") && !fs::exists(memory_path() + "/memory");
    const auto sealed = to_sealer(seal_task(seq, dumped));
    if (const auto cleared = to_jail(snapshot_task(wire::Op::kClear, seq)); !cleared.ok) return forward(cleared.error);
    if (!sealed.ok) return forward(sealed.error);
    newest_ = sealed.digest.value();
    const auto ended = to_jail(jail_task(wire::Op::kUnmake));
    return ended.ok ? Status{} : forward(ended.error);
  }
  Status wakes(std::uint32_t seq) {
    for (const auto& [worker, op] : {std::pair{lang::Worker::kSnapshot, wire::Op::kHandOver}, {lang::Worker::kJail, wire::Op::kMake},
                                     {lang::Worker::kSnapshot, wire::Op::kSpend}, {lang::Worker::kJail, wire::Op::kRelease}}) {
      const wire::Task what = wake_task(op, seq);
      const auto done = worker == lang::Worker::kSnapshot ? to_sealer(what) : to_jail(what);
      if (!done.ok) return forward(done.error);
    }
    const auto removed = to_sealer(snapshot_task(wire::Op::kUnmake, seq));
    return removed.ok ? Status{} : forward(removed.error);
  }
  // Doubles only: until every page was looked at, and what was seen.
  std::string looked_at() {
    const std::string all = "checked=" + std::to_string(mib_ << 8);
    std::string said;
    for (int i = 0; i < 3000 && !said.starts_with(all + " "); ++i) {
      said = ask_guest("memory");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return said;
  }
  [[nodiscard]] std::string all_right() const {
    const std::string pages = std::to_string(mib_ << 8);
    return "checked=" + pages + " of=" + pages + " wrong=0";
  }
  [[nodiscard]] std::vector<std::string> in_memory() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(memory_path())) names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }
  [[nodiscard]] std::string snapshot_path() const { return state_ + "/snapshots/acme/workers/i-a3f7b2c1.snap"; }

  static constexpr std::uint32_t kMib = 64;
  std::uint32_t mib_ = kMib;  // of the guest's memory
  snapshot::HostFits fits_{sha256("a kernel"), sha256("a CPU")};
  std::unique_ptr<snapshot::Host> sealer_;
  sandbox::Worker worker_;
  Fd guests_;  // the guest worker's end
  bool has_userfaultfd_ = true;
  bool held_ = false;  // whether the last that slept was, and its memory read out of it; else it was all written
  Digest newest_;
};

// With a microVM of the doubles that runs.
class RunningFixture : public SleepFixture {
 protected:
  void SetUp() override {
    if (real()) GTEST_SKIP() << "asks the doubled guest";
    SleepFixture::SetUp();
    if (IsSkipped()) return;
    const auto made = to_jail(jail_task(wire::Op::kMake));
    ASSERT_TRUE(made.ok) << made.error.message();
  }
};

}  // namespace mvm::jail
