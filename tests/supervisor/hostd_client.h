// What a test asks of a hostd, as agentd would, wherever that hostd is.
#pragma once

#include <string>
#include <vector>

#include "planner/broker_client.h"
#include "tests/supervisor/scene.h"

namespace mvm::test {

struct Reply {
  Result<wire::Event> last = fail(Errc::kClosed, "submit");
  std::vector<wire::Event> events;
};

class HostdClient {
 public:
  HostdClient() = default;
  virtual ~HostdClient() = default;
  HostdClient(const HostdClient&) = delete;
  HostdClient& operator=(const HostdClient&) = delete;

  [[nodiscard]] virtual std::string socket() const = 0;

  Reply submit(const std::string& plan, const std::string& projection, wire::Mode mode = wire::Mode::kApply) {
    return submit(plan, projection, Key().sign(projection), mode);
  }
  Reply submit(const std::string& plan, const std::string& projection, const Signature& signature, wire::Mode mode = wire::Mode::kApply) {
    Reply reply;
    auto client = planner::BrokerClient::connect(socket());
    if (!client) {
      reply.last = forward(client.error());
      return reply;
    }
    reply.last = client->submit({plan, projection, signature, {}, mode}, [&](const wire::Event& event) { reply.events.push_back(event); });
    return reply;
  }
  // Plans from what is to those lines, and submits it.
  Reply reach(const std::vector<lang::Statement>& lines, std::uint64_t generation = 1) {
    const std::string projection = projection_text(generation);
    return submit(plan_text(state(), lines, projection), projection);
  }
  lang::Document state() {
    auto client = planner::BrokerClient::connect(socket());
    if (!client) return empty_state();
    const auto text = client->state();
    return text ? parsed(lang::Kind::kState, *text) : empty_state();
  }
};

}  // namespace mvm::test
