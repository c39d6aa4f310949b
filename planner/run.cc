#include "planner/run.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "broker/sandbox/enter.h"
#include "planner/agent.h"
#include "planner/files.h"
#include "planner/held.h"
#include "planner/signing.h"
#include "sealing/wanted.h"

namespace mvm::planner {
namespace {

constexpr int kIntervalMs = 5'000;    // how long an agent that has nothing to do waits before it looks at the host again
constexpr int kFirstRetryMs = 500;    // after a failure; doubled up to kIntervalMs * 6
constexpr int kMaxRetryMs = kIntervalMs * 6;
constexpr int kChangesInARow = 16;    // after so many plans without rest, something keeps falling over: slow down
constexpr unsigned kStatusMode = 0644;

void log_line(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

struct Options {
  AgentConfig config;
  bool once = false;
};

int usage() {
  std::fputs(
      "usage: mvm-agentd [--desired DIR] [--policy FILE] [--socket PATH] [--status FILE] [--sealed DIR] [--vault DIR] [--once]\n"
      "Reads signed projections in DIR, and brings this node to the newest. Keys that it needs are sealed to hostd's offer, which it\n"
      "writes beside the status file, with what it misses, and lie in the directories of --sealed and --vault. --status '', --sealed '', --vault '':\n"
      "there is none.\n"
      "--once: stop as soon as the node is as wanted (exit 0), or a step fails (1) or is refused (2).\n",
      stderr);
  return EX_USAGE;
}

std::optional<Options> parse_options(int argc, char** argv) {
  Options options;
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
                          : name == "--sealed" ? &options.config.sealed
                          : name == "--vault" ? &options.config.vault
                                               : nullptr;
    if (target == nullptr || i + 1 == argc) return std::nullopt;
    *target = argv[++i];
  }
  return options;
}

struct Opened {
  Fd changes;  // inotify, of the directories of projections and of envelopes
  std::vector<Held> places;
};

Result<Opened> open_all(const AgentConfig& config) {
  Opened opened{Fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), {}};
  for (const std::string& watched : {config.desired, config.sealed, config.vault}) {
    if (watched.empty() || inotify_add_watch(opened.changes.get(), watched.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_DELETE) >= 0) continue;
    const int saved = errno;
    return fail_errno(saved, "watch", watched);
  }
  std::vector<std::pair<std::string_view, std::string>> wanted = {{"$desired", config.desired}, {"$policy", directory_of(config.policy)}};
  if (!config.status.empty()) wanted.emplace_back("$status", directory_of(config.status));
  if (!config.sealed.empty()) wanted.emplace_back("$sealed", config.sealed);
  if (!config.vault.empty()) wanted.emplace_back("$vault", config.vault);
  for (auto& [name, path] : wanted) {
    auto held = hold(name, std::move(path));
    if (!held) return forward(held.error());
    opened.places.push_back(*std::move(held));
  }
  // libcrypto reads its configuration, and loads what that names, when it is first used.
  if (auto works = check_signatures_work(); !works) return forward(works.error());
  return opened;
}

// An agent without a status file or without envelopes has no place for them, and is granted none.
void lock_up(const sandbox::Grants& grants, const std::vector<Held>& held) {
  std::vector<sandbox::Place> places;
  for (const Held& each : held) places.push_back({each.name, each.fd.get()});
  std::vector<sandbox::PathGrant> paths(grants.paths.begin(), grants.paths.end());
  for (const std::string_view optional : {"$status", "$sealed", "$vault"}) {
    if (std::ranges::find(held, optional, &Held::name) == held.end()) std::erase_if(paths, [&](const auto& grant) { return grant.path == optional; });
  }
  sandbox::Grants mine = grants;
  mine.paths = paths;
  sandbox::enter_or_exit(mine, places);
}

// What was last said, so that it is said once.
struct Told {
  std::string status;
  std::optional<std::vector<std::uint8_t>> offer, wanted;
};

// A file beside the status file; without bytes there is none.
void publish(const char* name, const std::vector<std::uint8_t>& bytes, const AgentConfig& config, std::optional<std::vector<std::uint8_t>>& told) {
  if (told == bytes) return;
  const std::string path = directory_of(config.status) + "/" + name;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const Status written = bytes.empty() ? remove_file(path) : replace_file(path, text, kStatusMode);
  if (!written) return log_line(written.error().message());
  told = bytes;
}

// What is missed, with the offer that it is to be sealed to. Where there is too much of it, the rest is wanted when that has come.
std::vector<std::uint8_t> wanted_of(const Report& report) {
  std::vector<sealing::Label> labels(report.missing.begin(), report.missing.end());
  labels.resize(std::min(labels.size(), sealing::kMaxWantedLabels));
  return sealing::write_wanted(report.offer, report.generation, labels).value_or(std::vector<std::uint8_t>{});
}

// For who seals. An agent that cannot ask hostd leaves both as they are: sealed to a start that is over, a key is of no use to anyone.
void publish_what_is_wanted(const Report& report, const AgentConfig& config, Told& told) {
  if (config.status.empty() || !report.has_state) return;
  publish("offer", report.offer, config, told.offer);
  publish("wanted", wanted_of(report), config, told.wanted);
}

// Says what is new since the last report, and writes the status file. What could not be written is told again.
void tell(const Report& report, const AgentConfig& config, Told& told) {
  publish_what_is_wanted(report, config, told);
  const std::string json = to_json(report);
  if (json == told.status) return;
  told.status = json;
  log_line(std::string(to_string(report.outcome)) + ", generation " + std::to_string(report.generation) +
           (report.detail.empty() ? "" : ": " + report.detail));
  for (const auto& note : report.notes) log_line("note: " + to_string(note.subject) + ": " + note.text);
  for (const auto& unfit : report.unfit) log_line("unfit: " + unfit.file + ": " + unfit.why);
  if (config.status.empty()) return;
  if (auto written = replace_file(config.status, json, kStatusMode); !written) {
    log_line(written.error().message());
    told.status.clear();
  }
}

// Until something changes in a directory, or the time is over.
void wait_for_change(const Fd& changes, int milliseconds) {
  pollfd wanted{changes.get(), POLLIN, 0};
  if (poll(&wanted, 1, milliseconds) <= 0) return;
  alignas(inotify_event) char events[4096];
  if (read(changes.get(), events, sizeof events) < 0) log_line("the watched directory cannot be read");
}

int serve(const Options& options, const Opened& opened) {
  Told told;
  std::set<Subject> deaf;  // guests that did not do as they were told
  int retry = kFirstRetryMs;
  int changes_in_a_row = 0;
  while (true) {
    for (const Held& held : opened.places) {
      if (is_still_there(held)) continue;
      log_line("mvm-agentd: " + held.path + " is no longer the directory that it may use: it has to be started again");
      return EX_TEMPFAIL;
    }
    const Report report = step(options.config, log_line, deaf);
    tell(report, options.config, told);
    switch (report.outcome) {
      case Outcome::kChanged:
        retry = kFirstRetryMs;
        if (++changes_in_a_row % kChangesInARow == 0) wait_for_change(opened.changes, kIntervalMs);
        continue;
      case Outcome::kIdle:
      case Outcome::kConverged:
        if (options.once) return EX_OK;
        retry = kFirstRetryMs;
        changes_in_a_row = 0;
        wait_for_change(opened.changes, kIntervalMs);
        break;
      case Outcome::kRefused:
      case Outcome::kFailed:
        if (options.once) return report.outcome == Outcome::kRefused ? 2 : 1;
        wait_for_change(opened.changes, retry);
        retry = std::min(retry * 2, kMaxRetryMs);
        break;
    }
  }
}

}  // namespace

int run(int argc, char** argv, const sandbox::Grants& grants) {
  const auto options = parse_options(argc, argv);
  if (!options) return usage();
  const auto opened = open_all(options->config);
  if (!opened) {
    log_line("mvm-agentd: cannot " + opened.error().message());
    return 1;
  }
  lock_up(grants, opened->places);
  return serve(*options, *opened);
}

}  // namespace mvm::planner
