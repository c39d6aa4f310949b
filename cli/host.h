// The host's own hostd, asked as the agent's user: hostd answers nobody else, root included.
#pragma once

#include <string>

#include "base/error.h"
#include "cli/texts.h"
#include "planner/broker_client.h"

namespace mvm::cli {

struct HostOptions {
  std::string socket = wire::kBrokerSocket;
  std::string user = "mvm";  // whose uid connects, where we are root
};

// As root: connects with the effective uid and gid of `user` (the kernel notes them at connect(2)) and goes back.
[[nodiscard]] Result<planner::BrokerClient> connect_host(const HostOptions& options);
[[nodiscard]] TextResult<lang::Document> host_state(const HostOptions& options);

}  // namespace mvm::cli
