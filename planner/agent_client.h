// The client's end of agentd's socket, for `mvm`. One request a connection; blocks.
// Proven by: tests/planner/api_test.cc.
#pragma once

#include <chrono>
#include <string>

#include "base/error.h"
#include "schemas/agent.h"

namespace mvm::planner {

inline constexpr std::chrono::seconds kAgentTimeout{150};  // above agentd's own for a request (requests.h)

// kClosed: agentd does not answer this user, or has gone. kTimeout.
[[nodiscard]] Result<wire::AgentAnswer> ask_agent(const std::string& socket_path, const wire::AgentRequest& request);

}  // namespace mvm::planner
