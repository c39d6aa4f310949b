// What a kernel can say to the worker's socket at a bad moment, said by this program in the kernel's place: recvmsg(2) and sendto(2)
// are its own here, and what is not in the script is the real one's.
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>

#include "broker/net/making.h"
#include "tests/net/net_fixture.h"

namespace {

using Received = std::function<ssize_t(msghdr*)>;
std::deque<Received> to_receive;
std::deque<std::function<ssize_t(size_t)>> to_send;

// The call, counted from here, that fails with ENOBUFS; below 0: none.
int receive_to_fail = -1, send_to_fail = -1;

bool fails_now(int& countdown) {
  if (countdown < 0 || countdown-- > 0) return false;
  errno = ENOBUFS;
  return true;
}

template <class Script>
auto next_of(Script& script) {
  auto step = std::move(script.front());
  script.pop_front();
  return step;
}

}  // namespace

extern "C" ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (fails_now(receive_to_fail)) return -1;
  if (!to_receive.empty()) return next_of(to_receive)(message);
  return syscall(SYS_recvmsg, fd, message, flags);
}

extern "C" ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* to, socklen_t length) {
  if (fails_now(send_to_fail)) return -1;
  if (!to_send.empty()) {
    const ssize_t said = next_of(to_send)(size);
    if (said != static_cast<ssize_t>(size)) return said;
  }
  return syscall(SYS_sendto, fd, bytes, size, flags, to, length);
}

namespace mvm::net {
namespace {

class SocketFaults : public InANamespace {
 protected:
  void TearDown() override {
    EXPECT_TRUE(to_receive.empty() && to_send.empty()) << "not all of the script was asked for";
    to_receive.clear();
    to_send.clear();
    InANamespace::TearDown();
  }

  static Received says(int error) {
    return [error](msghdr*) -> ssize_t {
      errno = error;
      return -1;
    };
  }
  // A datagram of answers, each a sequence number and an errno.
  static Received answers(std::vector<std::pair<std::uint32_t, int>> list, std::uint32_t port = 0, int flags = 0) {
    return [=](msghdr* message) -> ssize_t {
      std::vector<std::uint8_t> bytes;
      for (const auto& [seq, error] : list) {
        struct {
          nlmsghdr header;
          nlmsgerr error;
        } one{{sizeof one, NLMSG_ERROR, NLM_F_CAPPED, seq, 0}, {-error, {16, RTM_NEWLINK, 0, seq, 0}}};
        const auto* at = reinterpret_cast<const std::uint8_t*>(&one);
        bytes.insert(bytes.end(), at, at + sizeof one);
      }
      sockaddr_nl from{};
      from.nl_family = AF_NETLINK;
      from.nl_pid = port;
      std::memcpy(message->msg_name, &from, sizeof from);
      message->msg_namelen = sizeof from;
      message->msg_flags = flags;
      std::memcpy(message->msg_iov[0].iov_base, bytes.data(), bytes.size());
      return static_cast<ssize_t>(bytes.size());
    };
  }

