// Setting up and tearing down tenants and taps with their rules, side by side in one run, each in a network namespace of its own:
// the net worker's executors; a bare program that only sends the same netlink messages and ioctls again; `ip` and `nft`, a
// command at a time; the CNI bridge plugin. Root. Prints milliseconds, and how many times as long as the worker's.
// Setting up is of links, routing and rules; the commands and the plugin make fewer rules.
// usage: net_setup [TENANTS TAPS [CNI-TAPS]]   64 tenants, 1,000 taps; the plugin does CNI-TAPS (100) and is counted up
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/derived.h"
#include "broker/net/dispatch.h"
#include "broker/net/tun.h"

namespace {

using namespace mvm;
using Bytes = std::vector<std::uint8_t>;

// What the worker asked the kernel for: messages of one of its two sockets, or a tap.
struct Asked {
  int protocol = -1;
  Bytes message;
  std::string tap;
  std::uint32_t uid = 0;
};
std::vector<Asked>* recording = nullptr;

}  // namespace

extern "C" ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* to, socklen_t length) {
  if (recording != nullptr) {
    int protocol = -1;
    socklen_t have = sizeof protocol;
    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &have);
    const auto* at = static_cast<const std::uint8_t*>(bytes);
    recording->push_back({protocol, Bytes(at, at + size), {}, 0});
  }
  return syscall(SYS_sendto, fd, bytes, size, flags, to, length);
}

namespace {

constexpr Subnet kCidr{10U << 24 | 240U << 16, 12};
constexpr std::uint32_t kFirstUid = 1'000'000;

void check(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "net_setup: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

struct Size {
  std::uint32_t tenants = 64, taps = 1000, cni = 100;
};

Subnet subnet_of(std::uint32_t net) { return {kCidr.base + (net << 8), 24}; }

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

wire::Task tap_task(wire::Op op, const Size& size, std::uint32_t i) {
  wire::Task made = task(op, lang::Word::kTap, static_cast<std::uint16_t>(i % size.tenants));
  made.place.slot = lang::kFirstSlot + i / size.tenants;
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
  for (std::uint32_t i = 0; i < size.taps; ++i) taps.push_back(tap_task(op, size, i));
  if (op == wire::Op::kUnmake) {
    std::vector<wire::Task> reversed(tenants.rbegin(), tenants.rend());
    taps.insert(taps.end(), reversed.begin(), reversed.end());
    return taps;
  }
  tenants.insert(tenants.end(), taps.begin(), taps.end());
  return tenants;
}

// Each in a child with a namespace of its own, which writes milliseconds of setting up and tearing down.
struct Times {
  double up = 0, down = 0;
};

template <class Work>
double milliseconds(Work work) {
  const auto from = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - from).count();
}

void new_network() {
  check(unshare(CLONE_NEWNET) == 0, "unshare");
  const int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY | O_CLOEXEC);
  check(fd >= 0 && write(fd, "1", 1) == 1, "ip_forward");
  close(fd);
}

