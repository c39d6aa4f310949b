// agentd's own socket, for people on this node: who may ask, one bounded request a connection, one answer. Never waits.
// Owns the listener and the connections. Proven by: tests/planner/api_test.cc, fuzz/agent_request_fuzz.cc.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "schemas/agent.h"

namespace mvm::planner {

// A connection more takes the place of the oldest that has asked nothing yet; where all have, it is closed.
inline constexpr std::size_t kMaxApiConnections = 8;

// Root, and of the others who has that user or that group as his own: agentd's.
struct Peers {
  uid_t user = 0;
  gid_t group = 0;
};

class Api {
 public:
  using Who = std::uint64_t;
  struct Asked {
    Who who = 0;
    wire::AgentRequest request;
  };

  // At that path, in the place of what an agentd before left there. Mode 0660.
  [[nodiscard]] static Result<Fd> listen_at(const std::string& path);
  Api(Fd listener, Peers peers) : listener_(std::move(listener)), peers_(peers) {}

  // Adds what is to be polled.
  void add_to(std::vector<pollfd>& polled) const;
  // What add_to() added, polled: what has been asked since.
  [[nodiscard]] std::vector<Asked> take(std::span<const pollfd> polled);
  // Of who has gone meanwhile, nothing.
  void answer(Who who, const wire::AgentAnswer& answer);

 private:
  struct Connection {
    Who who;
    Fd socket;
    bool asked = false;
  };
  void accept_all();
  [[nodiscard]] bool may_ask(int socket) const;

  Fd listener_;
  Peers peers_;
  std::list<Connection> connections_;  // oldest first
  Who next_ = 1;
};

}  // namespace mvm::planner
