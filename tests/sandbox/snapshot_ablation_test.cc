// Each grant of the snapshot worker's taken away in turn. Needs root.
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/derived.h"
#include "broker/snapshot/hand_over.h"
#include "broker/snapshot/worker.h"
#include "policy-lang/print.h"
#include "tests/base/socket_pair.h"
#include "tests/sandbox/ablation.h"
#include "tests/sandbox/ask.h"

namespace mvm {
namespace {

using wire::Op;
namespace fs = std::filesystem;

constexpr std::uint32_t kMib = 96;  // of noise: more than the disk is begun with at once
Subject instance(std::uint32_t id) { return instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{id}); }

// A guest's memory, that few pages of are there.
std::uint64_t address_of_pages() {
  static const auto kPages = [] {
    void* const at = mmap(nullptr, std::size_t{kMib} << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    std::memset(static_cast<char*>(at) + (1 << 20), 'x', 1 << 20);
    return reinterpret_cast<std::uint64_t>(at);
  }();
  return kPages;
}

class SnapshotHost {
 public:
  SnapshotHost() {
    char state[] = "/var/tmp/mvm-snapshot-test-XXXXXX", memory[] = "/dev/shm/mvm-snapshot-test-XXXXXX";
    state_ = mkdtemp(state);
    memory_ = mkdtemp(memory);
    fs::create_directory(state_ + "/snapshots");
    if (chown((state_ + "/snapshots").c_str(), test::kNobodyElse, test::kNobodyElse) != 0) std::abort();
    for (const std::string& path : {state_, memory_}) fs::permissions(path, fs::perms(0711));
    fs::permissions(state_ + "/snapshots", fs::perms(0700));
    test::socket_pair(SOCK_SEQPACKET, link_, theirs_);
  }
  ~SnapshotHost() {
    fs::remove_all(state_);
    fs::remove_all(memory_);
  }
  [[nodiscard]] sandbox::Worker start(const std::vector<seccomp::Line>& lines) const {
    static const test::Runnable executable(MVM_SNAPSHOT_UNDER_TEST);
    return test::start_with(executable, "snapshot", lines, sandbox::Channel::kSeqpacket, {theirs_.get(), theirs_.get()}, {state_, memory_});
  }
  // As the jail worker leaves it, but for whose it is.
  void dump(std::uint32_t id) const {
    const std::string directory = memory_ + "/" + memory_name(instance(id));
    fs::create_directory(directory);
    fs::permissions(directory, fs::perms(0711));
    std::ofstream memory(directory + "/memory", std::ios::binary);
    std::string block(1 << 20, '\0');
    std::uint64_t word = id;
    for (std::uint32_t i = 0; i < kMib; ++i) {
      for (std::size_t at = 0; at < block.size(); at += 8) std::memcpy(&block[at], &(word = word * 6364136223846793005u + 1442695040888963407u), 8);
      memory << block;
    }
    memory.close();
    std::ofstream(directory + "/state") << "a VMM's state";
    const std::uint32_t touched[] = {7, 3};
    std::ofstream(directory + "/touched").write(reinterpret_cast<const char*>(touched), sizeof touched);
    for (const char* name : {"/memory", "/state", "/touched"}) {
      if (chown((directory + name).c_str(), test::kNobodyElse, test::kNobodyElse) != 0) std::abort();
      fs::permissions(directory + name, fs::perms(0600));
    }
  }
  // As the jail worker leaves one whose VMM is held, and gives its memory; this process's here.
  [[nodiscard]] bool hold(std::uint32_t id, const lang::Statement& statement) const {
    fs::remove(memory_of(id) + "/memory");
    return snapshot::send_held_memory(link_.get(), {.instance = instance(id), .line = lang::snapshot_digest(statement), .stretches = {{{address_of_pages(), std::uint64_t{kMib} << 20}, {}}},
                                                    .memory = Fd(open("/proc/self/mem", O_RDONLY | O_CLOEXEC)), .pagemap = Fd(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC))})
        .has_value();
  }
  [[nodiscard]] bool freed(std::uint32_t id) const {
    struct stat info {};
    return stat((memory_ + "/" + memory_name(instance(id)) + "/memory").c_str(), &info) == 0 && info.st_blocks == 0;
  }
  [[nodiscard]] Result<snapshot::HandOver> handed_over() const { return snapshot::receive_hand_over(link_.get()); }
  [[nodiscard]] std::string memory_of(std::uint32_t id) const { return memory_ + "/" + memory_name(instance(id)); }
  [[nodiscard]] std::string pool() const { return state_ + "/snapshots/acme/workers"; }

 private:
  std::string state_, memory_;
  Fd link_, theirs_;
};

lang::Statement line(std::uint32_t id) {
  lang::Statement made;
  made.word = lang::Word::kSnapshot;
  made.subject = instance(id);
  made.key_tenant = *Name::from("acme");
  made.numbers = {lang::kFull, 0, 1, 1, 5, 1};
  return made;
}
wire::Task task(Op op, std::uint32_t id) {
  wire::Task made;
  made.seq = 7;
  made.op = op;
  if (op == Op::kInventory) return made;
  made.statement = line(id);
  made.statement.sign = op == Op::kUnmake ? lang::Sign::kRemove : lang::Sign::kAdd;
  made.place.drives = wire::kDataDrive | wire::kSecretsDrive;
  made.asleep.mem = kMib;
  return made;
}
wire::Task wake(Op op, std::uint32_t id, const Digest& file) {
  wire::Task made = task(op, id);
  made.statement = {};
  made.statement.sign = lang::Sign::kAdd;
  made.statement.word = lang::Word::kJail;
  made.statement.subject = instance(id);
  made.statement.numbers = {1, 1, kMib, lang::kBootSnapshot, lang::kRunning, lang::kParked};
  made.statement.digests[1] = lang::snapshot_digest(line(id));
  made.asleep = {{}, {}, file, {}, 0, 1};
  return made;
}

bool done(const sandbox::Worker& worker, const wire::Task& what) {
  const auto answer = test::asked(worker, what);
  return answer && answer->ok;
}

// Sealed, handed over, spent, removed.
bool lives(const SnapshotHost& host, const sandbox::Worker& worker) {
  host.dump(1);
  // One that was begun and broken off is in the way of none.
  fs::create_directories(host.pool());
  for (const char* each : {"", "/.."}) {
    if (chown((host.pool() + each).c_str(), test::kNobodyElse, test::kNobodyElse) != 0) std::abort();
    fs::permissions(host.pool() + each, fs::perms(0700));
  }
  std::ofstream(host.pool() + "/i-00000001.new") << std::string(1000, 'x');
  if (chown((host.pool() + "/i-00000001.new").c_str(), test::kNobodyElse, test::kNobodyElse) != 0) std::abort();
  fs::permissions(host.pool() + "/i-00000001.new", fs::perms(0600));
  const auto sealed = test::asked(worker, task(Op::kMake, 1));
  if (!sealed || !sealed->ok || !sealed->digest || !host.freed(1)) return false;
  wire::Task with_others = wake(Op::kHandOver, 1, *sealed->digest);
  with_others.place.drives |= wire::kConfigDrive;
  if (done(worker, with_others)) return false;
  if (!done(worker, wake(Op::kHandOver, 1, *sealed->digest))) return false;
  const auto handed = host.handed_over();
  if (!handed || handed->instance != instance(1)) return false;
  const auto found = test::asked(worker, task(Op::kInventory, 0));
  const bool there = found && found->ok && found->items.size() == 1 && found->items[0].alive;
  return there && done(worker, wake(Op::kSpend, 1, *sealed->digest)) && !done(worker, wake(Op::kHandOver, 1, *sealed->digest)) && done(worker, task(Op::kUnmake, 1)) &&
         !fs::exists(host.pool());
}

// Out of a VMM's memory.
bool lives_of_what_is_held(const SnapshotHost& host, const sandbox::Worker& worker) {
  host.dump(1);
  const wire::Task make = task(Op::kMake, 1);
  if (!host.hold(1, line(7)) || done(worker, make)) return false;  // another's
  return host.hold(1, make.statement) && done(worker, make) && done(worker, task(Op::kUnmake, 1));
}

// A base is made of the first, the second sleeps on it and is handed over with it; nothing else is taken for the base, and it goes.
lang::Statement base_line() {
  lang::Statement base;
  base.word = lang::Word::kBase;
  base.subject = pool_subject(instance(1).tenant, instance(1).pool);
  base.key_tenant = *Name::from("acme");
  base.numbers = {1, 1, kMib, 1};
  base.digests[0] = lang::snapshot_digest(line(1));
  return base;
}
wire::Task base_task(Op op, const Digest& copied) {
  wire::Task made = task(op, 1);
  made.statement = base_line();
  made.statement.sign = op == Op::kUnmake ? lang::Sign::kRemove : lang::Sign::kAdd;
  made.asleep = {{}, {}, copied, {}, 0, 0, 1};
  return made;
}
wire::Task on_base(wire::Task made, const Digest& base) {
  made.asleep.base = base;
  if (made.statement.word == lang::Word::kJail) {
    lang::Statement diff = line(2);
    diff.numbers[0] = lang::kDiff, diff.numbers[1] = 1;
    diff.digests[0] = lang::snapshot_digest(base_line());
    made.statement.digests[1] = lang::snapshot_digest(diff);
    return made;
  }
  made.statement.numbers[0] = lang::kDiff, made.statement.numbers[1] = 1;
  made.statement.digests[0] = lang::snapshot_digest(base_line());
  return made;
}

bool lives_on_a_base(const SnapshotHost& host, const sandbox::Worker& worker) {
  host.dump(1);
  const auto full = test::asked(worker, task(Op::kMake, 1));
  if (!full || !full->ok) return false;
  wire::Task of_other = base_task(Op::kMake, *full->digest);
  of_other.statement.digests[0] = lang::snapshot_digest(line(7));
  if (done(worker, of_other) || done(worker, base_task(Op::kMake, sha256("an older file")))) return false;
  wire::Task of_other_size = base_task(Op::kMake, *full->digest);
  of_other_size.statement.numbers[2] = kMib + 1;
  if (done(worker, of_other_size)) return false;
  wire::Task of_other_image = base_task(Op::kMake, *full->digest);
  of_other_image.statement.digests[1] = sha256("another image");
  if (done(worker, of_other_image) || fs::exists(host.pool() + "/base.new")) return false;
  const auto base = test::asked(worker, base_task(Op::kMake, *full->digest));
  if (!base || !base->ok || !base->digest) return false;
  host.dump(1);  // again, as the second's, but for a block
  fs::remove_all(host.memory_of(2));
  fs::rename(host.memory_of(1), host.memory_of(2));
  if (done(worker, on_base(task(Op::kMake, 2), sha256("an older base")))) return false;
  wire::Task of_other_line = on_base(task(Op::kMake, 2), *base->digest);
  of_other_line.statement.digests[0] = sha256("another base's line");
  if (done(worker, of_other_line)) return false;
  const auto diff = test::asked(worker, on_base(task(Op::kMake, 2), *base->digest));
  if (!diff || !diff->ok || fs::file_size(host.pool() + "/i-00000002.snap") > 1 << 16) return false;
  if (done(worker, on_base(wake(Op::kHandOver, 2, *diff->digest), sha256("an older base")))) return false;
  if (!done(worker, on_base(wake(Op::kHandOver, 2, *diff->digest), *base->digest))) return false;
  const auto handed = host.handed_over();
  if (!handed || !handed->base.valid()) return false;
  const auto found = test::asked(worker, task(Op::kInventory, 0));
  const auto is_base = [](const wire::Item& item) { return item.word == lang::Word::kBase && item.alive; };
  if (!found || found->items.size() != 3 || std::ranges::count_if(found->items, is_base) != 1) return false;
  return done(worker, task(Op::kUnmake, 1)) && done(worker, task(Op::kUnmake, 2)) && done(worker, base_task(Op::kUnmake, {})) && !fs::exists(host.pool());
}

bool says_why_it_ends(const SnapshotHost& host, const std::vector<seccomp::Line>& lines) {
  auto worker = host.start(lines);
  return send(worker.channel.get(), "no task", 7, MSG_NOSIGNAL) == 7 && test::ended(worker) == EX_SOFTWARE;
}

bool all_of_snapshot(const std::vector<seccomp::Line>& lines) {
  const SnapshotHost host;
  auto worker = host.start(lines);
  const bool ok = lives(host, worker) && lives_of_what_is_held(host, worker) && lives_on_a_base(host, worker);
  worker.channel.reset();
  return test::ended(worker) == EX_OK && ok && says_why_it_ends(host, lines);
}

MVM_ABLATION(SnapshotGrant, "snapshot", all_of_snapshot)

}  // namespace
}  // namespace mvm
