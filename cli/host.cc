#include "cli/host.h"

#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "policy-lang/parse.h"

namespace mvm::cli {

Result<planner::BrokerClient> connect_host(const HostOptions& options) {
  if (geteuid() != 0) return planner::BrokerClient::connect(options.socket);
  errno = 0;
  const passwd* user = getpwnam(options.user.c_str());
  if (user == nullptr) return fail(Errc::kNotFound, "find the agent's user", options.user);
  if (setegid(user->pw_gid) != 0 || seteuid(user->pw_uid) != 0) return fail_errno(errno, "become the agent's user", options.user);
  auto client = planner::BrokerClient::connect(options.socket);
  if (seteuid(0) != 0 || setegid(0) != 0) std::abort();  // half of one and half of the other is nobody we know
  return client;
}

TextResult<lang::Document> host_state(const HostOptions& options) {
  auto client = connect_host(options);
  if (!client) return std::unexpected(TextError(client.error()));
  auto text = client->state();
  if (!text) return std::unexpected(TextError(text.error()));
  auto state = lang::parse(lang::Kind::kState, *text);
  if (!state) return std::unexpected(TextError(state.error()));
  return std::move(*state);
}

}  // namespace mvm::cli
