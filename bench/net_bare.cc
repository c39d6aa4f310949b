#include "bench/net_bare.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <set>

namespace {

// A message on one of the worker's two sockets, or a call that makes a tap or lets go of it.
struct Asked {
  int protocol = -1;  // of a message
  std::vector<std::uint8_t> message{};
  int tap = -1;
  unsigned long request = 0;  // of ioctl; 0: close
  std::string name{};
  std::uintptr_t value = 0;
};
using Record = std::vector<Asked>;
Record* recording = nullptr;
std::set<int> taps;

}  // namespace

extern "C" ssize_t sendto(int fd, const void* bytes, size_t size, int flags, const sockaddr* to, socklen_t length) {
  if (recording != nullptr) {
    int protocol = -1;
    socklen_t have = sizeof protocol;
    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &have);
    const auto* at = static_cast<const std::uint8_t*>(bytes);
    recording->push_back({.protocol = protocol, .message = {at, at + size}});
  }
  return syscall(SYS_sendto, fd, bytes, size, flags, to, length);
}

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list rest;
  va_start(rest, request);
  const auto value = va_arg(rest, std::uintptr_t);
  va_end(rest);
  if (recording != nullptr) {
    if (request == TUNSETIFF) taps.insert(fd);
    recording->push_back({.tap = fd, .request = request, .name = request == TUNSETIFF ? reinterpret_cast<const ifreq*>(value)->ifr_name : "",
                          .value = request == TUNSETIFF ? static_cast<std::uintptr_t>(reinterpret_cast<const ifreq*>(value)->ifr_flags) : value});
  }
  return static_cast<int>(syscall(SYS_ioctl, fd, request, value));
}

extern "C" int close(int fd) {
  if (recording != nullptr && taps.erase(fd) != 0) recording->push_back({.tap = fd});
  return static_cast<int>(syscall(SYS_close, fd));
}

namespace mvm::bench {
namespace {

Times recorded(const Size& size, Record* up, Record* down) {
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

std::string kind_of(const Asked& one) {
  if (one.tap >= 0) return one.request == 0 ? "close the taps' descriptors" : "make the taps (/dev/net/tun)";
  if (one.protocol == NETLINK_NETFILTER) return "nftables";
  nlmsghdr first;
  std::memcpy(&first, one.message.data(), sizeof first);
  switch (first.nlmsg_type) {
    case RTM_DELLINK: return "delete links";
    case RTM_NEWLINK: return "create and change links";
    case RTM_NEWADDR: return "addresses, routes, up";
    case RTM_NEWNEIGH: return "forwarding entries";
    default: return (first.nlmsg_flags & NLM_F_ACK) != 0 && first.nlmsg_type % 4 != 2 ? "routing" : "read";
  }
}

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

  double ask(const Record& all, Shares* shares, double Times::*part) {
    return milliseconds([&] {
      for (const Asked& one : all) {
        if (shares == nullptr) ask_one(one);
        else (*shares)[kind_of(one)].*part += milliseconds([&] { ask_one(one); });
      }
    });
  }

 private:
  void ask_one(const Asked& one) {
    if (one.tap >= 0) return tap_call(one);
    const int fd = one.protocol == NETLINK_ROUTE ? route_ : nft_;
    check(syscall(SYS_sendto, fd, one.message.data(), one.message.size(), 0, nullptr, 0) == static_cast<ssize_t>(one.message.size()), "send");
    while (recv(fd, buffer_, sizeof buffer_, MSG_DONTWAIT) > 0) {}
  }

  void tap_call(const Asked& one) {
    if (one.request == 0) {
      close(open_.at(one.tap));
    } else if (one.request == TUNSETIFF) {
      const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
      ifreq request{};
      one.name.copy(request.ifr_name, sizeof request.ifr_name - 1);
      request.ifr_flags = static_cast<short>(one.value);
      check(syscall(SYS_ioctl, fd, TUNSETIFF, &request) == 0, "TUNSETIFF");
      open_[one.tap] = fd;
    } else {
      check(syscall(SYS_ioctl, open_.at(one.tap), one.request, one.value) == 0, "ioctl");
    }
  }

  int route_ = -1, nft_ = -1;
  std::map<int, int> open_;  // by the worker's number of it
  char buffer_[65536];
};

}  // namespace

Times worker(const Size& size) { return recorded(size, nullptr, nullptr); }

Times bare(const Size& size, Shares* shares) {
  Record up, down;
  (void)recorded(size, &up, &down);
  new_network();
  Bare bare;
  Times times;
  times.up = bare.ask(up, shares, &Times::up);
  times.down = bare.ask(down, shares, &Times::down);
  return times;
}

}  // namespace mvm::bench
