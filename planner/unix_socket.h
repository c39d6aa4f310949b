// What the two ends of agentd's conversations on this node, with hostd and with people, have in common: Unix sockets that keep packets apart.
// `tried` is what an error says was tried.
// Proven by: tests/planner/agent_test.cc, tests/planner/api_test.cc.
#pragma once

#include <sys/un.h>

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace mvm::planner {

// kLimit: the path is too long for an address (unix(7)).
[[nodiscard]] Result<sockaddr_un> unix_address(const std::string& path, const char* tried);
// A blocking SOCK_SEQPACKET that is connected to whoever listens there.
[[nodiscard]] Result<Fd> connect_to(const std::string& path, const char* tried);
// `timeout_ms` as of poll(2): -1 waits for ever. kTimeout.
[[nodiscard]] Status wait_readable(const Fd& socket, int timeout_ms, const char* tried);

}  // namespace mvm::planner
