// What a packet costs through a tenant's bridge, and out by way of NAT, where there is one tenant and where there are many, in one run.
// Four hosts, a network namespace each, made by the net worker's executors, all with egress=nat and three rates: two with one tenant
// of two instances (the second only to show how well two equal things agree here), one with TENANTS of two instances each, and one
// with as many instances of one tenant. Where many send by turns, each packet finds nothing of its tap in the processor's caches,
// whosever it is; so many tenants are held against as many instances of one. Packets go in by real taps; writing
// one carries it all the way, in this thread; so its CPU time is what is measured, and what else the machine does is left out.
// The hosts take turns, a slice of 64 packets each; a ratio is the median of the quotients of slices that stand side by side,
// and its uncertainty the 95% interval of that median over twenty parts of the run.
// usage: net_packets [TENANTS [SLICES]]   256 tenants, 4,000 slices. Root. A line of CSV for each part, then the table.
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "bench/net_tasks.h"
#include "broker/net/links.h"
#include "broker/net/tun.h"

namespace {

using namespace mvm;
using namespace mvm::bench;

constexpr std::uint32_t kOutside = 198U << 24 | 51U << 16 | 100U << 8 | 7;
constexpr std::size_t kSlice = 64, kParts = 20;
constexpr std::size_t kHeader = 10;  // struct virtio_net_hdr in front of each frame
constexpr std::uint16_t kPort = 4000;

void shell(const std::string& line) { check(std::system(line.c_str()) == 0, line); }

using Packet = std::vector<std::uint8_t>;
using Mac = net::Mac;

void put16(Packet& packet, std::uint32_t value) {
  packet.push_back(static_cast<std::uint8_t>(value >> 8));
  packet.push_back(static_cast<std::uint8_t>(value));
}

// A small datagram without a checksum of its own, which UDP over IPv4 need not have: Ethernet, RFC 791, RFC 768.
Packet packet(const Mac& from_mac, const Mac& to_mac, std::uint32_t from, std::uint32_t to) {
  constexpr std::uint32_t kData = 32;
  Packet made(kHeader);
  made.insert(made.end(), to_mac.begin(), to_mac.end());
  made.insert(made.end(), from_mac.begin(), from_mac.end());
  const std::uint32_t words[] = {0x4500, 20 + 8 + kData, 0, 0x4000, 64 << 8 | 17, from >> 16, from & 0xffff, to >> 16, to & 0xffff};
  std::uint32_t sum = 0;
  for (const std::uint32_t word : words) sum += word;
  sum = (sum & 0xffff) + (sum >> 16);
  put16(made, 0x0800);
  for (std::size_t i = 0; i < std::size(words); ++i) {
    if (i == 5) put16(made, ~(sum + (sum >> 16)));
    put16(made, words[i]);
  }
  for (const std::uint32_t word : {std::uint32_t{kPort}, std::uint32_t{kPort}, 8 + kData, 0U}) put16(made, word);
  made.resize(made.size() + kData);
  return made;
}

struct Pair {
  Fd one, other;  // taps of two instances of one tenant
  Packet within, out;
};

// Frames that have come, all of them.
std::size_t drain(const Fd& tap) {
  char buffer[2048];
  std::size_t count = 0;
  for (ssize_t size = 0; (size = read(tap.get(), buffer, sizeof buffer)) > 0;) count += static_cast<std::size_t>(size) > kHeader + 40;
  return count;
}

double cpu_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

class Host {
 public:
  Host(std::uint32_t tenants, std::uint32_t pairs) {
    new_network();
    shell("sysctl -q net.ipv6.conf.default.disable_ipv6=1; ip link set lo up");
    auto kernel = net::Kernel::open();
    check(kernel.has_value(), "open netlink");
    std::vector<wire::Task> tasks = tasks_of(wire::Op::kMake, {tenants, 2 * pairs * tenants, 0});
    for (wire::Task& task : tasks) widen(task);
    dispatch_in_runs(*kernel, tasks);
    for (std::uint32_t i = 0; i < pairs * tenants; ++i) pairs_.push_back(pair_of(tenants, i, i + pairs * tenants));
    uplink_ = held("up0", 0);
    shell("ip address add 192.0.2.1/24 dev up0; ip link set up0 up; ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev up0; ip route add default via 192.0.2.9");
  }

