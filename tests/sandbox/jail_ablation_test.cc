// Needs root and a cgroup2 mount. A microVM is made, paused, resumed and ended by the doubles, or by the real jailer and
// Firecracker where MVM_FIRECRACKER_DIR says where they are.
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "broker/guest/link.h"
#include "schemas/worker.h"
#include "tests/base/socket_pair.h"
#include "tests/jail/sleep_fixture.h"
#include "tests/sandbox/ablation.h"
#include "tests/sandbox/ask.h"

namespace mvm::jail {
namespace {

using wire::Op;

constexpr int kPatienceMs = 20'000;

class Host : public SleepFixture {
 public:
  Host() {
    JailFixture::SetUp();
    executor_.reset();  // the worker under test is the one that executes
    anchor();
    EXPECT_EQ(unshare(CLONE_NEWNS), 0);
    EXPECT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  ~Host() override {
    start_worker();
    (void)run(Op::kUnmake, lang::Word::kJail);
    executor_.reset();
    JailFixture::TearDown();
  }
  void TestBody() override {}

  [[nodiscard]] sandbox::Worker start(const std::vector<seccomp::Line>& lines, const std::string& binaries = firecracker_dir()) {
    static const test::Runnable executable(MVM_JAIL_UNDER_TEST);
    const Fd link = start_sealer();
    Fd theirs;
    test::socket_pair(SOCK_SEQPACKET, guests_, theirs);
    return test::start_with(executable, "jail", lines, sandbox::Channel::kSeqpacket, {link.get(), theirs.get()}, {cgroup_, state_, binaries, memory_, MVM_PAGES, "nobody", block_path(), misc()});
  }

  static bool done(const sandbox::Worker& worker, const wire::Task& task) {
    const auto answer = test::asked(worker, task, kPatienceMs);
    return answer && answer->ok;
  }

  wire::Task signed_task(Op op, lang::Word word) {
    wire::Task made = task(op, word);
    made.statement.sign = op == Op::kMake ? lang::Sign::kAdd : op == Op::kUnmake ? lang::Sign::kRemove : lang::Sign::kMove;
    if (op == Op::kInventory) made.statement = {};
    if (op == Op::kConnect) made.statement.numbers = {lang::kAwake, lang::kParked};
    return made;
  }
  wire::Task move_task(std::uint64_t from, std::uint64_t to) {
    wire::Task made = signed_task(Op::kMove, lang::Word::kJail);
    made.statement.numbers = {from, to};
    made.statement.digests = {};
    return made;
  }

  bool lives_and_ends(const sandbox::Worker& worker) {
    return done(worker, signed_task(Op::kInventory, lang::Word::kJail)) && done(worker, signed_task(Op::kMake, lang::Word::kJail)) &&
           done(worker, move_task(lang::kRunning, lang::kWarm)) && done(worker, move_task(lang::kWarm, lang::kRunning)) &&
           done(worker, signed_task(Op::kInventory, lang::Word::kJail)) && is_met(worker) && leave_much_in_the_jail() &&
           done(worker, signed_task(Op::kUnmake, lang::Word::kJail));
  }

  // A connection to its guest, for the guest worker.
  bool is_met(const sandbox::Worker& worker) {
    if (!done(worker, signed_task(Op::kConnect, lang::Word::kGuest))) return false;
    const auto met = guest_worker::receive_connected(guests_.get());
    return met && met->instance == instance_;
  }

  // What a hostile VMM may leave: directories deeper than descriptors.
  [[nodiscard]] bool leave_much_in_the_jail() const {
    std::string path = root_path();
    for (std::size_t depth = 0; depth < 3 * kMaxOpenLevels; ++depth) fs::create_directory(path += "/d");
    return true;
  }

  // Put to sleep and woken, to the last page, which its page server ends with.
  bool sleeps_and_wakes(sandbox::Worker& worker) {
    if (!done(worker, jail_task(Op::kMake))) return false;
    worker_ = std::move(worker);
    const auto asleep = falls_asleep(1);
    const auto awake = asleep ? wakes(1) : asleep;
    if (!awake) std::fprintf(stderr, "%s\n", awake.error().message().c_str());
    bool ok = awake.has_value() && (real() || looked_at() == all_right());
    for (int i = 0; ok && i < 500 && fs::exists(memory_path() + "/waking"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ok = ok && !fs::exists(memory_path() + "/waking") && fs::exists(memory_path() + "/touched");
    worker = std::move(worker_);
    return done(worker, jail_task(Op::kUnmake)) && ok;
  }

  void lose_userfaultfd() {
    has_userfaultfd_ = false;
    anchor();
  }

  // A jailer that cannot be run, and what was said of that is in the answer.
  bool says_why_the_jailer_fails(const std::vector<seccomp::Line>& lines) {
    anchor();
    const std::string binaries = state_ + "/binaries";
    fs::create_directory(binaries);
    fs::copy_file(firecracker_dir() + "/firecracker", binaries + "/firecracker");
    std::ofstream(binaries + "/jailer") << "no program";
    fs::permissions(binaries + "/jailer", static_cast<fs::perms>(0555));
    const auto worker = start(lines, binaries);
    const auto answer = test::asked(worker, signed_task(Op::kMake, lang::Word::kJail), kPatienceMs);
    test::kill_and_wait(worker);
    return answer && !answer->ok && answer->error.on.find("cannot run the jailer") != std::string::npos;
  }

  // Made, and killed by somebody else: the worker says so, and can sweep what is left.
  bool is_seen_to_end(const sandbox::Worker& worker) {
    if (!done(worker, signed_task(Op::kMake, lang::Word::kJail))) return false;
    std::ofstream(anchor_path() + "/cgroup.kill") << "1";
    const auto event = test::received(worker, kPatienceMs);
    return event && event->seq == 0 && event->ended == instance_ && done(worker, signed_task(Op::kUnmake, lang::Word::kJail)) &&
           done(worker, signed_task(Op::kUnmake, lang::Word::kCgroup));
  }
};

bool serves(Host& host, const std::vector<seccomp::Line>& lines) {
  auto worker = host.start(lines);
  const bool ok = host.lives_and_ends(worker) && host.sleeps_and_wakes(worker) && host.is_seen_to_end(worker);
  worker.channel.reset();
  return test::ended(worker) == EX_OK && ok;
}

// As on a host whose kernel lists no userfaultfd.
bool wakes_whole(Host& host, const std::vector<seccomp::Line>& lines) {
  host.lose_userfaultfd();
  auto worker = host.start(lines);
  const bool ok = host.sleeps_and_wakes(worker);
  worker.channel.reset();
  return test::ended(worker) == EX_OK && ok;
}

bool says_why_it_ends(Host& host, const std::vector<seccomp::Line>& lines) {
  auto worker = host.start(lines);
  return send(worker.channel.get(), "no task", 7, MSG_NOSIGNAL) == 7 && test::ended(worker) == EX_PROTOCOL;
}

bool all_of_jail(const std::vector<seccomp::Line>& lines) {
  Host host;
  return serves(host, lines) && says_why_it_ends(host, lines) && host.says_why_the_jailer_fails(lines) && wakes_whole(host, lines);
}

MVM_ABLATION(JailGrant, "jail", all_of_jail)

}  // namespace
}  // namespace mvm::jail
