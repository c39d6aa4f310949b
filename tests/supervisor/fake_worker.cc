// A double of mvm-net, mvm-storage, mvm-snapshot, mvm-jail and mvm-guest for tests of the supervisor, never installed:
// fake_worker net|storage|snapshot|jail|guest DIRECTORY.
// Its kernel is a directory that outlives it, one file a thing: `bridge.3`, `rule.3`, `tap.3.5`, `cgroup.acme.p.i-...`,
// `jail.acme.p.i-...` (whose content is its state), `snapshot.acme.p.i-...` (whose content is the digest of its file, or `spent`), and while one is
// made `dumped.acme.p.i-...`, while one is woken `handed.acme.p.i-...` and `loaded.acme.p.i-...`, and when a guest is to be
// spoken to `met.acme.p.i-...`; what one was told last, if ever, is in `told.acme.p.i-...`. It refuses what a real kernel could not do, and notes it in `violations`:
// a plan that was verified must never ask for that. Tests steer it by files: `fail.THING` makes each make and move of it
// fail, `stuck.THING` its removal, `slow` holds every task up by so many ms, `end.THING` ends a microVM by itself, `die.THING`
// kills the worker when it is asked for it, `mute.THING` keeps it silent, `part.THING` says that a part of it is missing: making
// it again mends that. An image that is open is `image.HEX`, and `damaged.image.HEX` says what the kernel would of it.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

#include "schemas/worker.h"

