#include "planner/run.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "broker/sandbox/enter.h"
#include "planner/agent.h"
#include "planner/api.h"
#include "planner/files.h"
#include "planner/held.h"
#include "planner/options.h"
#include "planner/requests.h"
#include "planner/signing.h"
#include "sealing/wanted.h"

namespace mvm::planner {
namespace {

constexpr int kIntervalMs = 5'000;    // how long an agent that has nothing to do waits before it looks at the host again
constexpr int kFirstRetryMs = 500;    // after a failure; doubled up to kIntervalMs * 6
constexpr int kMaxRetryMs = kIntervalMs * 6;
constexpr int kChangesInARow = 16;    // after so many plans without rest, something keeps falling over: slow down
constexpr unsigned kStatusMode = 0644;
constexpr int kPendingMs = 1'000;     // the longest wait where somebody waits for an answer
constexpr const char* kResting = "resting";  // beside the status file: who rests, and who is held

void log_line(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

struct Opened {
  Fd changes;  // inotify, of the directories of projections and of envelopes
  std::vector<Held> places;
  Fd pressure;   // not valid: this kernel does not say
  std::optional<Fd> listener;
  Kept kept;     // by the agent before
  Peers peers;
};

// Of what the agent before has left there, as much as there is.
Kept read_resting(const AgentConfig& config) {
  if (config.status.empty()) return {};
  const auto text = read_file(AT_FDCWD, directory_of(config.status) + "/" + kResting, kMaxKeptText);
  return text ? read_kept(*text) : Kept{};
}

Result<Opened> open_all(const AgentConfig& config) {
  Opened opened{Fd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)), {}, Fd(open(config.pressure.c_str(), O_RDONLY | O_CLOEXEC)), std::nullopt, read_resting(config), {getuid(), getgid()}};
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
  if (!config.listen.empty()) {
    auto listener = Api::listen_at(config.listen);
    if (!listener) return forward(listener.error());
    opened.listener = *std::move(listener);
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
  std::optional<Kept> kept;
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

// For the next agent: who rests, and who is held. Before a plan is made of it, or right after: an agent that dies in between wakes one too many, or finds it out.
void keep(const Kept& kept, const AgentConfig& config, Told& told) {
  if (config.status.empty() || told.kept == kept) return;
  if (auto written = replace_file(directory_of(config.status) + "/" + kResting, write_kept(kept), kStatusMode); !written) return log_line(written.error().message());
  told.kept = kept;
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

std::optional<double> pressure_of(const Fd& file) {
  if (!file.valid()) return std::nullopt;
  std::array<char, 256> text{};
  const ssize_t size = pread(file.get(), text.data(), text.size(), 0);
  return size > 0 ? read_pressure({text.data(), static_cast<std::size_t>(size)}) : std::nullopt;
}

class Agent {
 public:
  Agent(const Options& options, Opened opened)
      : options_(options), changes_(std::move(opened.changes)), places_(std::move(opened.places)), pressure_(std::move(opened.pressure)),
        memory_{{}, Idle(options.idle, std::move(opened.kept)), [this] { return pressure_of(pressure_); }, {}} {
    if (opened.listener) api_.emplace(*std::move(opened.listener), opened.peers);
  }

  int serve();

 private:
  void wait(int milliseconds);
  void answer(const Report& report);
  [[nodiscard]] bool is_where_it_was() const;

  const Options& options_;
  Fd changes_;
  std::vector<Held> places_;
  Fd pressure_;
  Memory memory_;
  std::optional<Api> api_;
  Requests requests_;
  Told told_;
};

// Until something changes in a directory, somebody asks for something, or the time is over.
void Agent::wait(int milliseconds) {
  std::vector<pollfd> waited = {{changes_.get(), POLLIN, 0}};
  if (api_) api_->add_to(waited);
  if (poll(waited.data(), waited.size(), requests_.waiting() ? std::min(milliseconds, kPendingMs) : milliseconds) <= 0) return;
  alignas(inotify_event) char events[4096];
  if (waited[0].revents != 0 && read(changes_.get(), events, sizeof events) < 0) log_line("the watched directory cannot be read");
  if (!api_) return;
  const auto now = std::chrono::steady_clock::now();
  for (const Api::Asked& asked : api_->take(std::span(waited).subspan(1))) {
    if (const auto answer = requests_.take(asked.who, asked.request, memory_.idle, now)) api_->answer(asked.who, *answer);
  }
}

void Agent::answer(const Report& report) {
  for (const Requests::Answer& each : requests_.after(report, std::chrono::steady_clock::now())) api_->answer(each.who, each.answer);
}

bool Agent::is_where_it_was() const {
  const auto gone = std::ranges::find_if_not(places_, is_still_there);
  if (gone == places_.end()) return true;
  log_line("mvm-agentd: " + gone->path + " is no longer the directory that it may use: it has to be started again");
  return false;
}

int Agent::serve() {
  const int interval = std::min(kIntervalMs, static_cast<int>(std::chrono::milliseconds(read_every(options_.idle)).count()));
  int retry = kFirstRetryMs;
  int changes_in_a_row = 0;
  while (is_where_it_was()) {
    const Report report = step(options_.config, log_line, memory_);
    tell(report, options_.config, told_);
    keep(memory_.idle.kept(), options_.config, told_);
    answer(report);
    switch (report.outcome) {
      case Outcome::kChanged:
        retry = kFirstRetryMs;
        wait(++changes_in_a_row % kChangesInARow == 0 ? kIntervalMs : 0);
        break;
      case Outcome::kIdle:
      case Outcome::kConverged:
        if (options_.once) return EX_OK;
        retry = kFirstRetryMs;
        changes_in_a_row = 0;
        wait(interval);
        break;
      case Outcome::kRefused:
      case Outcome::kFailed:
        if (options_.once) return report.outcome == Outcome::kRefused ? 2 : 1;
        wait(retry);
        retry = std::min(retry * 2, kMaxRetryMs);
        break;
    }
  }
  return EX_TEMPFAIL;
}

}  // namespace

int run(int argc, char** argv, const sandbox::Grants& grants) {
  auto options = parse_options({argv + 1, static_cast<std::size_t>(std::max(argc, 1) - 1)});
  if (!options) {
    std::fputs(kUsage, stderr);
    return EX_USAGE;
  }
  if (options->once) options->config.listen.clear();
  auto opened = open_all(options->config);
  if (!opened) {
    log_line("mvm-agentd: cannot " + opened.error().message());
    return 1;
  }
  lock_up(grants, opened->places);
  return Agent(*options, *std::move(opened)).serve();
}

}  // namespace mvm::planner
