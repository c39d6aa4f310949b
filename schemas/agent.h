// What is asked of agentd on /run/mvm-agentd/agentd.sock, and what it answers, as plain values. FlatBuffers (schemas/agent.fbs) only carry it, and
// the one checked decoder of each message is here. There is no other request: what is to be on this node, the coordinator signs.
// Socket: SOCK_SEQPACKET, one request and one answer a connection, no descriptors. Malformed bytes close it.
// Proven by: tests/schemas/agent_test.cc, fuzz/agent_request_fuzz.cc, fuzz/agent_answer_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/ids.h"

namespace mvm::wire {

inline constexpr const char* kAgentSocket = "/run/mvm-agentd/agentd.sock";
inline constexpr std::size_t kMaxAgentMessage = 1024;        // bytes, of a request and of an answer
inline constexpr std::uint32_t kMaxWakes = 100;              // the most that a pool's count can be
inline constexpr std::uint32_t kMaxHold = 7 * 24 * 60 * 60;  // seconds
inline constexpr std::size_t kMaxWhy = 400;                  // bytes

// So many of the pool's instances are to run. Those that do count; of those that rest, the ones that were busy last are woken first.
struct WakePool {
  Subject pool;
  std::uint32_t count = 1;  // 1 to kMaxWakes
  bool operator==(const WakePool&) const = default;
};
// Nothing is done to the instance for so long; 0: a hold ends.
struct HoldInstance {
  Subject instance;
  std::uint32_t seconds = 0;  // at most kMaxHold
  bool operator==(const HoldInstance&) const = default;
};
// It is put to sleep, and sleeps until it is woken.
struct RestInstance {
  Subject instance;
  bool operator==(const RestInstance&) const = default;
};
using AgentRequest = std::variant<WakePool, HoldInstance, RestInstance>;

struct AgentAnswer {
  bool done = false;
  std::uint32_t awake = 0;  // of WakePool: how many run now
  std::uint32_t woken = 0;  // and how many of them this request woke
  std::string why;          // where it is not done; printable ASCII
  bool operator==(const AgentAnswer&) const = default;
};

[[nodiscard]] std::vector<std::uint8_t> encode(const AgentRequest& request);
[[nodiscard]] Result<AgentRequest> decode_agent_request(std::span<const std::uint8_t> bytes);
// Cuts `why` at its limit and replaces what is not printable ASCII by '?'.
[[nodiscard]] std::vector<std::uint8_t> encode(const AgentAnswer& answer);
[[nodiscard]] Result<AgentAnswer> decode_agent_answer(std::span<const std::uint8_t> bytes);

}  // namespace mvm::wire
