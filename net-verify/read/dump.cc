#include "net-verify/read/dump.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

namespace mvm::verify {
namespace {

constexpr std::size_t kRequestBytes = 4096;

}  // namespace

Result<Reader> Reader::open(int protocol) {
  mnl_socket* socket = mnl_socket_open2(protocol, SOCK_CLOEXEC);
  if (socket == nullptr) {
    const int saved = errno;
    return fail_errno(saved, "open a netlink socket");
  }
  Reader reader(socket);
  const timeval patience{kAnswerSeconds, 0};
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
      setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) {
    const int saved = errno;
    return fail_errno(saved, "set up a netlink socket");
  }
  const int on = 1;  // where the kernel knows it, dumps do what they are asked for
  (void)setsockopt(mnl_socket_get_fd(socket), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return reader;
}

Status Reader::ask(std::uint16_t type, std::uint16_t flags, net::Bytes extra, net::Bytes attributes, const std::string& what) {
  alignas(nlmsghdr) char buffer[kRequestBytes] = {};
  if (NLMSG_HDRLEN + NLMSG_ALIGN(extra.size()) + attributes.size() > sizeof buffer) return fail(Errc::kLimit, "ask the kernel for", what);
  nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = ++sequence_;
  std::memcpy(mnl_nlmsg_put_extra_header(header, extra.size()), extra.data(), extra.size());
  if (!attributes.empty()) std::memcpy(mnl_nlmsg_put_extra_header(header, attributes.size()), attributes.data(), attributes.size());
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) {
    const int saved = errno;
    return fail_errno(saved, "ask the kernel for", what);
  }
  return {};
}

Result<bool> Reader::answers(const std::string& what, const Sink& sink) {
  bool torn = false;
  while (true) {
    const ssize_t size = mnl_socket_recvfrom(socket_.get(), received_.data(), received_.size());
    const int saved = errno;
    if (size < 0 && saved == EINTR) continue;
    if (size < 0 && saved == EAGAIN) return fail(Errc::kTimeout, "read", what);
    if (size < 0) return fail_errno(saved, "read", what);
    int left = static_cast<int>(size);
    const auto* header = reinterpret_cast<const nlmsghdr*>(received_.data());
    for (; mnl_nlmsg_ok(header, left); header = mnl_nlmsg_next(header, &left)) {
      if (header->nlmsg_seq != sequence_) continue;
      torn = torn || (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      const net::Bytes body(static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(header)), mnl_nlmsg_get_payload_len(header));
      if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
        const int code = net::read_value<std::int32_t>(body).value_or(0);
        if (code != 0) return fail_errno(-code, "read", what);
        return torn;
      }
      if (Status taken = sink(header->nlmsg_type, body); !taken) return forward(std::move(taken.error()));
      if ((header->nlmsg_flags & NLM_F_MULTI) == 0 && header->nlmsg_type >= NLMSG_MIN_TYPE) return torn;
    }
    if (left != 0) return fail(Errc::kMalformed, "read", what);
  }
}

Status Reader::dump(std::uint16_t type, net::Bytes extra, const std::string& what, const std::function<void()>& restart, const Sink& sink,
                    net::Bytes attributes) {
  for (int i = 0; i < kDumpTries; ++i) {
    restart();
    if (Status asked = ask(type, NLM_F_DUMP, extra, attributes, what); !asked) return asked;
    const Result<bool> torn = answers(what, sink);
    if (!torn && torn.error().sys_errno != EINTR) return forward(torn.error());
    if (torn && !*torn) return {};
  }
  return fail(Errc::kBusy, "read", what + ", which changes all the time");
}

Status Reader::get(std::uint16_t type, net::Bytes extra, const std::string& what, const Sink& sink) {
  if (Status asked = ask(type, 0, extra, {}, what); !asked) return asked;
  const Result<bool> done = answers(what, sink);
  return done ? Status{} : forward(done.error());
}

}  // namespace mvm::verify
