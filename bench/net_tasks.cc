#include "bench/net_tasks.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace mvm::bench {
namespace {

constexpr std::uint32_t kFirstUid = 1'000'000;

wire::Task task(wire::Op op, lang::Word word, std::uint16_t net) {
  wire::Task made;
  made.seq = 1;
  made.op = op;
  made.statement.word = word;
  made.place.net = net;
  made.place.subnet = subnet_of(net);
  made.place.cidr = kCidr;
  if (word == lang::Word::kBridge) made.statement.numbers = {net, made.place.subnet.packed()};
  if (word == lang::Word::kRule) made.statement.numbers = {lang::kEgressNat, 20'000, 1000, 1000};
  return made;
}

}  // namespace

void check(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "bench: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

Subnet subnet_of(std::uint32_t net) { return {kCidr.base + (net << 8), 24}; }

wire::Task tap_task(wire::Op op, std::uint32_t tenants, std::uint32_t i) {
  wire::Task made = task(op, lang::Word::kTap, static_cast<std::uint16_t>(i % tenants));
  made.place.slot = lang::kFirstSlot + i / tenants;
  made.statement.numbers = {made.place.slot};
  made.place.uid = static_cast<std::uint32_t>(instance_uid(kFirstUid, kCidr, made.place.subnet, made.place.slot));
  return made;
}

std::vector<wire::Task> tasks_of(wire::Op op, const Size& size) {
  std::vector<wire::Task> tenants, taps;
  for (std::uint32_t net = 0; net < size.tenants; ++net) {
    tenants.push_back(task(op, lang::Word::kBridge, static_cast<std::uint16_t>(net)));
    tenants.push_back(task(op, lang::Word::kRule, static_cast<std::uint16_t>(net)));
  }
  for (std::uint32_t i = 0; i < size.taps; ++i) taps.push_back(tap_task(op, size.tenants, i));
  if (op == wire::Op::kUnmake) {
    taps.insert(taps.end(), tenants.rbegin(), tenants.rend());
    return taps;
  }
  tenants.insert(tenants.end(), taps.begin(), taps.end());
  return tenants;
}

void dispatch_in_runs(net::Kernel& kernel, const std::vector<wire::Task>& tasks) {
  constexpr std::size_t kRun = 256;
  for (std::size_t at = 0; at < tasks.size(); at += kRun) {
    const std::vector<wire::Task> some(tasks.begin() + static_cast<std::ptrdiff_t>(at), tasks.begin() + static_cast<std::ptrdiff_t>(std::min(at + kRun, tasks.size())));
    for (const wire::Answer& answer : net::dispatch_all(kernel, some)) check(answer.ok, answer.ok ? "" : answer.error.message());
  }
}

void new_network() {
  check(unshare(CLONE_NEWNET) == 0, "unshare");
  const int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
  check(fd >= 0 && write(fd, "1", 1) == 1, "ip_forward");
  close(fd);
}

Times in_a_namespace(const std::function<Times()>& work) {
  int ends[2];
  check(pipe(ends) == 0, "pipe");
  const pid_t child = fork();
  check(child >= 0, "fork");
  if (child == 0) {
    check(unshare(CLONE_NEWNS) == 0, "unshare");
    check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "mount");
    new_network();
    const Times times = work();
    check(write(ends[1], &times, sizeof times) == sizeof times, "write");
    std::_Exit(0);
  }
  close(ends[1]);
  Times times;
  check(read(ends[0], &times, sizeof times) == sizeof times, "a contender ended early");
  close(ends[0]);
  waitpid(child, nullptr, 0);
  return times;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace mvm::bench
