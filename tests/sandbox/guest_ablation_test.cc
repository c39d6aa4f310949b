// Each grant of the guest worker's taken away in turn. Needs root.
#include <fcntl.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "broker/guest/link.h"
#include "broker/guest/worker.h"
#include "guest/wire.h"
#include "tests/base/socket_pair.h"
#include "tests/sandbox/ablation.h"
#include "tests/sandbox/ask.h"

namespace mvm {
namespace {

using wire::Op;

Subject instance(std::uint32_t id) { return instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{id}); }

// The worker, the jail worker's end of its link, and the guests, which a test plays.
class GuestHost {
 public:
  explicit GuestHost(const std::vector<seccomp::Line>& lines) {
    static const test::Runnable executable(MVM_GUEST_UNDER_TEST);
    Fd theirs;
    test::socket_pair(SOCK_SEQPACKET, link_, theirs);
    worker_ = test::start_with(executable, "guest", lines, sandbox::Channel::kSeqpacket, {theirs.get()});
  }
  ~GuestHost() {
    if (worker_.pidfd.valid()) test::kill_and_wait(worker_);
  }
  // Told something; the guest's end.
  Fd tell(std::uint32_t id, std::uint64_t to) const {
    Fd guest, connection;
    test::socket_pair(SOCK_STREAM, guest, connection);
    fcntl(connection.get(), F_SETFL, O_NONBLOCK);
    if (!guest_worker::send_connected(link_.get(), {instance(id), std::move(connection)})) return Fd();
    const timeval patience{5, 0};
    setsockopt(guest.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    wire::Task task;
    task.seq = id;
    task.op = Op::kMove;
    task.statement.sign = lang::Sign::kMove;
    task.statement.word = lang::Word::kGuest;
    task.statement.subject = instance(id);
    task.statement.numbers = {to == lang::kParked ? lang::kAwake : lang::kParked, to};
    const auto packet = wire::encode(task);
    if (send(worker_.channel.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) return Fd();
    return guest;
  }
  [[nodiscard]] const sandbox::Worker& worker() const { return worker_; }
  int end() {
    worker_.channel.reset();
    const int how = test::ended(worker_);
    worker_.pidfd.reset();
    return how;
  }
  int end_by_an_error() {
    if (send(worker_.channel.get(), "no task", 7, MSG_NOSIGNAL) != 7) return -1;
    const int how = test::ended(worker_);
    worker_.pidfd.reset();
    return how;
  }

 private:
  Fd link_;
  sandbox::Worker worker_;
};

bool hears(const Fd& guest, std::size_t size) {
  std::vector<char> bytes(size);
  return recv(guest.get(), bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size);
}
bool says(const Fd& guest, const guest::FromGuest& message) {
  const guest::Packet packet = guest::encode(message);
  return send(guest.get(), packet.data(), packet.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(packet.size());
}
bool greets(const Fd& guest) { return hears(guest, 12) && send(guest.get(), "OK 1\n", 5, MSG_NOSIGNAL) == 5; }
bool done(const GuestHost& host) {
  const auto answer = test::received(host.worker(), 5'000);
  return answer && answer->ok;
}

bool parks(const GuestHost& host) {
  const Fd guest = host.tell(1, lang::kParked);
  return greets(guest) && hears(guest, guest::kMessage) && says(guest, {1, guest::Parked{guest::Outcome::kDone}}) && done(host);
}
bool goes_on(const GuestHost& host) {
  const Fd guest = host.tell(2, lang::kAwake);
  return greets(guest) && hears(guest, guest::kMessage) && says(guest, {1, guest::Awake{guest::Outcome::kDone}}) && hears(guest, guest::kMessage) &&
         says(guest, {2, guest::Heartbeat{guest::State::kReady, 1}}) && done(host);
}
// As many at once as make its memory grow, all of them closed when all is said: there are no descriptors for as many again.
bool many(const GuestHost& host) {
  for (int round = 0; round < 8; ++round) {
    std::vector<Fd> guests;
    for (std::uint32_t id = 1; id <= 60; ++id) guests.push_back(host.tell(id, lang::kParked));
    for (const Fd& each : guests) {
      if (!greets(each) || !hears(each, guest::kMessage)) return false;
    }
    guests.clear();
    for (int i = 0; i < 60; ++i) {
      if (!test::received(host.worker(), 5'000)) return false;
    }
  }
  return true;
}
bool tells_its_inventory(const GuestHost& host) {
  wire::Task task;
  task.seq = 9;
  task.op = Op::kInventory;
  const auto answer = test::asked(host.worker(), task, 5'000);
  return answer && answer->ok && answer->items.empty();
}

bool all_of_guest(const std::vector<seccomp::Line>& lines) {
  GuestHost host(lines);
  if (!tells_its_inventory(host) || !parks(host) || !goes_on(host) || !many(host) || host.end() != EX_OK) return false;
  GuestHost another(lines);
  return another.end_by_an_error() == EX_SOFTWARE;
}

MVM_ABLATION(GuestGrant, "guest", all_of_guest)

}  // namespace
}  // namespace mvm