template <class Work>
Times in_a_namespace(Work work) {
  int ends[2];
  check(pipe(ends) == 0, "pipe");
  const pid_t child = fork();
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

void dispatch_in_runs(net::Kernel& kernel, const std::vector<wire::Task>& tasks) {
  constexpr std::size_t kRun = 256;  // as the worker takes them off its channel at most
  for (std::size_t at = 0; at < tasks.size(); at += kRun) {
    const std::vector<wire::Task> some(tasks.begin() + static_cast<std::ptrdiff_t>(at), tasks.begin() + static_cast<std::ptrdiff_t>(std::min(at + kRun, tasks.size())));
    for (const wire::Answer& answer : net::dispatch_all(kernel, some)) check(answer.ok, answer.ok ? "" : answer.error.message());
  }
}

Times worker(const Size& size, std::vector<Asked>* up, std::vector<Asked>* down) {
  auto kernel = net::Kernel::open();
  check(kernel.has_value(), "open netlink");
  Times times;
  recording = up;
  times.up = milliseconds([&] { dispatch_in_runs(*kernel, tasks_of(wire::Op::kMake, size)); });
  recording = down;
  times.down = milliseconds([&] { dispatch_in_runs(*kernel, tasks_of(wire::Op::kUnmake, size)); });
  recording = nullptr;
  return times;
}

// Index numbers of links are the same in a namespace that is as new, so what was asked for can be asked for again.
class Bare {
 public:
  Bare() {
    for (const int protocol : {NETLINK_ROUTE, NETLINK_NETFILTER}) {
      const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
      const int room = 4 * 1024 * 1024, on = 1;
      setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
      setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
      setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
      if (protocol == NETLINK_ROUTE) setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
      (protocol == NETLINK_ROUTE ? route_ : nft_) = fd;
    }
  }
  void ask(const std::vector<Asked>& all) {
    for (const Asked& one : all) {
      const int fd = one.protocol == NETLINK_ROUTE ? route_ : nft_;
      make_tap_of(one);
      check(syscall(SYS_sendto, fd, one.message.data(), one.message.size(), 0, nullptr, 0) == static_cast<ssize_t>(one.message.size()), "send");
      while (recv(fd, buffer_, sizeof buffer_, MSG_DONTWAIT) > 0) {}
    }
  }

 private:
  // The worker makes a tap before its source goes into the rules: the message that names it first.
  void make_tap_of(const Asked& one) {
    if (one.tap.empty()) return;
    auto tap = net::hold_tap(one.tap, one.uid);
    check(tap && net::keep_tap(*tap, one.tap), "tap");
  }
  int route_ = -1, nft_ = -1;
  char buffer_[65536];
};

// Puts each tap where the worker made it: at the first transaction whose bytes name it.
void put_taps(std::vector<Asked>& up, const Size& size) {
  std::size_t at = 0;
  for (std::uint32_t i = 0; i < size.taps; ++i) {
    const wire::Task made = tap_task(wire::Op::kMake, size, i);
    std::string name = tap_name(made.place.net, made.place.slot);
    const std::string key = name + std::string(1, '\0');
    for (; at < up.size(); ++at) {
      if (up[at].protocol != NETLINK_NETFILTER || !up[at].tap.empty()) continue;
      if (std::string_view(reinterpret_cast<const char*>(up[at].message.data()), up[at].message.size()).find(key) == std::string_view::npos) continue;
      up[at].tap = name;
      up[at].uid = made.place.uid;
      break;
    }
    check(at < up.size(), "find where " + name + " was made");
  }
}

int spawn(const std::vector<std::string>& words, const std::vector<std::string>& environment = {}, const std::string& input = "/dev/null") {
  std::vector<char*> arguments, variables;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& word : environment) variables.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, input.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  check(posix_spawn(&child, words[0].c_str(), &files, nullptr, arguments.data(), variables.data()) == 0, words[0]);
  posix_spawn_file_actions_destroy(&files);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

void run(const std::string& line) {
  std::vector<std::string> words;
  std::string rest = line;
  for (std::size_t space = 0; (space = rest.find(' ')) != std::string::npos; rest.erase(0, space + 1)) words.push_back(rest.substr(0, space));
  words.push_back(rest);
  words[0] = "/usr/sbin/" + words[0];
  if (words[0] == "/usr/sbin/nft") words = {words[0], line.substr(4)};
  check(spawn(words) == 0, line);
}

Times commands(const Size& size) {
  Times times;
  times.up = milliseconds([&] {
    for (const char* line : {"nft add table inet t", "nft add set inet t within { type ifname . ifname; }", "nft add map inet t egress { type ifname : verdict; }",
                             "nft add set inet t replies { type ifname; }", "nft add table bridge t", "nft add set bridge t sources { type ifname . ether_addr . ipv4_addr; }"})
      run(line);
    for (std::uint32_t net = 0; net < size.tenants; ++net) {
      const std::string name = bridge_name(static_cast<std::uint16_t>(net)), table = std::to_string(7'170'000 + net);
      run("ip link add " + name + " address " + mac_to_string(instance_mac(static_cast<std::uint16_t>(net), 1)) + " type bridge stp_state 0 mcast_snooping 0");
      run("ip address add " + ipv4_to_string(gateway_address(subnet_of(net))) + "/24 dev " + name);
      run("ip link set " + name + " up");
      run("ip rule add pref 73 iif " + name + " lookup " + table);
      run("ip route add blackhole 10.240.0.0/12 table " + table);
      run("ip route add " + to_string(subnet_of(net)) + " dev " + name + " table " + table);
      run("nft add element inet t within { " + name + " . " + name + " }");
      run("nft add element inet t egress { " + name + " : accept }");
      run("nft add element inet t replies { " + name + " }");
    }
    for (std::uint32_t i = 0; i < size.taps; ++i) {
      const wire::Task made = tap_task(wire::Op::kMake, size, i);
      const std::string name = tap_name(made.place.net, made.place.slot), mac = mac_to_string(instance_mac(made.place.net, made.place.slot));
      run("ip tuntap add dev " + name + " mode tap vnet_hdr user " + std::to_string(made.place.uid));
      run("nft add element bridge t sources { " + name + " . " + mac + " . " + ipv4_to_string(slot_address(made.place.subnet, made.place.slot)) + " }");
      run("ip link set " + name + " master " + bridge_name(made.place.net) + " up");
    }
  });
  times.down = milliseconds([&] {
    for (std::uint32_t i = 0; i < size.taps; ++i) {
      const wire::Task made = tap_task(wire::Op::kMake, size, i);
      const std::string name = tap_name(made.place.net, made.place.slot), mac = mac_to_string(instance_mac(made.place.net, made.place.slot));
      run("ip link del " + name);
      run("nft delete element bridge t sources { " + name + " . " + mac + " . " + ipv4_to_string(slot_address(made.place.subnet, made.place.slot)) + " }");
    }
    for (std::uint32_t net = 0; net < size.tenants; ++net) {
      const std::string name = bridge_name(static_cast<std::uint16_t>(net));
      run("ip link del " + name);
      run("ip rule del pref 73 iif " + name);
      run("ip route flush table " + std::to_string(7'170'000 + net));
      run("nft delete element inet t within { " + name + " . " + name + " }");
      run("nft delete element inet t egress { " + name + " }");
      run("nft delete element inet t replies { " + name + " }");
    }
    run("nft delete table inet t");
    run("nft delete table bridge t");
  });
  return times;
}

// A container's namespace each, made before the clock starts.
Times cni(const Size& size) {
  check(mount("none", "/run", "tmpfs", 0, nullptr) == 0, "mount");
  check(mkdir("/run/netns", 0755) == 0, "mkdir");
  for (std::uint32_t i = 0; i < size.cni; ++i) run("ip netns add c" + std::to_string(i));
  for (std::uint32_t net = 0; net < size.tenants; ++net) {
    const std::string path = "/run/net" + std::to_string(net);
    FILE* file = std::fopen(path.c_str(), "w");
    check(file != nullptr, path);
    std::fprintf(file, R"({"cniVersion":"0.4.0","name":"n%u","type":"bridge","bridge":"cni%u","isGateway":true,"ipMasq":true,"ipam":{"type":"host-local","dataDir":"/run/cni","subnet":"%s"}})",
                 net, net, to_string(subnet_of(net)).c_str());
    std::fclose(file);
  }
  const auto all = [&](const char* command) {
    for (std::uint32_t i = 0; i < size.cni; ++i) {
      const std::string name = "c" + std::to_string(i);
      check(spawn({"/usr/lib/cni/bridge"}, {std::string("CNI_COMMAND=") + command, "CNI_CONTAINERID=" + name, "CNI_NETNS=/run/netns/" + name, "CNI_IFNAME=eth0",
                   "CNI_PATH=/usr/lib/cni", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, "/run/net" + std::to_string(i % size.tenants)) == 0, std::string("the plugin's ") + command);
    }
  };
  return {milliseconds([&] { all("ADD"); }), milliseconds([&] { all("DEL"); })};
}

void print(const char* who, const Times& times, const Times& ours) {
  std::printf("%-28s | %10.0f | %6.1f | %10.0f | %6.1f\n", who, times.up, times.up / ours.up, times.down, times.down / ours.down);
  std::fflush(stdout);
}

}  // namespace

int main(int count, char** words) {
  Size size;
  if (count >= 3) size.tenants = static_cast<std::uint32_t>(std::atoi(words[1])), size.taps = static_cast<std::uint32_t>(std::atoi(words[2]));
  if (count >= 4) size.cni = static_cast<std::uint32_t>(std::atoi(words[3]));
  std::printf("%u tenants, %u taps           |  set up ms |  times | tear dn ms |  times\n", size.tenants, size.taps);
  const Times ours = in_a_namespace([&] { return worker(size, nullptr, nullptr); });
  print("net worker", ours, ours);
  print("bare: the same messages", in_a_namespace([&] {
    std::vector<Asked> up, down;
    (void)worker(size, &up, &down);
    put_taps(up, size);
    new_network();
    Bare bare;
    return Times{milliseconds([&] { bare.ask(up); }), milliseconds([&] { bare.ask(down); })};
  }), ours);
  print("ip and nft, one by one", in_a_namespace([&] { return commands(size); }), ours);
  if (access("/usr/lib/cni/bridge", X_OK) != 0) return std::puts("CNI's bridge plugin is not installed"), 0;
  Times plugin = in_a_namespace([&] { return cni(size); });
  plugin.up *= static_cast<double>(size.taps) / size.cni;
  plugin.down *= static_cast<double>(size.taps) / size.cni;
  print("CNI bridge plugin", plugin, ours);
}
