// One step of the agent: read what is wanted, ask what is, plan, submit. Between steps it keeps what Memory has: which guests are deaf and how long who has
// been idle it finds out again, and who rests is in a file, so a restarted agent goes on where it was.
// Proven by: tests/planner/agent_test.cc (against a broker played by the test), and in the node VM against hostd.
#pragma once

#include <cstdint>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "planner/desired.h"
#include "planner/idle.h"
#include "planner/target.h"
#include "schemas/agent.h"
#include "schemas/broker.h"
#include "sealing/envelope.h"

namespace mvm::planner {

struct AgentConfig {
  std::string desired = "/var/lib/mvm-agentd/desired";
  std::string policy = "/etc/mvm/node.policy";
  std::string socket = wire::kBrokerSocket;
  std::string status = "/run/mvm-agentd/status.json";  // empty: none is written; `offer` and `wanted` lie beside it
  std::string sealed = "/var/lib/mvm-agentd/sealed";   // envelopes (planner/keys.h); empty: there are none
  std::string vault = "/run/mvm-vault";                // those that mvm-vault sealed; likewise
  std::string listen = wire::kAgentSocket;             // for `mvm wake` and its like (planner/api.h); empty: nobody is listened to
  std::string pressure = "/sys/fs/cgroup/memory.pressure";  // the whole node's; may be absent
};

enum class Outcome : std::uint8_t {
  kIdle,       // nothing good is wanted yet
  kConverged,  // what is wanted is
  kChanged,    // a plan ran to its end; look again at once
  kRefused,    // hostd refused the plan
  kFailed,     // part of the plan failed, or hostd could not be asked
};
[[nodiscard]] std::string_view to_string(Outcome outcome);

struct Report {
  Outcome outcome = Outcome::kIdle;
  std::uint64_t generation = 0;  // of the newest good projection; 0: none
  std::string detail;            // of a refusal or failure
  std::vector<Note> notes;
  std::vector<Unfit> unfit;
  std::set<sealing::Label> missing;  // keys and content for which instances wait
  std::vector<std::uint8_t> offer;   // to whom they are to be sealed; no bytes: to nobody
  lang::Document state;          // as it was when the step began
  bool has_state = false;
  Rests rests;                   // as this step left them
  std::set<Subject> held;
};

using Log = std::function<void(const std::string& line)>;

struct Memory {
  std::set<Subject> deaf = {};  // the guests that did not do as hostd told them
  Idle idle = {};
  std::function<std::optional<double>()> pressure = {};  // of the node's memory, in percent; may be absent
  std::optional<Idle::Time> read = {};  // when instances were read last
  std::set<Digest> uncopied = {};  // snapshots, by their lines, of which hostd could make no base: they are not tried again
};
// What is learned of a statement of the plan, where hostd says that it failed.
void remember_failure(const wire::Event& event, const lang::Document& plan, Memory& memory);
// How often they are.
[[nodiscard]] std::chrono::seconds read_every(const IdleSettings& settings);

[[nodiscard]] Report step(const AgentConfig& config, const Log& log, Memory& memory);

// The report as one JSON object.
[[nodiscard]] std::string to_json(const Report& report);

}  // namespace mvm::planner
