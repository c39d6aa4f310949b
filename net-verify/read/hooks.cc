#include "net-verify/read/hooks.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/netfilter.h>
#include <linux/netfilter_arp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_hook.h>
#include <linux/netfilter_bridge.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "net-verify/read/decode.h"

namespace mvm::verify {
namespace {

constexpr std::uint8_t kNetdev = 5;                    // NFPROTO_NETDEV
constexpr std::uint32_t kNetdevHooks = 2;              // NF_NETDEV_INGRESS, NF_NETDEV_EGRESS
constexpr std::uint32_t kNetfilterLink = 10;           // BPF_LINK_TYPE_NETFILTER (since 6.4)
constexpr std::uint16_t kGet = NFNL_SUBSYS_HOOK << 8 | NFNL_MSG_HOOK_GET;

class Hooks {
 public:
  Hooks(Reader& reader, Snapshot& snapshot) : reader_(reader), snapshot_(snapshot) {}

  // Whether the kernel has a list of them at all.
  bool read() {
    if (const int error = ask(NFPROTO_IPV4, 0, ""); error == EINVAL || error == EOPNOTSUPP) return false;  // no such subsystem
    for (const std::uint8_t family : {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_BRIDGE})
      for (const std::uint32_t hook : {NF_INET_PRE_ROUTING, NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_POST_ROUTING}) take(family, hook, "");
    take(NFPROTO_ARP, NF_ARP_IN, "");
    for (const Link& link : snapshot_.links)
      for (std::uint32_t hook = 0; hook < kNetdevHooks; ++hook) take(kNetdev, hook, link.name);
    return true;
  }

 private:
  void take(std::uint8_t family, std::uint32_t hook, const std::string& device) {
    const int error = ask(family, hook, device);
    if (error == EPROTONOSUPPORT || error == EOPNOTSUPP || error == ENODEV) return;  // the kernel has no such hook, or the link is gone
    if (error != 0) return snapshot_.unread.push_back("hook " + std::to_string(hook) + " of family " + std::to_string(family) + ": " + std::strerror(error));
    for (const HookEntry& entry : entries_)
      if (!is_modelled(entry, snapshot_.chains))
        snapshot_.hooks.push_back({family, hook, device, entry.function.empty() ? "a function without a name" : entry.function});
  }

  // An errno; 0: entries_ has what hangs there.
  int ask(std::uint8_t family, std::uint32_t hook, const std::string& device) {
    alignas(nlmsghdr) char buffer[256] = {};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer);
    mnl_attr_put_u32(message, NFNLA_HOOK_HOOKNUM, htonl(hook));
    if (!device.empty()) mnl_attr_put_strz(message, NFNLA_HOOK_DEV, device.c_str());
    const net::Bytes attributes(static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(message)), mnl_nlmsg_get_payload_len(message));
    const nfgenmsg header{family, NFNETLINK_V0, 0};
    const net::Bytes extra(reinterpret_cast<const std::uint8_t*>(&header), sizeof header);
    const Status read = reader_.dump(kGet, extra, "hooks of netfilter", [&] { entries_.clear(); }, [&](std::uint16_t type, net::Bytes body) -> Status {
      if (type != kGet) return {};
      Result<HookEntry> entry = decode_hook(body);
      if (!entry) return forward(std::move(entry.error()));
      entries_.push_back(std::move(*entry));
      return {};
    }, attributes);
    if (read) return 0;
    return read.error().sys_errno != 0 ? read.error().sys_errno : EIO;
  }

  Reader& reader_;
  Snapshot& snapshot_;
  std::vector<HookEntry> entries_;
};

// bpf(2): a descriptor or 0; negative: an errno.
int bpf(int command, bpf_attr& attr) {
  const long done = syscall(SYS_bpf, command, &attr, sizeof attr);
  return done < 0 ? -errno : static_cast<int>(done);
}

// The head of struct bpf_link_info, and what it has of a program on a hook of netfilter's.
struct LinkInfo {
  std::uint32_t type, id, program, padding;
  std::uint32_t family, hook;
  std::int32_t priority;
  std::uint32_t flags;
  std::uint8_t rest[64];
};

// An errno.
int read_link(std::uint32_t id, LinkInfo& info) {
  bpf_attr attr{};
  attr.link_id = id;
  const int fd = bpf(BPF_LINK_GET_FD_BY_ID, attr);
  if (fd < 0) return -fd;
  const Fd link(fd);
  attr = {};
  attr.info.bpf_fd = static_cast<std::uint32_t>(link.get());
  attr.info.info_len = sizeof info;
  attr.info.info = reinterpret_cast<std::uintptr_t>(&info);
  return -bpf(BPF_OBJ_GET_INFO_BY_FD, attr);
}

void read_bpf_links(Snapshot& snapshot) {
  bpf_attr attr{};
  int error = 0;
  while ((error = bpf(BPF_LINK_GET_NEXT_ID, attr)) == 0) {
    const std::uint32_t id = attr.next_id;
    LinkInfo info{};
    const int unread = read_link(id, info);
    if (unread != 0 && unread != ENOENT)  // that one is gone meanwhile
      snapshot.unread.push_back("BPF link " + std::to_string(id) + ": " + std::strerror(unread));
    if (unread == 0 && info.type == kNetfilterLink)
      snapshot.hooks.push_back({static_cast<std::uint8_t>(info.family), info.hook, "", "a BPF program (of this network namespace or another)"});
    attr = {};
    attr.start_id = id;
  }
  // A kernel that has no such links has none of netfilter's.
  if (error != -ENOENT && error != -EINVAL && error != -ENOSYS)
    snapshot.unread.push_back(std::string("BPF programs on netfilter's hooks: ") + std::strerror(-error));
}

}  // namespace

void read_hooks(Reader& reader, Snapshot& snapshot) {
  if (!Hooks(reader, snapshot).read()) read_bpf_links(snapshot);
}

}  // namespace mvm::verify
