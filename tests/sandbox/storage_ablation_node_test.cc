// Each grant of the storage worker's taken away in turn, in the node VM, where there is a dm-crypt for it to make and open volumes.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <algorithm>

#include "base/derived.h"
#include "schemas/worker.h"
#include "tests/base/every.h"
#include "tests/images/image_directory.h"
#include "tests/sandbox/ablation.h"
#include "tests/sandbox/ask.h"

namespace mvm {
namespace {

using wire::Op;
namespace fs = std::filesystem;

Subject instance(std::uint32_t id) { return instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{id}); }

class StorageHost {
 public:
  StorageHost() {
    char name[] = "/var/tmp/mvm-storage-test-XXXXXX";
    state_ = mkdtemp(name);
    fs::permissions(state_, fs::perms(0755));
    image_ = built_.build();
    fs::create_directory(state_ + "/images");
    if (!images::Store::open(state_)->import(built_.open_built().get())) std::abort();
    fs::permissions(state_ + "/images", fs::perms(0755));
    for (const char* each : {"/volumes", "/nodes", "/drives"}) {
      fs::create_directory(state_ + each);
      if (each == std::string("/drives") && mount("ramfs", (state_ + each).c_str(), "ramfs", 0, nullptr) != 0) std::abort();
      if (chown((state_ + each).c_str(), test::kNobodyElse, test::kNobodyElse) != 0) std::abort();
      fs::permissions(state_ + each, fs::perms(0700));
    }
  }
  ~StorageHost() {
    // Whatever a worker that was killed has left.
    if (system("for d in $(dmsetup ls | grep -Eo '^mvm-(data|image)-[^[:space:]]*'); do dmsetup remove --retry $d; done") != 0) std::abort();
    if (umount2((state_ + "/drives").c_str(), MNT_DETACH) != 0) std::abort();
    fs::remove_all(state_);
  }
  [[nodiscard]] sandbox::Worker start(const std::vector<seccomp::Line>& lines) const {
    static const test::Runnable executable(MVM_STORAGE_UNDER_TEST);
    const Fd devices(open("/dev/mapper/control", O_RDWR | O_CLOEXEC)), loops(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    return test::start_with(executable, "storage", lines, sandbox::Channel::kSeqpacket, {devices.get(), loops.get()}, {state_});
  }
  [[nodiscard]] std::string state() const { return state_; }
  [[nodiscard]] wire::Task image_task(Op op) const {
    wire::Task made;
    made.seq = 7;
    made.op = op;
    made.statement.sign = op == Op::kUnmake ? lang::Sign::kRemove : lang::Sign::kAdd;
    made.statement.word = lang::Word::kJail;
    made.statement.digests[0] = image_;
    if (op == Op::kUnmake) return made;
    made.statement.subject = instance(1);
    made.statement.numbers = {1, 2, 256, lang::kBootCold, lang::kRunning, lang::kAwake};
    made.manifest = images::read_described(built_.open_built().get())->manifest;
    return made;
  }

 private:
  test::ImageDirectory built_;
  Digest image_;
  std::string state_;
};

wire::Task task(Op op, lang::Word word, std::uint32_t id) {
  wire::Task made;
  made.seq = 7;
  made.op = op;
  if (op == Op::kInventory) return made;
  made.statement.sign = op == Op::kMake ? lang::Sign::kAdd : op == Op::kMove ? lang::Sign::kMove : lang::Sign::kRemove;
  made.statement.word = word;
  made.statement.subject = instance(id);
  if (op == Op::kMove) made.statement.numbers = {1, 2};
  if (op == Op::kMove) return made;
  if (word == lang::Word::kSecrets || word == lang::Word::kConfig) {
    if (op == Op::kMake) made.statement.numbers = {1}, made.statement.digests[0] = sha256("content");
    return made;
  }
  made.statement.key_tenant = *Name::from("acme");
  if (word == lang::Word::kVolume) made.statement.numbers = {16, 1};
  if (word == lang::Word::kLuksOpen) made.statement.numbers = {1};
  return made;
}

// Volumes that were never opened, so many that an inventory of them needs memory, and pages.
constexpr std::size_t kMany = 3000;
void leave_many(const StorageHost& host) {
  const std::string pool = host.state() + "/volumes/acme/many";
  fs::create_directory(pool);
  if (chown(pool.c_str(), test::kNobodyElse, test::kNobodyElse) != 0) std::abort();
  for (std::size_t i = 0; i < kMany; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "/i-%08zx.1.new", 0x1000 + i);
    std::ofstream(pool + name) << "half";
  }
}

std::size_t alive_of_all(const sandbox::Worker& worker) {
  std::size_t all = 0, alive = 0;
  for (auto page = test::asked(worker, task(Op::kInventory, {}, 0)); page && page->ok; page = test::received(worker)) {
    all += page->items.size();
    for (const wire::Item& item : page->items) alive += item.alive;
    if (!page->more) return all == kMany + 7 ? alive : 0;
  }
  return 0;
}

bool done(const sandbox::Worker& worker, const wire::Task& what) {
  const auto answer = test::asked(worker, what);
  return answer && answer->ok;
}

// Held by a mount's like and by another device: what it says of that has come from where it may look.
bool says_who_holds_it(const sandbox::Worker& worker) {
  const std::string name = data_device_name(instance(1));
  const std::string hold = "dmsetup create holder --table \"0 2048 linear $(dmsetup info -c --noheadings -o major,minor --separator : " + name + ") 0\"";
  if (system(hold.c_str()) != 0) return false;
  const auto answer = test::asked(worker, task(Op::kUnmake, lang::Word::kLuksOpen, 1));
  if (system("dmsetup remove --retry holder") != 0) return false;
  return answer && !answer->ok && answer->error.tried.find("(holder) stands on it") != std::string::npos;
}

bool says_where_it_is_mounted(const sandbox::Worker& worker) {
  const std::string name = data_device_name(instance(1));
  if (system(("dmsetup mknodes " + name + " && mke2fs -q /dev/mapper/" + name + " && mount /dev/mapper/" + name + " /mnt").c_str()) != 0) return false;
  const auto answer = test::asked(worker, task(Op::kUnmake, lang::Word::kLuksOpen, 1));
  if (system("umount /mnt") != 0) return false;
  return answer && !answer->ok && answer->error.tried.find("mounted at /mnt") != std::string::npos;
}

// One of a header's two copies is damaged: what is there is looked at before it is mended.
void damage_first_copy(const StorageHost& host, std::uint32_t id) {
  const Fd file(open((host.state() + "/volumes/acme/workers/" + to_string(instance(id).instance) + ".1.new").c_str(), O_WRONLY | O_CLOEXEC));
  const std::string junk(4096, 'j');
  if (pwrite(file.get(), junk.data(), junk.size(), 0) != 4096) std::abort();
}

bool serves(const StorageHost& host, const std::vector<seccomp::Line>& lines) {
  auto worker = host.start(lines);
  bool ok = done(worker, task(Op::kMake, lang::Word::kVolume, 1)) && done(worker, task(Op::kMake, lang::Word::kVolume, 2)) &&
            done(worker, task(Op::kMake, lang::Word::kVolume, 3)) && done(worker, task(Op::kMove, lang::Word::kVolume, 3));
  if (ok) damage_first_copy(host, 2);
  ok = ok && done(worker, task(Op::kMake, lang::Word::kLuksOpen, 1)) && done(worker, task(Op::kMake, lang::Word::kLuksOpen, 2));
  ok = ok && !done(worker, task(Op::kMake, lang::Word::kVolume, 1));  // it is there
  for (const lang::Word word : {lang::Word::kSecrets, lang::Word::kConfig}) ok = ok && done(worker, task(Op::kMake, word, 1));
  if (ok) leave_many(host);
  ok = ok && alive_of_all(worker) == 6;
  fs::remove_all(host.state() + "/volumes/acme/many");
  ok = ok && says_who_holds_it(worker) && says_where_it_is_mounted(worker);
  for (const std::uint32_t id : {1u, 2u}) {
    ok = ok && done(worker, task(Op::kUnmake, lang::Word::kLuksOpen, id)) && done(worker, task(Op::kUnmake, lang::Word::kVolume, id));
  }
  for (const lang::Word word : {lang::Word::kSecrets, lang::Word::kConfig}) ok = ok && done(worker, task(Op::kUnmake, word, 1));
  ok = ok && fs::is_empty(host.state() + "/drives");
  ok = ok && done(worker, task(Op::kUnmake, lang::Word::kVolume, 3)) && fs::is_empty(host.state() + "/volumes");
  ok = ok && done(worker, host.image_task(Op::kOpenImage)) && done(worker, host.image_task(Op::kOpenImage)) && done(worker, host.image_task(Op::kUnmake));
  worker.channel.reset();
  return test::ended(worker) == EX_OK && ok;
}

bool says_why_it_ends(const StorageHost& host, const std::vector<seccomp::Line>& lines) {
  auto worker = host.start(lines);
  return send(worker.channel.get(), "no task", 7, MSG_NOSIGNAL) == 7 && test::ended(worker) == EX_SOFTWARE;
}

bool all_of_storage(const std::vector<seccomp::Line>& lines) {
  const StorageHost host;
  return serves(host, lines) && says_why_it_ends(host, lines);
}

TEST(StorageGrants, AreTogetherEnough) { ASSERT_TRUE(all_of_storage(test::policy_of("storage"))); }

// One test and not one a grant: the policy is in the VM only when it runs. Each takes seconds there, so a third of them at a time.
TEST(StorageGrants, AreEachNeeded) {
  const auto lines = test::policy_of("storage");
  const auto grants = test::grants_of("storage");
  const test::Every some(3);
  for (std::size_t nth = some.first; nth <= grants.size(); nth += some.step) {
    const std::size_t taken = grants[nth - 1];
    EXPECT_FALSE(all_of_storage(test::without(lines, taken))) << "nothing needs: " << lines[taken].text();
  }
}

}  // namespace
}  // namespace mvm
