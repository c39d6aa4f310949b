// The descriptors that come with a message (unix(7), SCM_RIGHTS). Proven by: tests/supervisor/refusal_test.cc, tests/pages/handover_test.cc,
// tests/snapshot/hand_over_test.cc.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "base/fd.h"

namespace mvm {

// All that recvmsg(2) has put into the message's control part, so that none of them stays open unknown.
[[nodiscard]] std::vector<Fd> descriptors_in(msghdr& message);

}  // namespace mvm