  // CPU seconds of one slice, in which each tap sends `run` packets and the next goes on, from slice to slice, too. Each packet
  // must come out.
  double out(std::size_t run) {
    return slice(run, &Pair::out, [](std::vector<const Fd*>& ends, const Pair&, const Fd& uplink) { ends.push_back(&uplink); });
  }
  double within(std::size_t run) {
    return slice(run, &Pair::within, [](std::vector<const Fd*>& ends, const Pair& pair, const Fd&) { ends.push_back(&pair.other); });
  }
  // Until the ports are up.
  void warm() {
    for (const bool outside : {true, false})
      for (std::size_t i = 0; i < pairs_.size(); ++i) {
        Pair& pair = pairs_[i];
        std::size_t seen = 0;
        for (int tries = 0; seen == 0 && tries < 5000; ++tries, usleep(1000)) {
          put(pair.one, outside ? pair.out : pair.within);
          seen = drain(outside ? uplink_ : pair.other);
        }
        check(seen != 0, "no packet comes through");
      }
    usleep(200'000);
    for (Pair& pair : pairs_) (void)(drain(pair.one) + drain(pair.other));
    (void)drain(uplink_);
  }
  [[nodiscard]] std::size_t size() const { return pairs_.size(); }

 private:
  static Fd held(const std::string& name, std::uint32_t uid) {
    Result<Fd> tap = net::hold_tap(name, uid);
    check(tap.has_value(), name);
    check(fcntl(tap->get(), F_SETFL, O_NONBLOCK) == 0, name);
    return std::move(*tap);
  }

  // A subnet with room for many instances of one tenant, and rates that nothing here reaches.
  static void widen(wire::Task& task) {
    task.place.subnet = {kCidr.base + (std::uint32_t{task.place.net} << 10), 22};
    if (task.statement.word == lang::Word::kBridge) task.statement.numbers = {task.place.net, task.place.subnet.packed()};
    if (task.statement.word == lang::Word::kRule) task.statement.numbers = {lang::kEgressNat, 4'000'000, 90'000, 1'000'000};
  }

  static Pair pair_of(std::uint32_t tenants, std::uint32_t first, std::uint32_t second) {
    wire::Task one = tap_task(wire::Op::kMake, tenants, first), other = tap_task(wire::Op::kMake, tenants, second);
    for (wire::Task* task : {&one, &other}) widen(*task);
    const std::uint16_t net = one.place.net;
    const std::uint32_t from = slot_address(one.place.subnet, one.place.slot), to = slot_address(other.place.subnet, other.place.slot);
    const Mac mac = instance_mac(net, one.place.slot);
    return {held(tap_name(net, one.place.slot), one.place.uid), held(tap_name(net, other.place.slot), other.place.uid),
            packet(mac, instance_mac(net, other.place.slot), from, to), packet(mac, instance_mac(net, 1), from, kOutside)};
  }

  static void put(const Fd& tap, const Packet& packet) {
    check(write(tap.get(), packet.data(), packet.size()) == static_cast<ssize_t>(packet.size()) || errno == EIO, "write to a tap");
  }

  template <class End>
  double slice(std::size_t run, Packet Pair::*kind, End end) {
    std::vector<const Fd*> ends;
    const double before = cpu_seconds();
    for (std::size_t i = 0; i < kSlice; ++i) {
      const Pair& pair = pairs_[(turn_ + i / run) % pairs_.size()];
      put(pair.one, pair.*kind);
    }
    const double taken = cpu_seconds() - before;
    for (std::size_t i = 0; i < kSlice; i += run) end(ends, pairs_[(turn_ + i / run) % pairs_.size()], uplink_);
    turn_ += kSlice / run;
    std::ranges::sort(ends);
    std::size_t seen = 0;
    for (auto at = ends.begin(); at != std::unique(ends.begin(), ends.end()) && at != ends.end(); ++at) seen += drain(**at);
    check(seen >= kSlice, "a packet was lost: " + std::to_string(seen));
    return taken;
  }

  std::vector<Pair> pairs_;
  Fd uplink_;
  std::size_t turn_ = 0;
};

struct Kind {
  const char* name;
  std::vector<double> one{}, same{}, many{}, turns{}, crowd{};  // seconds a slice
};

std::vector<double> quotients(const std::vector<double>& of, const std::vector<double>& by) {
  std::vector<double> made;
  for (std::size_t i = 0; i < of.size(); ++i) made.push_back(of[i] / by[i]);
  return made;
}

void print(const char* kind, const char* what, const std::vector<double>& of, const std::vector<double>& by, std::size_t tenants) {
  const std::vector<double> all = quotients(of, by);
  std::vector<double> parts;
  const std::size_t part = all.size() / kParts;
  for (std::size_t i = 0; i < kParts; ++i) parts.push_back(median({all.begin() + static_cast<std::ptrdiff_t>(i * part), all.begin() + static_cast<std::ptrdiff_t>((i + 1) * part)}));
  double mean = 0, square = 0;
  for (const double value : parts) mean += value / kParts;
  for (const double value : parts) square += (value - mean) * (value - mean) / (kParts - 1);
  const double half = 2.093 * std::sqrt(square / kParts);  // Student's t, 19 degrees of freedom
  for (std::size_t i = 0; i < kParts; ++i) std::fprintf(stderr, "%s,%s,%zu,%zu,%.4f\n", kind, what, tenants, i, parts[i]);
  std::printf("| %s | %s | %.0f | %.3f ± %.3f |\n", kind, what, 1e9 * median(of) / kSlice, 1 / median(all), half);
}

}  // namespace

int main(int count, char** words) {
  const auto tenants = static_cast<std::uint32_t>(count > 1 ? std::atoi(words[1]) : 256);
  const auto slices = static_cast<std::size_t>(count > 2 ? std::atoi(words[2]) : 4000);
  const rlimit files{8192, 8192};
  check(setrlimit(RLIMIT_NOFILE, &files) == 0, "setrlimit");
  Host one(1, 1), same(1, 1), many(tenants, 1), crowd(1, tenants);
  for (Host* host : {&one, &same, &many, &crowd}) host->warm();
  Kind out{"out by way of NAT"}, within{"within the tenant"};
  for (std::size_t i = 0; i < slices; ++i)
    for (Kind* kind : {&out, &within}) {
      const auto run = [&](Host& host, std::size_t length) { return kind == &out ? host.out(length) : host.within(length); };
      // Who is first changes, so that none is always behind the same other.
      for (std::size_t turn = 0; turn < 5; ++turn) switch ((turn + i) % 5) {
          case 0: kind->one.push_back(run(one, kSlice)); break;
          case 1: kind->same.push_back(run(same, kSlice)); break;
          case 2: kind->many.push_back(run(many, kSlice)); break;
          case 3: kind->turns.push_back(run(many, 1)); break;
          default: kind->crowd.push_back(run(crowd, 1));
        }
    }
  std::fprintf(stderr, "kind,host,tenants,part,quotient\n");
  std::printf("| %zu slices of %zu packets | host | ns a packet | packets a second, against one tenant |\n| --- | --- | --- | --- |\n", slices, kSlice);
  for (const Kind* kind : {&out, &within}) {
    print(kind->name, "one tenant", kind->one, kind->one, 1);
    print(kind->name, "another with one tenant", kind->same, kind->one, 1);
    print(kind->name, "many tenants by slices", kind->many, kind->one, tenants);
    print(kind->name, "many tenants by packets against as many instances", kind->turns, kind->crowd, tenants);
  }
}
