#include "broker/net/socket.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace mvm::net {
namespace {

Errc code_of(int error) {
  switch (error) {
    case EEXIST: return Errc::kExists;
    case ENOENT:
    case ENODEV: return Errc::kNotFound;
    case EBUSY: return Errc::kBusy;
    case EOPNOTSUPP: return Errc::kUnsupported;
    default: return Errc::kSystem;
  }
}

// Which answers to one batch are in. A message is waited for where it asks to be answered; an error also answers one that
// did not ask (a whole nftables batch is refused by an error to its first message).
class Ledger {
 public:
  explicit Ledger(const Batch& batch) : batch_(batch), waits_(batch.count()), said_(batch.count()) {
    Bytes rest = batch.bytes();
    for (std::size_t i = 0; i < waits_.size(); ++i) {
      const nlmsghdr header = *read_value<nlmsghdr>(rest);
      waits_[i] = (header.nlmsg_flags & NLM_F_ACK) != 0 || (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
      open_ += waits_[i];
      rest = rest.subspan(NLMSG_ALIGN(std::size_t{header.nlmsg_len}));
    }
  }

  [[nodiscard]] bool settled() const { return open_ == 0 || refused_whole_; }

  void answer(std::size_t index, const Reply& reply) {
    if (reply.error != 0) {
      Error refused{code_of(reply.error), reply.error, batch_.label(index).tried, batch_.label(index).on};
      if (!reply.text.empty()) refused.on += ": " + reply.text;
      said_[index] = forward(std::move(refused));
    }
    if (waits_[index]) {
      waits_[index] = false;
      --open_;
    } else if (reply.error != 0) {
      refused_whole_ = true;
    }
  }

  // What was said to each message; of a batch that is refused as a whole, to those that an error named.
  [[nodiscard]] std::vector<Status> said() && { return std::move(said_); }

 private:
  const Batch& batch_;
  std::vector<bool> waits_;
  std::size_t open_ = 0;
  bool refused_whole_ = false;
  std::vector<Status> said_;
};

Status set_option(int fd, int level, int option, const void* value, socklen_t size, const char* what) {
  if (setsockopt(fd, level, option, value, size) == 0) return {};
  const int saved = errno;
  return fail_errno(saved, "set up a netlink socket", what);
}

Status set_up(int fd, int protocol, int buffer) {
  const int on = 1;
  const timeval patience{kAnswerSeconds, 0};
  Status set = set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer, "SO_RCVBUFFORCE");
  if (set) set = set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBuffer, sizeof kSocketBuffer, "SO_SNDBUFFORCE");
  if (set) set = set_option(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience, "SO_RCVTIMEO");
  if (set) set = set_option(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on, "NETLINK_CAP_ACK");
  if (set) set = set_option(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on, "NETLINK_EXT_ACK");
  // Without it the kernel reads less of a dump's filters and gives back more.
  if (set && protocol == NETLINK_ROUTE)
    set = set_option(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on, "NETLINK_GET_STRICT_CHK");
  return set;
}

}  // namespace

Result<Socket> Socket::open(int protocol, int buffer) {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) {
    const int saved = errno;
    return fail_errno(saved, "open a netlink socket", protocol == NETLINK_ROUTE ? "NETLINK_ROUTE" : "NETLINK_NETFILTER");
  }
  if (Status set = set_up(fd.get(), protocol, buffer); !set) return forward(std::move(set.error()));
  sockaddr_nl self{};
  self.nl_family = AF_NETLINK;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&self), sizeof self) != 0) {
    const int saved = errno;
    return fail_errno(saved, "bind a netlink socket");
  }
  return Socket(std::move(fd));
}

Status Socket::send(Bytes bytes) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  while (true) {
    const ssize_t sent = sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
    const int saved = errno;
    if (sent == static_cast<ssize_t>(bytes.size())) return {};
    if (sent >= 0) return fail(Errc::kSystem, "send to the kernel", "a part was taken");
    if (saved != EINTR) return fail_errno(saved, "send to the kernel");
  }
}

// The next datagram of the kernel's.
Result<Bytes> Socket::receive(int flags) {
  while (true) {
    sockaddr_nl from{};
    iovec into{received_.data(), received_.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    const ssize_t size = recvmsg(fd_.get(), &message, flags);
    const int saved = errno;
    if (size < 0 && saved == EINTR) continue;
    if (size < 0 && saved == EAGAIN) return fail(Errc::kTimeout, "wait for the kernel's answer");
    if (size < 0) return fail_errno(saved, "read the kernel's answer");
    if (message.msg_namelen != sizeof from || from.nl_pid != 0) continue;
    if ((message.msg_flags & MSG_TRUNC) != 0) return fail(Errc::kLimit, "read the kernel's answer", "bytes in one datagram");
    return Bytes(received_.data(), static_cast<std::size_t>(size));
  }
}

// After answers were lost the kernel drops all further ones until there is nothing left to read (netlink_rcv_wake).
void Socket::drain() {
  while (true) {
    const Result<Bytes> left = receive(MSG_DONTWAIT);
    if (!left && left.error().sys_errno != ENOBUFS) return;
  }
}

Result<std::vector<Status>> Socket::settle(const Batch& batch, std::uint32_t first, const EachSink& sink) {
  Ledger ledger(batch);
  bool torn = false;
  while (!ledger.settled()) {
    const Result<Bytes> datagram = receive();
    if (!datagram) return forward(datagram.error());
    const Result<std::vector<Reply>> replies = decode_replies(*datagram);
    if (!replies) return forward(replies.error());
    for (const Reply& reply : *replies) {
      const std::size_t index = reply.seq - first;
      if (index >= batch.count()) continue;  // an answer to a batch that was given up
      torn |= reply.interrupted;
      if (reply.kind != ReplyKind::kData) ledger.answer(index, reply);
      else if (sink)
        if (Status taken = sink(index, reply); !taken) return forward(std::move(taken.error()));
    }
  }
  std::vector<Status> said = std::move(ledger).said();
  if (torn && std::ranges::all_of(said, &Status::has_value)) return forward(Error{Errc::kBusy, EINTR, batch.label(0).tried, batch.label(0).on});
  return said;
}

Result<std::vector<Status>> Socket::exchange(Batch& batch, const EachSink& sink) {
  const std::uint32_t first = next_seq_;
  next_seq_ += static_cast<std::uint32_t>(batch.count());
  batch.number(first);
  if (Status sent = send(batch.bytes()); !sent) return forward(std::move(sent.error()));
  return settle(batch, first, sink);
}

Status Socket::run(Batch& batch, const Sink& sink) {
  const auto each = [&](std::size_t, const Reply& reply) { return sink ? sink(reply) : Status{}; };
  Result<std::vector<Status>> said = exchange(batch, each);
  if (!said) {
    drain();
    return forward(std::move(said.error()));
  }
  const auto refused = std::ranges::find_if_not(*said, &Status::has_value);
  if (refused == said->end()) return {};
  drain();
  return std::move(*refused);
}

Result<std::vector<Status>> Socket::run_each(Batch& batch, const EachSink& sink) {
  if (batch.count() == 0) return std::vector<Status>{};
  Result<std::vector<Status>> said = exchange(batch, sink);
  if (!said) drain();
  return said;
}

Status Socket::dump(Batch& batch, const std::function<void()>& restart, const Sink& sink) {
  Status done;
  for (int i = 0; i < kDumpTries; ++i) {
    restart();
    done = run(batch, sink);
    if (done || done.error().code != Errc::kBusy || done.error().sys_errno != EINTR) break;
  }
  return done;
}

}  // namespace mvm::net
