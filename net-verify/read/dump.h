// A netlink socket that only reads. Owns the descriptor. Changes nothing in the kernel.
// Proven by: tests/net-verify/verify_kernel_test.cc.
#pragma once

#include <libmnl/libmnl.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/owned.h"
#include "broker/net/attributes.h"

namespace mvm::verify {

inline constexpr std::size_t kReceiveBytes = 256 * 1024;  // a dump's datagram is at most 32 KiB
inline constexpr int kDumpTries = 16;
inline constexpr int kAnswerSeconds = 10;

// Is called with the type and body of each message that answers.
using Sink = std::function<Status(std::uint16_t type, net::Bytes body)>;

class Reader {
 public:
  // NETLINK_ROUTE or NETLINK_NETFILTER.
  [[nodiscard]] static Result<Reader> open(int protocol);

  // A request whose header behind nlmsghdr is `extra`, then `attributes` as they are. Asked again, after `restart`, while the
  // kernel says that what it listed changed under it. kSystem with the kernel's errno; kTimeout after kAnswerSeconds; kBusy
  // where it still changes after kDumpTries.
  [[nodiscard]] Status dump(std::uint16_t type, net::Bytes extra, const std::string& what, const std::function<void()>& restart, const Sink& sink,
                            net::Bytes attributes = {});
  // The same for a single answer.
  [[nodiscard]] Status get(std::uint16_t type, net::Bytes extra, const std::string& what, const Sink& sink);

 private:
  explicit Reader(mnl_socket* socket) : socket_(socket), received_(kReceiveBytes) {}
  [[nodiscard]] Status ask(std::uint16_t type, std::uint16_t flags, net::Bytes extra, net::Bytes attributes, const std::string& what);
  // Whether the answer was torn.
  [[nodiscard]] Result<bool> answers(const std::string& what, const Sink& sink);

  Owned<mnl_socket, &mnl_socket_close> socket_;
  std::vector<std::uint8_t> received_;
  std::uint32_t sequence_ = 0;
};

}  // namespace mvm::verify
