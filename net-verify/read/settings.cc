#include "net-verify/read/settings.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/fd.h"

namespace mvm::verify {
namespace {

constexpr std::array kIpv4 = {"forwarding",     "rp_filter",    "accept_redirects", "send_redirects",  "accept_source_route",
                              "proxy_arp",      "arp_ignore",   "route_localnet",   "accept_local",    "proxy_arp_pvlan",
                              "ignore_routes_with_linkdown"};
constexpr int kTcxIngress = 46, kTcxEgress = 47;  // BPF_TCX_INGRESS, BPF_TCX_EGRESS (since 6.6)

std::optional<std::string> first_bytes(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return std::nullopt;
  char buffer[256];
  const ssize_t size = read(file.get(), buffer, sizeof buffer);
  if (size < 0) return std::nullopt;
  return std::string(buffer, static_cast<std::size_t>(size));
}

std::optional<std::int64_t> number_in(const std::string& path) {
  const auto text = first_bytes(path);
  std::int64_t value = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc{}) return std::nullopt;
  return value;
}

// A name with a slash is none that a link can have.
void read_of(const std::string& link, Settings& settings) {
  for (const char* name : kIpv4)
    if (const auto value = number_in("/proc/sys/net/ipv4/conf/" + link + "/" + name)) settings.values[name] = *value;
  if (const auto value = number_in("/proc/sys/net/ipv6/conf/" + link + "/disable_ipv6")) settings.values["disable_ipv6"] = *value;
  if (const auto value = number_in("/proc/sys/net/ipv6/conf/" + link + "/forwarding")) settings.values["forwarding6"] = *value;
}

// How many programs hang there; an errno, negative, where the kernel does not say.
int programs_on(std::uint32_t link, int where) {
  union bpf_attr query;
  std::memset(&query, 0, sizeof query);
  query.query.target_fd = link;  // target_ifindex, in the same place
  query.query.attach_type = static_cast<std::uint32_t>(where);
  if (syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof query) != 0) {
    const int saved = errno;
    return saved == ENOSPC ? 1 : -saved;
  }
  return static_cast<int>(query.query.prog_cnt);
}

}  // namespace

void read_settings(Snapshot& snapshot) {
  read_of("all", snapshot.settings["all"]);
  for (const Link& link : snapshot.links) read_of(link.name, snapshot.settings[link.name]);
}

void read_programs(Snapshot& snapshot) {
  for (const Link& link : snapshot.links)
    for (const int where : {kTcxIngress, kTcxEgress}) {
      const int count = programs_on(link.index, where);
      if (count > 0) snapshot.programs[link.index] = "a tcx program";
      // A kernel without tcx or without BPF has none there.
      if (count < 0 && count != -EINVAL && count != -ENOSYS && count != -EOPNOTSUPP && count != -ENOENT)
        snapshot.unread.push_back("tcx programs of " + link.name + ": " + std::strerror(-count));
    }
}

void read_other_filters(Snapshot& snapshot) {
  for (const char* path : {"/proc/net/ip_tables_names", "/proc/net/ip6_tables_names", "/proc/net/arp_tables_names"}) {
    const auto names = first_bytes(path);
    if (!names && errno != ENOENT) snapshot.unread.push_back(std::string(path) + ": " + std::strerror(errno));
    if (names && !names->empty()) snapshot.unread.push_back(std::string("rules of iptables' own tables, of which there are some (") + path + ")");
  }
}

}  // namespace mvm::verify
