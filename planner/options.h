// What agentd is told when it is started. Proven by: tests/planner/options_test.cc.
#pragma once

#include <optional>
#include <span>

#include "planner/agent.h"

namespace mvm::planner {

struct Options {
  AgentConfig config;
  IdleSettings idle = kNobodyRests;
  bool once = false;
};

inline constexpr const char* kUsage =
    "usage: mvm-agentd [--desired DIR] [--policy FILE] [--socket PATH] [--status FILE] [--sealed DIR] [--vault DIR] [--listen PATH]\n"
    "       [--idle] [--idle-warm SECONDS] [--idle-sleep SECONDS] [--idle-pressure PERCENT] [--once]\n"
    "Reads signed projections in DIR, and brings this node to the newest. Keys that it needs are sealed to hostd's offer, which it\n"
    "writes beside the status file, with what it misses, and lie in the directories of --sealed and --vault. --status '', --sealed '', --vault '',\n"
    "--listen '': there is none.\n"
    "--idle: an instance that is idle for so long is paused (300), or put to sleep (900); 0: never. Where memory is short for that share of the time\n"
    "(10), the coldest are put to sleep before; 0: never. Without --idle nothing is paused or put to sleep for being idle.\n"
    "--once: stop as soon as the node is as wanted (exit 0), or a step fails (1) or is refused (2).\n";

// Without the name of the program. Nothing: they are not as kUsage has them.
[[nodiscard]] std::optional<Options> parse_options(std::span<const char* const> arguments);

}  // namespace mvm::planner
