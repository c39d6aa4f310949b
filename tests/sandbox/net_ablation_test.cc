// Needs root; each scenario runs in a network namespace of its own.
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <set>

#include "broker/net/reply.h"
#include "schemas/worker.h"
#include "tests/net/net_fixture.h"
#include "tests/sandbox/ablation.h"
#include "tests/sandbox/ask.h"

namespace mvm {
namespace {

using wire::Op;

constexpr int kPatienceMs = 10'000;

bool done(const sandbox::Worker& worker, const wire::Task& task) {
  const auto answer = test::asked(worker, task, kPatienceMs);
  return answer && answer->ok;
}

sandbox::Worker start(const std::vector<seccomp::Line>& lines) {
  static const test::Runnable executable(MVM_NET_UNDER_TEST);
  return test::start_with(executable, "net", lines, sandbox::Channel::kSeqpacket);
}

// Everything there is, made and unmade.
bool makes_and_unmakes(const sandbox::Worker& worker) {
  bool ok = done(worker, net::bridge_task(Op::kMake, 3)) && done(worker, net::rule_task(Op::kMake, 3, lang::kEgressListed));
  for (std::uint32_t slot = 3; slot < 8; ++slot) ok = ok && done(worker, net::tap_task(Op::kMake, 3, slot));
  const auto items = ok ? test::asked(worker, net::inventory_task(), kPatienceMs) : std::nullopt;
  ok = items && items->ok && items->items.size() == 7;
  for (std::uint32_t slot = 3; slot < 8; ++slot) ok = ok && done(worker, net::tap_task(Op::kUnmake, 3, slot));
  return ok && done(worker, net::rule_task(Op::kUnmake, 3, lang::kEgressListed)) && done(worker, net::bridge_task(Op::kUnmake, 3));
}

bool serves(const std::vector<seccomp::Line>& lines) {
  auto worker = start(lines);
  const bool ok = makes_and_unmakes(worker);
  worker.channel.reset();
  return test::ended(worker) == 0 && ok;
}

// On a pipe, as it has the journal's socket: where this program's stderr is a file, `limit fsize 0` would end the worker instead.
bool says_why_it_ends(const std::vector<seccomp::Line>& lines) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const Fd own(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10));
  dup2(writing.get(), STDERR_FILENO);
  auto worker = start(lines);
  dup2(own.get(), STDERR_FILENO);
  writing.reset();
  const bool ends_so = send(worker.channel.get(), "no task", 7, MSG_NOSIGNAL) == 7 && test::ended(worker) == 70;
  std::array<char, 256> said{};
  return read(reading.get(), said.data(), said.size()) > 0 && ends_so && std::string_view(said.data(), said.size()).starts_with("mvm-net: ");
}

// The device with the mode that systemd's rules give it, whatever this machine's has.
void make_a_network_and_its_device() {
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) std::abort();
  net::shell("mount --make-rprivate / && mount -t tmpfs -o mode=755 none /dev/net && mknod -m 666 /dev/net/tun c 10 200");
  net::shell("ip link set lo up && sysctl -qw net.ipv4.ip_forward=1");
}

bool all_of_net(const std::vector<seccomp::Line>& lines) {
  make_a_network_and_its_device();
  return serves(lines) && says_why_it_ends(lines);
}

MVM_ABLATION(NetGrant, "net", all_of_net)

// Which taps there were when the first of them came up: those that are made together are all there before.
std::size_t taps_before_the_first_is_up(const Fd& links) {
  std::set<std::string> seen;
  std::vector<std::uint8_t> buffer(1 << 16);
  for (ssize_t got = 0; (got = recv(links.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0;) {
    auto left = static_cast<unsigned>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_type != RTM_NEWLINK) continue;
      const auto link = net::decode_link({static_cast<const std::uint8_t*>(NLMSG_DATA(header)), NLMSG_PAYLOAD(header, 0)});
      if (!link || !link->name.starts_with("tn")) continue;
      seen.insert(link->name);
      if ((link->flags & IFF_UP) != 0) return seen.size();
    }
  }
  return 0;
}

// As many taps as the worker takes tasks off its channel at most, all there before it looks.
std::size_t made_together(const std::vector<seccomp::Line>& lines) {
  constexpr std::uint32_t kTaps = 256;
  make_a_network_and_its_device();
  const auto worker = start(lines);
  const int size = 4 << 20;
  EXPECT_EQ(setsockopt(worker.channel.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size), 0);
  for (const std::uint16_t net : {std::uint16_t{3}, std::uint16_t{4}}) EXPECT_TRUE(done(worker, net::bridge_task(Op::kMake, net)));
  const Fd links(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  sockaddr_nl address{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = RTMGRP_LINK};
  const int room = 64 << 20;
  EXPECT_EQ(setsockopt(links.get(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
  EXPECT_EQ(bind(links.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  syscall(SYS_pidfd_send_signal, worker.pidfd.get(), SIGSTOP, nullptr, 0);
  for (std::uint32_t i = 0; i < kTaps; ++i) {
    const auto packet = wire::encode(net::tap_task(Op::kMake, static_cast<std::uint16_t>(3 + i % 2), 3 + i / 2));
    EXPECT_EQ(send(worker.channel.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT), static_cast<ssize_t>(packet.size())) << i;
  }
  syscall(SYS_pidfd_send_signal, worker.pidfd.get(), SIGCONT, nullptr, 0);
  std::vector<std::uint8_t> answer(wire::kMaxPacket);
  for (std::uint32_t i = 0; i < kTaps; ++i) {
    pollfd waited{.fd = worker.channel.get(), .events = POLLIN, .revents = 0};
    const bool there = poll(&waited, 1, 60'000) == 1;
    const ssize_t got = there ? recv(worker.channel.get(), answer.data(), answer.size(), 0) : -1;
    const auto decoded = wire::decode_answer({answer.data(), got > 0 ? static_cast<std::size_t>(got) : 0});
    EXPECT_TRUE(decoded && decoded->ok) << i;
  }
  const std::size_t count = taps_before_the_first_is_up(links);
  (void)test::kill_and_wait(worker);
  return count;
}

std::vector<seccomp::Line> with_few_files(std::vector<seccomp::Line> lines) {
  for (seccomp::Line& line : lines)
    if (line.what == "limit" && line.args.front() == "nofile") line.args.back() = "256";
  return lines;
}

// What the limit of descriptors is for. With fewer all are made, too, but not together, and each alone costs waits of the kernel's.
TEST(NetLimit, OfFilesIsEnoughForAllTapsThatAreMadeAtOnce) { EXPECT_EQ(made_together(test::policy_of("net")), 256u); }
TEST(NetLimit, OfFilesIsNeededForAllTapsThatAreMadeAtOnce) { EXPECT_LT(made_together(with_few_files(test::policy_of("net"))), 256u); }

}  // namespace
}  // namespace mvm
