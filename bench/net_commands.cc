#include "bench/net_commands.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace mvm::bench {
namespace {

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

void set(const std::string& link, std::initializer_list<const char*> settings) {
  std::string line = "sysctl -q";
  for (const char* setting : settings) line += " net.ipv4.conf." + link + "." + setting;
  run(line);
}

constexpr const char* kRates[] = {"packets", "bytes", "connections"};
constexpr const char* kLimits[] = {"limit rate over 20000/second burst 2000 packets", "limit rate over 125 mbytes/second", "limit rate over 1000/second burst 100 packets"};

void tables_up() {
  run("nft add table inet t");
  run("nft add set inet t within { type ifname . ifname; }");
  run("nft add map inet t egress { type ifname : verdict; }");
  run("nft add set inet t replies { type ifname; }");
  for (const char* rate : kRates) run(std::string("nft add map inet t ") + rate + " { type ifname : limit; }");
  run("nft add table bridge t");
  run("nft add set bridge t sources { type ifname . ether_addr . ipv4_addr; }");
}

void tenant_up(std::uint16_t net) {
  const std::string name = bridge_name(net), table = std::to_string(7'170'000 + net), subnet = to_string(subnet_of(net));
  run("ip link add " + name + " address " + mac_to_string(instance_mac(net, 1)) + " group 7173741 type bridge stp_state 0 mcast_snooping 0");
  run("ip link set " + name + " alias mvm addrgenmode none");
  set(name, {"rp_filter=1", "accept_redirects=0", "secure_redirects=0", "send_redirects=0", "accept_source_route=0", "proxy_arp=0", "arp_ignore=1", "accept_local=0", "route_localnet=0"});
  run("ip address add " + ipv4_to_string(gateway_address(subnet_of(net))) + "/24 dev " + name);
  run("ip link set " + name + " up");
  run("ip rule add pref 73 iif " + name + " lookup " + table);
  run("ip route add blackhole 10.240.0.0/12 table " + table);
  run("ip route add " + subnet + " dev " + name + " table " + table);
  run("nft add element inet t within { " + name + " . " + name + " }");
  run("nft add element inet t egress { " + name + " : accept }");
  run("nft add element inet t replies { " + name + " }");
  for (std::size_t i = 0; i < std::size(kRates); ++i) {
    const std::string limit = name + "-" + kRates[i];
    run("nft add limit inet t " + limit + " { " + std::string(kLimits[i]).substr(6) + "; }");
    run("nft add element inet t " + std::string(kRates[i]) + " { " + name + " : \"" + limit + "\" }");
  }
}

void tenant_down(std::uint16_t net) {
  const std::string name = bridge_name(net);
  run("ip link del " + name);
  run("ip rule del pref 73 iif " + name);
  run("ip route flush table " + std::to_string(7'170'000 + net));
  run("nft delete element inet t within { " + name + " . " + name + " }");
  run("nft delete element inet t egress { " + name + " }");
  run("nft delete element inet t replies { " + name + " }");
  for (const char* rate : kRates) {
    run("nft delete element inet t " + std::string(rate) + " { " + name + " }");
    run("nft delete limit inet t " + name + "-" + rate);
  }
}

struct TapNames {
  std::string name, bridge, mac, source, uid;
};

TapNames names_of(const Size& size, std::uint32_t i) {
  const wire::Task made = tap_task(wire::Op::kMake, size.tenants, i);
  TapNames names{tap_name(made.place.net, made.place.slot), bridge_name(made.place.net), mac_to_string(instance_mac(made.place.net, made.place.slot)), "",
                 std::to_string(made.place.uid)};
  names.source = "{ " + names.name + " . " + names.mac + " . " + ipv4_to_string(slot_address(made.place.subnet, made.place.slot)) + " }";
  return names;
}

void tap_up(const TapNames& tap) {
  run("ip tuntap add dev " + tap.name + " mode tap vnet_hdr user " + tap.uid + " group " + tap.uid);
  run("nft add element bridge t sources " + tap.source);
  run("ip link set " + tap.name + " group 7173741 alias mvm addrgenmode none master " + tap.bridge);
  set(tap.name, {"arp_ignore=8", "rp_filter=1", "proxy_arp=0", "accept_redirects=0", "accept_source_route=0", "route_localnet=0"});
  run("bridge fdb replace " + tap.mac + " dev " + tap.name + " master static");
  run("ip link set " + tap.name + " up type bridge_slave learning off flood off guard on");
}

std::string container(std::uint32_t i) { return "c" + std::to_string(i); }
std::string network_file(std::uint32_t net) { return "/run/net" + std::to_string(net); }

void write_network(std::uint32_t net) {
  FILE* file = std::fopen(network_file(net).c_str(), "w");
  check(file != nullptr, network_file(net));
  std::fprintf(file, R"({"cniVersion":"0.4.0","name":"n%u","type":"bridge","bridge":"cni%u","isGateway":true,"ipMasq":true,"ipam":{"type":"host-local","dataDir":"/run/cni","subnet":"%s"}})",
               net, net, to_string(subnet_of(net)).c_str());
  std::fclose(file);
}

}  // namespace

Times commands(const Size& size) {
  Times times;
  times.up = milliseconds([&] {
    tables_up();
    for (std::uint32_t net = 0; net < size.tenants; ++net) tenant_up(static_cast<std::uint16_t>(net));
    for (std::uint32_t i = 0; i < size.taps; ++i) tap_up(names_of(size, i));
  });
  times.down = milliseconds([&] {
    for (std::uint32_t i = 0; i < size.taps; ++i) {
      const TapNames tap = names_of(size, i);
      run("ip link del " + tap.name);
      run("nft delete element bridge t sources " + tap.source);
    }
    for (std::uint32_t net = 0; net < size.tenants; ++net) tenant_down(static_cast<std::uint16_t>(net));
    run("nft delete table inet t");
    run("nft delete table bridge t");
  });
  return times;
}

bool has_cni_plugin() { return access("/usr/lib/cni/bridge", X_OK) == 0; }

// A container's namespace each, made before the clock starts.
Times cni_plugin(const Size& size) {
  check(mount("none", "/run", "tmpfs", 0, nullptr) == 0, "mount");
  check(mkdir("/run/netns", 0755) == 0, "mkdir");
  for (std::uint32_t i = 0; i < size.cni; ++i) run("ip netns add " + container(i));
  for (std::uint32_t net = 0; net < size.tenants; ++net) write_network(net);
  const auto all = [&](const char* command) {
    for (std::uint32_t i = 0; i < size.cni; ++i) {
      const std::string name = container(i);
      check(spawn({"/usr/lib/cni/bridge"}, {std::string("CNI_COMMAND=") + command, "CNI_CONTAINERID=" + name, "CNI_NETNS=/run/netns/" + name, "CNI_IFNAME=eth0",
                   "CNI_PATH=/usr/lib/cni", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, network_file(i % size.tenants)) == 0, std::string("the plugin's ") + command);
    }
  };
  const double times = static_cast<double>(size.taps) / size.cni;
  return {times * milliseconds([&] { all("ADD"); }), times * milliseconds([&] { all("DEL"); })};
}

}  // namespace mvm::bench
