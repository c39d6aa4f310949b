// What a kernel can say to the worker's socket at a bad moment, said by this program in the kernel's place: recvmsg(2) and sendto(2)
// are its own here, and what is not in the script is the real one's.
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <functional>

#include "tests/net/net_fixture.h"

namespace {

using Received = std::function<ssize_t(msghdr*)>;
std::deque<Received> to_receive;
std::deque<std::function<ssize_t(size_t)>> to_send;

template <class Script>
auto next_of(Script& script) {
  auto step = std::move(script.front());
  script.pop_front();
  return step;
}

}  // namespace

extern "C" ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (!to_receive.empty()) return next_of(to_receive)(message);
  return syscall(SYS_recvmsg, fd, message, flags);
}

extern "C" ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* to, socklen_t length) {
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

}  // namespace
}  // namespace mvm::net
