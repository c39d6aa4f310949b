// Needs root; each scenario runs in a network namespace of its own.
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>

#include "schemas/worker.h"
#include "tests/net/net_fixture.h"
#include "tests/sandbox/ablation.h"

namespace mvm {
namespace {

using wire::Op;

std::optional<wire::Answer> asked(const sandbox::Worker& worker, const wire::Task& task) {
  const auto packet = wire::encode(task);
  if (send(worker.channel.get(), packet.data(), packet.size(), MSG_NOSIGNAL) < 0) return std::nullopt;
  pollfd waited{.fd = worker.channel.get(), .events = POLLIN, .revents = 0};
  std::vector<std::uint8_t> answer(wire::kMaxPacket);
  if (poll(&waited, 1, 10'000) != 1) return std::nullopt;
  const ssize_t got = recv(worker.channel.get(), answer.data(), answer.size(), 0);
  if (got <= 0) return std::nullopt;
  auto decoded = wire::decode_answer({answer.data(), static_cast<std::size_t>(got)});
  if (!decoded) return std::nullopt;
  return *decoded;
}

bool done(const sandbox::Worker& worker, const wire::Task& task) {
  const auto answer = asked(worker, task);
  if (answer && !answer->ok) std::fprintf(stderr, "%s\n", answer->error.message().c_str());
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
  const auto items = ok ? asked(worker, net::inventory_task()) : std::nullopt;
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

bool says_why_it_ends(const std::vector<seccomp::Line>& lines) {
  auto worker = start(lines);
  return send(worker.channel.get(), "no task", 7, MSG_NOSIGNAL) == 7 && test::ended(worker) == 70;
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

}  // namespace
}  // namespace mvm
