// How the worker's sockets take what a kernel, and what others on the machine, can do to them.
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

#include "broker/net/elements.h"
#include "broker/net/ruleset.h"
#include "tests/net/net_fixture.h"

namespace mvm::net {
namespace {

using wire::Op;
using Sockets = InANamespace;

// `count` links into one batch, each to be acknowledged.
Status create_bridges(Socket& route, int count, int from = 0) {
  Batch batch;
  for (int i = from; i < from + count; ++i) put_create_bridge(batch, "b" + std::to_string(i), {2, 0, 0, 0, 1, static_cast<std::uint8_t>(i)});
  return route.run(batch);
}

TEST_F(Sockets, SayThatAnswersWereLostAndAreNotConfusedByTheRest) {
  Result<Socket> small = Socket::open(NETLINK_ROUTE, 2048);  // of the kernel's least, 2,304 bytes: two or three answers
  ASSERT_TRUE(small) << small.error().message();
  const Status lost = create_bridges(*small, 20);
  ASSERT_FALSE(lost);
  EXPECT_EQ(ENOBUFS, lost.error().sys_errno);
  const auto found = find_link(*small, "lo");
  ASSERT_TRUE(found) << found.error().message();
  EXPECT_EQ("lo", (*found)->name) << "an answer to the batch before";
}

TEST_F(Sockets, GiveTheFirstRefusalOfABatchAndReadTheOthers) {
  ASSERT_TRUE(create_bridges(kernel().route, 1, 5));
  const Status refused = create_bridges(kernel().route, 10);
  ASSERT_FALSE(refused);
  EXPECT_EQ(Errc::kExists, refused.error().code);
  EXPECT_EQ("b5", refused.error().on.substr(0, 2)) << refused.error().message();
  const auto found = find_link(kernel().route, "b9");
  ASSERT_TRUE(found);
  EXPECT_TRUE(*found) << "messages of rtnetlink stand for themselves";
}

TEST_F(Sockets, AreNotAnsweredByAnotherProcess) {
  Result<Socket> mine = Socket::open(NETLINK_ROUTE);
  ASSERT_TRUE(mine);
  const Fd forger(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  struct {
    nlmsghdr header;
    nlmsgerr error;
  } forged{{sizeof forged, NLMSG_ERROR, NLM_F_CAPPED, 0, 0}, {-EPERM, {16, RTM_GETLINK, 0, 0, 0}}};
  const std::string ports = shell("awk '$2 == 0 && $3 != 0 {print $3}' /proc/net/netlink");
  std::istringstream lines(ports);
  int reached = 0;
  for (std::uint32_t port = 0; lines >> port;) {
    sockaddr_nl to{};
    to.nl_family = AF_NETLINK;
    to.nl_pid = port;
    for (std::uint32_t seq = 1; seq < 20; ++seq) {
      forged.header.nlmsg_seq = seq;
      reached += sendto(forger.get(), &forged, sizeof forged, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) == sizeof forged;
    }
  }
  ASSERT_GE(reached, 38) << "nothing was forged: " << ports;
  for (Socket* socket : {&*mine, &kernel().route}) {
    const auto found = find_link(*socket, "lo");
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ("lo", (*found)->name);
  }
}

// A child that goes with the test.
class Child {
 public:
  explicit Child(const char* script) : pid_(fork()) {
    if (pid_ != 0) return;
    execlp("sh", "sh", "-c", script, nullptr);
    _exit(127);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

TEST_F(Sockets, DumpAgainWhereADumpWasTornByAChange) {
  shell("for i in $(seq 200); do echo link add va$i type veth peer name vb$i; done | ip -batch -");
  const Child changer("while ip link set va1 txqlen 1 && ip link add x type bridge && ip link del x; do :; done >/dev/null 2>&1");
  int torn = 0;
  for (int i = 0; i < 300; ++i) {
    const auto whole = links_of_kind(kernel().route, "veth");
    ASSERT_TRUE(whole) << whole.error().message();
    ASSERT_EQ(400U, whole->size());
    Batch batch;
    nlmsghdr* message = batch.add(RTM_GETLINK, NLM_F_DUMP, {"dump", "links"});
    message->nlmsg_len += NLMSG_ALIGN(sizeof(ifinfomsg));
    const Status once = kernel().route.run(batch);
    torn += !once && once.error().sys_errno == EINTR;
  }
  EXPECT_GT(torn, 0) << "nothing was torn, so nothing was shown";
}

void nothing(int) {}

TEST_F(Sockets, GoOnWhereASignalInterrupts) {
  struct sigaction action {};
  action.sa_handler = nothing;  // and no SA_RESTART
  ASSERT_EQ(0, sigaction(SIGALRM, &action, nullptr));
  const itimerval often{{0, 100}, {0, 100}};
  ASSERT_EQ(0, setitimer(ITIMER_REAL, &often, nullptr));
  for (int i = 0; i < 10; ++i) {
    for (const Op op : {Op::kMake, Op::kUnmake}) {
      wire::Answer answer = run(op == Op::kMake ? bridge_task(op, 3) : tap_task(op, 3, 5));
      EXPECT_TRUE(answer.ok) << answer.error.message();
      answer = run(op == Op::kMake ? tap_task(op, 3, 5) : bridge_task(op, 3));
      EXPECT_TRUE(answer.ok) << answer.error.message();
    }
  }
  const itimerval never{};
  setitimer(ITIMER_REAL, &never, nullptr);
}

TEST_F(Sockets, AreRefusedWithoutThePower) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(1000) != 0 || setuid(1000) != 0) _exit(1);
    const Status refused = create_bridges(kernel().route, 1);
    const Result<std::vector<Element>> unread = read_set(kernel().nft, kWithin);
    // A socket keeps the power of who opened it only for those who have it still.
    _exit(!refused && refused.error().sys_errno == EPERM && !unread ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(0, status);
}

// Of a whole nftables batch that is refused, the kernel answers the first message alone.
TEST_F(Sockets, TakeTheRefusalOfAWholeTransactionForAllOfIt) {
  const pid_t child = fork();
  if (child == 0) {
    if (setgid(1000) != 0 || setuid(1000) != 0) _exit(1);
    Batch batch;
    begin_transaction(batch);
    put_tables(batch);
    end_transaction(batch);
    const Status refused = kernel().nft.run(batch);
    _exit(!refused && refused.error().sys_errno == EPERM ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(0, status);
}

}  // namespace
}  // namespace mvm::net
