// The client side of one VMM's API socket. The VMM may be hostile: it is connected to without following a name it could
// have changed, it must be the jail's own process, what it answers is parsed by ResponseParser, and every call ends by a
// deadline (a VMM may never answer).
// Owns the connection. Proven by: tests/jail/api_test.cc, tests/jail/jail_kernel_test.cc.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "broker/jail/deadline.h"
#include "broker/jail/http_response.h"
#include "broker/jail/vmm_socket.h"

namespace mvm::jail {

inline constexpr std::chrono::milliseconds kCallTime{5'000};
// InstanceStart reads the kernel from disk and sets up KVM; seconds where KVM is emulated.
inline constexpr std::chrono::milliseconds kStartTime{30'000};

class Api {
 public:
  // A connection to `socket`, which is ours and non-blocking.
  explicit Api(Fd socket) : socket_(std::move(socket)) {}

  // As connect_to_vmm() (vmm_socket.h).
  [[nodiscard]] static Result<Api> connect(int jail_root, const Peer& peer);

  // One request and its answer. kTimeout, kClosed, kMalformed, kLimit: the connection is of no more use.
  [[nodiscard]] Result<Response> call(std::string_view method, std::string_view path, std::string_view body, Deadline deadline);

  // The two halves of a change(): a request, and what is said to it.
  [[nodiscard]] Status ask(std::string_view method, std::string_view path, std::string_view body, Deadline deadline);
  [[nodiscard]] Status changed(std::string_view method, std::string_view path, Deadline deadline);
  // Whether there is something to be heard, or the VMM has gone, before then.
  [[nodiscard]] bool says_something(Deadline deadline) const;

  // PUT or PATCH that is answered with 204. kDenied: with anything else; what was said is in the error, quoted.
  [[nodiscard]] Status change(std::string_view method, std::string_view path, std::string_view body, Deadline deadline);

  // "firecracker_version" of GET /version; "state" of GET /.
  [[nodiscard]] Result<std::string> version(Deadline deadline);
  [[nodiscard]] Result<std::string> state(Deadline deadline);

 private:
  [[nodiscard]] Result<Response> answer(std::string_view method, std::string_view path, Deadline deadline);
  [[nodiscard]] Result<std::string> field(std::string_view path, std::string_view name, Deadline deadline);
  Fd socket_;
};

}  // namespace mvm::jail
