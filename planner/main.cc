// mvm-agentd: turns signed projections that lie in a directory into plans, and submits them to hostd. No privilege at all: what
// it sends is held to the signature and to the node's policy by hostd, which does not trust it.
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "base/fd.h"
#include "planner/agent.h"
#include "planner/files.h"

namespace {

using mvm::planner::AgentConfig;
using mvm::planner::Outcome;
using mvm::planner::Report;

constexpr int kIntervalMs = 5'000;    // how long an agent that has nothing to do waits before it looks at the host again
constexpr int kFirstRetryMs = 500;    // after a failure; doubled up to kIntervalMs * 6
constexpr int kMaxRetryMs = kIntervalMs * 6;
constexpr int kChangesInARow = 16;    // after so many plans without rest, something keeps falling over: slow down

void log_line(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

struct Options {
  AgentConfig config;
  bool once = false;
};

int usage() {
  std::fputs(
      "usage: mvm-agentd [--desired DIR] [--policy FILE] [--socket PATH] [--status FILE] [--once]\n"
      "Reads signed projections in DIR, and brings this node to the newest.\n"
      "--once: stop as soon as the node is as wanted (exit 0), or a step fails (1) or is refused (2).\n",
      stderr);
  return 64;  // EX_USAGE
}

bool parse_options(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--once") {
      options.once = true;
      continue;
    }
    std::string* target = name == "--desired" ? &options.config.desired
                          : name == "--policy" ? &options.config.policy
                          : name == "--socket" ? &options.config.socket
                          : name == "--status" ? &options.config.status
                                               : nullptr;
    if (target == nullptr || i + 1 == argc) return false;
    *target = argv[++i];
  }
  return true;
}

// Says what is new since the last report, and writes the status file.
void tell(const Report& report, const AgentConfig& config, std::string& last) {
  const std::string json = to_json(report);
  if (json == last) return;
  last = json;
  log_line(std::string(to_string(report.outcome)) + ", generation " + std::to_string(report.generation) +
           (report.detail.empty() ? "" : ": " + report.detail));
  for (const auto& note : report.notes) log_line("note: " + to_string(note.subject) + ": " + note.text);
  for (const auto& unfit : report.unfit) log_line("unfit: " + unfit.file + ": " + unfit.why);
  if (config.status.empty()) return;
  if (auto written = mvm::planner::replace_file(config.status, json, 0644); !written) log_line(written.error().message());
}

// Until something changes in the directory, or the time is over.
void wait_for_change(int inotify_fd, int milliseconds) {
  pollfd wanted{inotify_fd, POLLIN, 0};
  if (poll(&wanted, inotify_fd < 0 ? 0 : 1, milliseconds) <= 0) return;
  alignas(inotify_event) char events[4096];
  if (read(inotify_fd, events, sizeof events) < 0) log_line("the watched directory cannot be read");
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse_options(argc, argv, options)) return usage();
  const mvm::Fd changes(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (inotify_add_watch(changes.get(), options.config.desired.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE) < 0) {
    log_line("cannot watch " + options.config.desired + ": " + std::strerror(errno));
    return 1;
  }
  std::string last;
  int retry = kFirstRetryMs;
  int changes_in_a_row = 0;
  while (true) {
    const Report report = mvm::planner::step(options.config, log_line);
    tell(report, options.config, last);
    switch (report.outcome) {
      case Outcome::kChanged:
        retry = kFirstRetryMs;
        if (++changes_in_a_row % kChangesInARow == 0) wait_for_change(changes.get(), kIntervalMs);
        continue;
      case Outcome::kIdle:
      case Outcome::kConverged:
        if (options.once) return 0;
        retry = kFirstRetryMs;
        changes_in_a_row = 0;
        wait_for_change(changes.get(), kIntervalMs);
        break;
      case Outcome::kRefused:
      case Outcome::kFailed:
        if (options.once) return report.outcome == Outcome::kRefused ? 2 : 1;
        wait_for_change(changes.get(), retry);
        retry = std::min(retry * 2, kMaxRetryMs);
        break;
    }
  }
}