  // Sequence numbers 1 and on: of a new socket.
  Socket fresh() {
    Result<Socket> opened = Socket::open(NETLINK_ROUTE);
    EXPECT_TRUE(opened);
    return std::move(*opened);
  }
  static Status three(Socket& socket) {
    Batch batch;
    for (const char* name : {"one", "two", "three"}) put_delete(batch, 4000, name);
    return socket.run(batch);
  }
  static bool finds_lo(Socket& socket) {
    const auto found = find_link(socket, "lo");
    return found && *found && (*found)->name == "lo";
  }
};

TEST_F(SocketFaults, ReadsAgainWhereASignalInterruptsTheReading) {
  Socket socket = fresh();
  to_receive = {says(EINTR), says(EINTR)};
  EXPECT_TRUE(finds_lo(socket));
}

TEST_F(SocketFaults, SendsAgainWhereASignalInterruptsTheSending) {
  Socket socket = fresh();
  const auto interrupted = [](size_t) -> ssize_t {
    errno = EINTR;
    return -1;
  };
  to_send = {interrupted, interrupted};
  EXPECT_TRUE(finds_lo(socket));
}

TEST_F(SocketFaults, SaysWhatTheSendingCameTo) {
  Socket socket = fresh();
  to_send = {[](size_t) -> ssize_t {
    errno = ENOBUFS;
    return -1;
  }};
  EXPECT_EQ(ENOBUFS, three(socket).error().sys_errno);
  to_send = {[](size_t size) { return static_cast<ssize_t>(size) - 1; }};
  EXPECT_EQ(Errc::kSystem, three(socket).error().code) << "a part of a batch is no batch";
  EXPECT_TRUE(finds_lo(socket));
}

TEST_F(SocketFaults, PassesOverAnswersToWhatWasGivenUpAndToWhatWasNeverAsked) {
  Socket socket = fresh();
  ASSERT_TRUE(finds_lo(socket));  // sequence number 1
  to_receive = {answers({{1, EPERM}}), answers({{77, EPERM}, {~0U, EPERM}})};
  EXPECT_TRUE(finds_lo(socket));
}

TEST_F(SocketFaults, GivesTheRefusalInTheMiddleAndItsMessage) {
  Socket socket = fresh();
  to_receive = {answers({{1, 0}}), answers({{2, EBUSY}, {3, 0}}), says(EAGAIN)};
  const Status refused = three(socket);
  ASSERT_FALSE(refused);
  EXPECT_EQ(Errc::kBusy, refused.error().code);
  EXPECT_EQ("two", refused.error().on);
}

TEST_F(SocketFaults, GivesTheFirstOfTwoRefusalsInWhateverOrderTheyCome) {
  Socket socket = fresh();
  to_receive = {answers({{3, EPERM}, {1, EBUSY}, {2, 0}}), says(EAGAIN)};
  EXPECT_EQ("one", three(socket).error().on);
}

// The kernel fell silent after two of three: what holds is not known, and a late answer is nobody's.
TEST_F(SocketFaults, TakesPartOfTheAnswersForATimeoutAndTheRestForStale) {
  Socket socket = fresh();
  to_receive = {answers({{1, 0}, {2, 0}}), says(EAGAIN), says(EAGAIN)};
  const Status silent = three(socket);
  ASSERT_FALSE(silent);
  EXPECT_EQ(Errc::kTimeout, silent.error().code);
  to_receive = {answers({{3, EPERM}})};
  EXPECT_TRUE(finds_lo(socket));
}

TEST_F(SocketFaults, GivesWhatWasSaidToEachOfABatch) {
  Socket socket = fresh();
  Batch batch;
  for (const char* name : {"one", "two", "three"}) put_delete(batch, 4000, name);
  to_receive = {answers({{3, EPERM}, {1, EBUSY}}), says(EINTR), answers({{2, 0}})};
  const auto said = socket.run_each(batch);
  ASSERT_TRUE(said && said->size() == 3);
  EXPECT_EQ(Errc::kBusy, (*said)[0].error().code);
  EXPECT_TRUE((*said)[1]);
  EXPECT_EQ("three", (*said)[2].error().on);
  to_receive = {answers({{4, 0}, {6, 0}}), says(ENOBUFS), says(EAGAIN)};
  EXPECT_EQ(ENOBUFS, socket.run_each(batch).error().sys_errno) << "what was said to the second is not known";
  EXPECT_TRUE(finds_lo(socket));
}

TEST_F(SocketFaults, SaysThatAnswersWereLostAndReadsWhatIsLeftOfThem) {
  Socket socket = fresh();
  to_receive = {answers({{1, 0}}), says(ENOBUFS), says(ENOBUFS), answers({{2, EPERM}}), says(EAGAIN)};
  const Status lost = three(socket);
  ASSERT_FALSE(lost);
  EXPECT_EQ(ENOBUFS, lost.error().sys_errno);
  EXPECT_TRUE(finds_lo(socket));
}

TEST_F(SocketFaults, RefusesADatagramThatDidNotFitAndOneThatIsNoMessage) {
  Socket socket = fresh();
  to_receive = {answers({{1, 0}}, 0, MSG_TRUNC), says(EAGAIN)};
  EXPECT_EQ(Errc::kLimit, three(socket).error().code);
  to_receive = {answers({{4, -5}}), says(EAGAIN)};
  EXPECT_EQ(Errc::kMalformed, three(socket).error().code) << "an errno below 0";
}

TEST_F(SocketFaults, PassesOverWhatIsNotTheKernels) {
  Socket socket = fresh();
  to_receive = {answers({{1, EPERM}}, 4711)};
  EXPECT_TRUE(finds_lo(socket));
}

constexpr std::uint16_t kNets[] = {3, 4};

// An answer is lost, or a batch is not taken, at each place of making two tenants and their taps together: what went together is undone and
// each is made alone, so that all are there, and nothing else.
class FaultsInMaking : public InANamespace {
 protected:
  static std::vector<wire::Task> all(wire::Op op) {
    std::vector<wire::Task> tasks;
    for (const std::uint16_t net : kNets) tasks.push_back(bridge_task(op, net));
    for (const std::uint16_t net : kNets) tasks.push_back(rule_task(op, net, lang::kEgressNat));
    for (const std::uint16_t net : kNets) tasks.push_back(tap_task(op, net, 3));
    if (op == wire::Op::kUnmake) std::ranges::reverse(tasks);
    return tasks;
  }
  // At every third place; how many places there were.
  int with_a_fault_at_each(int& countdown) {
    constexpr int kStep = 3;
    shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    const std::string before = whole_state();
    for (int place = 0; place < 1000; place += kStep) {
      countdown = place;
      for (const wire::Answer& answer : dispatch_all(kernel(), all(wire::Op::kMake))) EXPECT_TRUE(answer.ok) << place << ": " << answer.error.message();
      const bool over = countdown >= 0;
      countdown = -1;
      std::size_t alive = 0;
      for (const wire::Item& item : inventory_items()) alive += item.alive;
      EXPECT_EQ(6U, alive) << place;
      for (const wire::Answer& answer : dispatch_all(kernel(), all(wire::Op::kUnmake))) EXPECT_TRUE(answer.ok) << place;
      EXPECT_EQ(before, whole_state()) << place;
      if (over) return place;
    }
    return 1000;
  }
};

// The same asked of what makes them together, without the executors that would then make them alone: a fault leaves nothing.
template <class Checked>
std::vector<Making<Checked>> makings_of(const std::vector<wire::Task>& tasks, lang::Word word) {
  std::vector<Making<Checked>> makings;
  for (const wire::Task& task : tasks)
    if (task.statement.word == word) makings.push_back({*Checked::from(task)});
  return makings;
}

TEST_F(FaultsInMaking, LeaveNothingOfWhatWentTogether) {
  const auto with_faults = [&]<class Checked>(lang::Word word, const Checked*) {
    const std::string before = whole_state();
    for (int* countdown : {&receive_to_fail, &send_to_fail})
      for (int place = 0;; place += 2) {
        auto makings = makings_of<Checked>(all(wire::Op::kMake), word);
        *countdown = place;
        make_together(kernel(), std::span(makings));
        const bool over = *countdown >= 0;
        *countdown = -1;
        const auto made = std::ranges::count_if(makings, &Making<Checked>::made);
        if (made == 0) {
          ASSERT_FALSE(over) << place;
          ASSERT_EQ(before, whole_state()) << place;
          continue;
        }
        // A fault in reading what is left after an expected refusal (there are no tables yet) is none.
        EXPECT_EQ(2, made) << place;
        if (over && countdown == &send_to_fail) break;
        for (const wire::Task& task : all(wire::Op::kUnmake)) {
          if (task.statement.word != word) continue;
          EXPECT_TRUE(run(task).ok);
        }
        if (over) break;
      }
  };
  shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
  const CheckedBridge* bridges = nullptr;
  const CheckedTap* taps = nullptr;
  with_faults(lang::Word::kBridge, bridges);
  with_faults(lang::Word::kTap, taps);
}

TEST_F(FaultsInMaking, OfReceivingLeaveAllMade) { EXPECT_GT(with_a_fault_at_each(receive_to_fail), 30); }
TEST_F(FaultsInMaking, OfSendingLeaveAllMade) { EXPECT_GT(with_a_fault_at_each(send_to_fail), 15); }

}  // namespace
}  // namespace mvm::net
