// A netlink socket: sends a batch and reads what the kernel answers to each of its messages. Owns the descriptor and its
// receive buffer. Touches the kernel only through that descriptor, which is opened before the process is locked.
// Proven by: tests/net/socket_test.cc, tests/net/socket_fault_test.cc (kernel).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "broker/net/batch.h"
#include "broker/net/reply.h"

namespace mvm::net {

inline constexpr std::size_t kReceiveBytes = 64 * 1024;  // a dump's datagram is at most 32 KiB
inline constexpr int kSocketBuffer = 4 * 1024 * 1024;    // an acknowledgement takes about 800 bytes of it
inline constexpr int kAnswerSeconds = 10;
inline constexpr int kDumpTries = 16;

// Is called with each data message that answers the batch. An error ends the exchange.
using Sink = std::function<Status(const Reply&)>;
// The same, with the number of the message that is answered.
using EachSink = std::function<Status(std::size_t, const Reply&)>;

class Socket {
 public:
  // `protocol` is NETLINK_ROUTE or NETLINK_NETFILTER; `buffer` in bytes, past the system's limit (needs CAP_NET_ADMIN).
  [[nodiscard]] static Result<Socket> open(int protocol, int buffer = kSocketBuffer);

  // Sends all of it at once and returns when each message that asks for it (NLM_F_ACK, NLM_F_DUMP) is answered. Answers to
  // anything else, and datagrams that are not the kernel's, are passed over.
  // The error is that of the first message, in order, that the kernel refused: kExists, kNotFound, kBusy, kUnsupported or
  // kSystem with its errno and words. kTimeout after kAnswerSeconds. kSystem with ENOBUFS where answers were lost: what then
  // holds is not known. kBusy with EINTR where a dump was torn by a change.
  [[nodiscard]] Status run(Batch& batch, const Sink& sink = {});

  // As run(), for messages that do not depend on one another: what the kernel said to each of them, in order. An error where
  // that is not known of all. Not for nftables, which refuses a transaction as a whole.
  [[nodiscard]] Result<std::vector<Status>> run_each(Batch& batch, const EachSink& sink = {});

  // A batch of one dump, again from the start while it is torn, kDumpTries times. `restart` is called before each try.
  [[nodiscard]] Status dump(Batch& batch, const std::function<void()>& restart, const Sink& sink);

 private:
  explicit Socket(Fd fd) : fd_(std::move(fd)), received_(kReceiveBytes) {}
  [[nodiscard]] Status send(Bytes bytes);
  [[nodiscard]] Result<Bytes> receive(int flags = 0);
  [[nodiscard]] Result<std::vector<Status>> exchange(Batch& batch, const EachSink& sink);
  [[nodiscard]] Result<std::vector<Status>> settle(const Batch& batch, std::uint32_t first, const EachSink& sink);
  void drain();

  Fd fd_;
  std::vector<std::uint8_t> received_;
  std::uint32_t next_seq_ = 1;
};

}  // namespace mvm::net
