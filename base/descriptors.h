// The descriptors that come with a message (unix(7), SCM_RIGHTS). Proven by: tests/base/descriptors_test.cc, tests/supervisor/refusal_test.cc,
// tests/pages/handover_test.cc.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace mvm {

inline constexpr std::size_t kMaxDescriptors = 5;  // that go with one packet

// All that recvmsg(2) has put into the message's control part, so that none of them stays open unknown.
[[nodiscard]] std::vector<Fd> descriptors_in(msghdr& message);

// One packet with at most kMaxDescriptors descriptors, whole or not at all. Does not wait: EAGAIN where there is no room.
[[nodiscard]] Status send_with_descriptors(int socket, std::span<const std::uint8_t> packet, std::span<const int> descriptors);
// The next packet, which fills `packet` and has as many descriptors. Does not wait. kNotFound: there is none. kClosed: the other end has gone.
// kMalformed: it is shorter or longer, or has another number of descriptors; they are closed.
[[nodiscard]] Result<std::vector<Fd>> receive_with_descriptors(int socket, std::span<std::uint8_t> packet, std::size_t descriptors);

}  // namespace mvm