namespace mvm {
namespace {

std::string directory;
lang::Worker self;

std::string path(const std::string& name) { return directory + "/" + name; }
bool exists(const std::string& name) { return access(path(name).c_str(), F_OK) == 0; }
std::string content(const std::string& name) {
  std::ifstream file(path(name));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}
void write_file(const std::string& name, const std::string& text) { std::ofstream(path(name)) << text; }

std::vector<std::string> names() {
  std::vector<std::string> all;
  DIR* entries = opendir(directory.c_str());
  while (const dirent* entry = readdir(entries)) all.emplace_back(entry->d_name);
  closedir(entries);
  std::ranges::sort(all);
  return all;
}

std::string dotted(const Subject& subject) {
  std::string text = to_string(subject);
  std::ranges::replace(text, '/', '.');
  return text;
}

std::string thing(const wire::Task& task) {
  const std::string word(lang::row(task.statement.word).name);
  if (self != lang::Worker::kNet) return word + "." + dotted(task.statement.subject);
  const std::string net = word + "." + std::to_string(task.place.net);
  return task.statement.word == lang::Word::kTap ? net + "." + std::to_string(task.place.slot) : net;
}

std::string image_of(const wire::Task& task) { return "image." + to_hex(lang::jail_view(task.statement).image.bytes); }

Error violation(const std::string& what) {
  std::ofstream(path("violations"), std::ios::app) << what << "\n";
  return {Errc::kDenied, 0, what, "fake kernel"};
}

bool any_with(const std::string& prefix) {
  const auto all = names();
  return std::ranges::any_of(all, [&](const std::string& name) { return name.starts_with(prefix); });
}

Status make(const wire::Task& task) {
  const std::string name = thing(task), net = std::to_string(task.place.net), subject = dotted(task.statement.subject);
  if (self == lang::Worker::kNet && exists(name) && unlink(path("part." + name).c_str()) == 0) return {};
  if (exists(name)) return forward(violation("make what is there: " + name));
  if (task.statement.word == lang::Word::kTap && !exists("bridge." + net)) return forward(violation("a tap without a bridge: " + name));
  if (task.statement.word == lang::Word::kRule && !exists("bridge." + net)) return forward(violation("a rule without a bridge: " + name));
  if (task.statement.word == lang::Word::kJail) {
    if (!exists(image_of(task))) return forward(violation("a jail whose image is not open: " + name));
    if (!exists("cgroup." + subject)) return forward(violation("a jail without a cgroup: " + name));
    if (!exists("tap." + net + "." + std::to_string(task.place.slot))) return forward(violation("a jail without a tap: " + name));
    if (task.place.uid < 65536) return forward(violation("a jail of a system's uid: " + name));
    const bool wants_data = (task.place.drives & wire::kDataDrive) != 0;
    if (wants_data != exists("volume." + subject)) return forward(violation("a jail with other drives than there are: " + name));
    if (((task.place.drives & wire::kSecretsDrive) != 0) != exists("secrets." + subject)) return forward(violation("a jail with other secrets than there are: " + name));
    if (((task.place.drives & wire::kConfigDrive) != 0) != exists("config." + subject)) return forward(violation("a jail with another config than there is: " + name));
    if (wants_data && !exists("luksOpen." + subject)) return forward(violation("a jail whose volume is not open: " + name));
  }
  if (task.statement.word == lang::Word::kLuksOpen) {
    if (!exists("volume." + subject)) return forward(violation("open a volume that is not there: " + name));
    write_file("volume." + subject, "opened");
  }
  if (task.statement.word == lang::Word::kSnapshot) {
    if (!exists("dumped." + subject)) return forward(violation("seal what was not written: " + name));
    write_file(name, to_hex(sha256(name).bytes));
    return {};
  }
  if (task.statement.word == lang::Word::kBase) {
    const std::string source = "snapshot." + subject + "." + to_string(InstanceId{task.asleep.source});
    if (content(source) != to_hex(task.asleep.file.bytes)) return forward(violation("make a base of what is spent, or another: " + name));
    write_file(name, to_hex(sha256(name).bytes));
    return {};
  }
  if (task.statement.word == lang::Word::kJail && lang::jail_view(task.statement).boot == lang::kBootSnapshot) {
    if (unlink(path("handed." + subject).c_str()) != 0) return forward(violation("wake without what was handed over: " + name));
    write_file("loaded." + subject, "");
  }
  write_file(name, task.statement.word == lang::Word::kJail ? std::to_string(lang::jail_view(task.statement).state) : "");
  return {};
}

Status unmake(const wire::Task& task) {
  const std::string name = thing(task), net = std::to_string(task.place.net);
  if (exists("stuck." + name)) return fail(Errc::kBusy, "remove", name);
  if (task.statement.word == lang::Word::kBridge && any_with("tap." + net + ".")) return forward(violation("a bridge with taps: " + name));
  if (task.statement.word == lang::Word::kCgroup && exists("jail." + dotted(task.statement.subject))) {
    return forward(violation("a cgroup with a jail: " + name));
  }
  if (task.statement.word == lang::Word::kVolume && exists("luksOpen." + dotted(task.statement.subject))) {
    return forward(violation("destroy a volume that is open: " + name));
  }
  if (task.statement.word == lang::Word::kLuksOpen && exists("jail." + dotted(task.statement.subject))) {
    return forward(violation("close a volume that a jail has: " + name));
  }
  unlink(path(name).c_str());
  return {};
}

// What was said is said, though the guest may not do so: `fail.guest...`.
Status tell(const wire::Task& task) {
  const std::string subject = dotted(task.statement.subject);
  if (unlink(path("met." + subject).c_str()) != 0) return forward(violation("speak to a guest without a connection: " + subject));
  if (content("jail." + subject) != "0") return forward(violation("speak to a guest that does not run: " + subject));
  if (task.statement.numbers[1] == lang::kAwake && exists("inflated." + subject)) return forward(violation("let a guest go on without its memory: " + subject));
  write_file("told." + subject, std::to_string(task.statement.numbers[1]));
  return exists("fail." + thing(task)) ? Status(fail(Errc::kDenied, "do as told", subject)) : Status{};
}

Status move(const wire::Task& task) {
  const std::string name = thing(task);
  if (!exists(name) || content(name) != std::to_string(task.statement.numbers[0])) return forward(violation("move what is not so: " + name));
  write_file(name, std::to_string(task.statement.numbers[1]));
  return {};
}

const char* name_of(wire::Op op) {
  switch (op) {
    case wire::Op::kOpenImage: return "open";
    case wire::Op::kDump: return "dump";
    case wire::Op::kClear: return "clear";
    case wire::Op::kHandOver: return "hand-over";
    case wire::Op::kSpend: return "spend";
    case wire::Op::kConnect: return "connect";
    case wire::Op::kAsk: return "ask";
    case wire::Op::kInflate: return "inflate";
    case wire::Op::kDeflate: return "deflate";
    default: return "release";
  }
}

// The steps of sleep and wake that are not a worker's own word: their order is what a plan's statements cannot break.
Status step(const wire::Task& task) {
  const std::string subject = dotted(task.statement.subject), dumped = "dumped." + subject, handed = "handed." + subject, loaded = "loaded." + subject;
  const std::string op = name_of(task.op);
  if (exists("die-at-" + op)) _exit(9);
  if (exists("fail-at-" + op)) return fail(Errc::kSystem, op, subject);
  switch (task.op) {
    case wire::Op::kOpenImage:
      if (self != lang::Worker::kStorage || !wire::manifest_of(task)) return forward(violation("open an image without its manifest: " + subject));
      write_file(image_of(task), "");
      return {};
    case wire::Op::kDump:
      if (content("jail." + subject) != "1") return forward(violation("write the memory of what is not warm: " + subject));
      write_file(dumped, "");
      return {};
    case wire::Op::kClear: unlink(path(dumped).c_str());
      return {};
    case wire::Op::kConnect:
      if (content("jail." + subject) != "0") return forward(violation("connect to what does not run: " + subject));
      write_file("met." + subject, "");
      return {};
    case wire::Op::kAsk:
      if (unlink(path("met." + subject).c_str()) != 0) return forward(violation("ask a guest without a connection: " + subject));
      return {};
    case wire::Op::kInflate:
      if (content("told." + subject) != std::to_string(lang::kParked)) return forward(violation("blow up the balloon of a guest that has not parked: " + subject));
      write_file("inflated." + subject, "");
      return {};
    case wire::Op::kDeflate: unlink(path("inflated." + subject).c_str());
      return {};
    case wire::Op::kHandOver:
      if (content("snapshot." + subject) != to_hex(task.asleep.file.bytes)) return forward(violation("hand over what is spent, or another: " + subject));
      if (task.asleep.key_version == 0) return forward(violation("hand over without a key: " + subject));
      write_file(handed, "");
      return {};
    case wire::Op::kSpend:
      if (!exists(loaded)) return forward(violation("spend what is not loaded: " + subject));
      write_file("snapshot." + subject, "spent");
      return {};
    default:
      if (content("snapshot." + subject) != "spent") return forward(violation("let run what may be woken again: " + subject));
      unlink(path(loaded).c_str());
      return {};
  }
}

Status close_image(const wire::Task& task) {
  const std::string name = image_of(task);
  if (exists("stuck." + name)) return fail(Errc::kBusy, "close", name);
  if (any_with("jail.")) return forward(violation("close an image that a jail has: " + name));  // there is one image in all tests here
  unlink(path(name).c_str());
  return {};
}

Status change(const wire::Task& task) {
  if (task.op > wire::Op::kOffer) return step(task);
  if (self == lang::Worker::kStorage && task.op == wire::Op::kUnmake && task.statement.word == lang::Word::kJail) return close_image(task);
  if (lang::row(task.statement.word).worker != self) return forward(violation("a task of another worker"));
  const std::string name = thing(task);
  if (exists("die." + name)) _exit(9);
  if (self == lang::Worker::kGuest) return tell(task);
  if (task.op != wire::Op::kUnmake && exists("fail." + name)) return fail(Errc::kSystem, "do as told", name);
  if (task.op == wire::Op::kMake) return make(task);
  return task.op == wire::Op::kUnmake ? unmake(task) : move(task);
}

// "tap.3.5" and its like, back to what they say.
std::optional<wire::Item> item_of(const std::string& name) {
  std::vector<std::string> parts;
  std::stringstream text(name);
  for (std::string part; std::getline(text, part, '.');) parts.push_back(part);
  if (parts.size() < 2) return std::nullopt;
  if (self == lang::Worker::kStorage && parts[0] == "image") {
    return wire::Item{.word = lang::Word::kJail, .subject = {}, .alive = true, .state = exists("damaged." + name), .image = Digest{*hex32(parts[1])}};
  }
  const lang::Row* row = lang::find_row(parts[0]);
  if (row == nullptr || row->worker != self) return std::nullopt;
  wire::Item item;
  item.word = row->word;
  item.alive = !exists("part." + name);
  if (self == lang::Worker::kNet) {
    item.net = static_cast<std::uint16_t>(std::atoi(parts[1].c_str()));
    if (parts.size() == 3) item.slot = static_cast<std::uint32_t>(std::atoi(parts[2].c_str()));
    return item;
  }
  if (item.word == lang::Word::kBase && parts.size() == 3) {
    item.alive = content(name) != "spent";
    item.subject = pool_subject(*Name::from(parts[1]), *Name::from(parts[2]));
    return item;
  }
  if (parts.size() != 4) return std::nullopt;
  if (item.word == lang::Word::kSnapshot) item.alive = content(name) != "spent";
  if (item.word == lang::Word::kVolume) item.alive = content(name) == "opened";
  item.subject = instance_subject(*Name::from(parts[1]), *Name::from(parts[2]), *InstanceId::from(parts[3]));
  if (item.word == lang::Word::kJail) item.state = content(name) == "1" ? lang::kWarm : lang::kRunning;
  return item;
}

void send_answer(const wire::Answer& answer) {
  const auto bytes = wire::encode(answer);
  if (send(wire::kChannelFd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) _exit(0);
}

void answer_inventory(std::uint64_t seq) {
  std::vector<wire::Item> items;
  for (const std::string& name : names()) {
    if (const auto item = item_of(name)) items.push_back(*item);
  }
  wire::Answer answer;
  answer.seq = seq;
  answer.ok = true;
  for (const wire::Item& item : items) {
    if (answer.items.size() == wire::kMaxItems) {
      answer.more = true;
      send_answer(answer);
      answer.items.clear();
    }
    answer.items.push_back(item);
  }
  answer.more = false;
  send_answer(answer);
}

void end_by_themselves() {
  for (const std::string& name : names()) {
    if (!name.starts_with("end.jail.")) continue;
    unlink(path(name).c_str());
    const auto item = item_of(name.substr(4));
    unlink(path(name.substr(4)).c_str());
    wire::Answer event;
    event.ok = true;
    event.ended = item->subject;
    send_answer(event);
  }
}

// CPU time and memory of each cgroup, 100 frames and its slot of each tap.
void answer_reading(std::uint64_t seq) {
  std::vector<wire::Reading> readings;
  for (const std::string& name : names()) {
    const auto item = item_of(name);
    if (!item) continue;
    if (item->word == lang::Word::kCgroup) readings.push_back({.instance = item->subject, .cpu = 1000, .memory = 4096});
    if (item->word == lang::Word::kTap) readings.push_back({.net = item->net, .slot = item->slot, .frames = wire::Frames{100 + item->slot, 7}});
  }
  for (const wire::Answer& page : wire::pages(seq, Result<std::vector<wire::Reading>>(readings))) send_answer(page);
}

void answer_task(const wire::Task& task) {
  if (task.op == wire::Op::kInventory) return answer_inventory(task.seq);
  if (task.op == wire::Op::kRead) {
    if (exists("slow")) usleep(static_cast<useconds_t>(std::atoi(content("slow").c_str())) * 1000);
    return answer_reading(task.seq);
  }
  if (exists("mute." + thing(task))) return;
  if (exists("slow")) usleep(static_cast<useconds_t>(std::atoi(content("slow").c_str())) * 1000);
  const auto done = change(task);
  wire::Answer answer;
  answer.seq = task.seq;
  answer.ok = done.has_value();
  if (!done) answer.error = done.error();
  if (done && task.op == wire::Op::kAsk) answer.readings = {{.instance = task.statement.subject, .guest = wire::GuestSays::kIdle, .since = 3}};
  if (done && task.op == wire::Op::kDump) answer.digest = sha256("1.16.1");
  if (done && task.op == wire::Op::kMake && lang::row(task.statement.word).worker == lang::Worker::kSnapshot) answer.digest = sha256(thing(task));
  send_answer(answer);
}

}  // namespace
}  // namespace mvm

int main(int argc, char** argv) {
  using namespace mvm;
  if (argc != 3) return 64;
  const std::string name = argv[1];
  self = name == "net" ? lang::Worker::kNet : name == "storage" ? lang::Worker::kStorage : name == "snapshot" ? lang::Worker::kSnapshot : name == "guest" ? lang::Worker::kGuest : lang::Worker::kJail;
  directory = argv[2];
  std::vector<std::uint8_t> buffer(wire::kMaxPacket);
  while (true) {
    pollfd waited{wire::kChannelFd, POLLIN, 0};
    poll(&waited, 1, 20);
    if (self == lang::Worker::kJail) end_by_themselves();
    if (waited.revents == 0) continue;
    const ssize_t got = recv(wire::kChannelFd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return 0;
    const auto task = wire::decode_task(std::span(buffer).first(static_cast<std::size_t>(got)));
    if (!task) return 65;
    answer_task(*task);
  }
}
