#include "planner/agent.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>

#include "planner/broker_client.h"
#include "planner/compile.h"
#include "planner/executed.h"
#include "planner/files.h"
#include "planner/instances.h"
#include "planner/keys.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"

namespace mvm::planner {
namespace {

Report failed(Report report, std::string detail) {
  report.outcome = Outcome::kFailed;
  report.detail = std::move(detail);
  return report;
}

Result<lang::Document> read_policy(const std::string& path) {
  auto text = read_file(AT_FDCWD, path, lang::kMaxTextBytes);
  if (!text) return forward(text.error());
  auto policy = lang::parse(lang::Kind::kPolicy, *text);
  if (!policy) return fail(Errc::kMalformed, "parse the policy", policy.error().message());
  return std::move(*policy);
}

// What hostd says of itself, into the report.
Status ask_host(const std::string& socket, Report& report) {
  auto client = BrokerClient::connect(socket);
  if (!client) return forward(client.error());
  auto asked = client->ask();
  if (!asked) return forward(asked.error());
  auto state = lang::parse(lang::Kind::kState, asked->state);
  if (!state) return fail(Errc::kMalformed, "parse the host's state", state.error().message());
  report.state = std::move(*state);
  report.has_state = true;
  report.offer = std::move(asked->offer);
  return {};
}

void log_event(const wire::Event& event, const Log& log) {
  if (const auto* progress = std::get_if<wire::Progress>(&event)) {
    if (progress->phase == wire::Phase::kDone) log("done    " + progress->line);
    if (progress->phase == wire::Phase::kUndone) log("undone  " + progress->line);
    if (progress->phase == wire::Phase::kSkipped) log("skipped " + progress->line);
    if (progress->phase == wire::Phase::kFailed) log("failed  " + progress->line + ": " + progress->error.message());
  } else if (const auto* holds = std::get_if<wire::Holds>(&event)) {
    log("holds   " + holds->subject + ": " + std::to_string(holds->lines.size()) + " lines");
  }
}

}  // namespace

// Of a statement that failed: a guest that did not do as it was told is told nothing more. One that was to rest and said no is asked again when it has
// been idle once more, and so is an instance that could not be put to sleep.
void remember_failure(const wire::Event& event, const lang::Document& plan, Memory& memory) {
  const auto* progress = std::get_if<wire::Progress>(&event);
  if (progress == nullptr || progress->phase != wire::Phase::kFailed || progress->index >= plan.statements.size()) return;
  const lang::Statement& statement = plan.statements[progress->index];
  if (statement.word == lang::Word::kBase && statement.sign == lang::Sign::kAdd) memory.uncopied.insert(lang::base_view(statement).snapshot);
  const bool was_to_rest = memory.idle.rests().contains(statement.subject);
  const bool said_no = progress->error.code == Errc::kDenied;
  if (statement.word == lang::Word::kGuest && !(was_to_rest && said_no)) memory.deaf.insert(statement.subject);
  else if (was_to_rest) memory.idle.refused(statement.subject, std::chrono::steady_clock::now());
}

namespace {

// What hostd's workers read of instances, when that is due. That it could not be had is no failure: what runs then is as idle as it was.
std::optional<std::vector<wire::Reading>> ask_readings(const AgentConfig& config, Memory& memory, Idle::Time now) {
  const IdleSettings& settings = memory.idle.settings();
  const bool looks_for_idle = settings.warm_after.count() != 0 || settings.sleep_after.count() != 0 || settings.pressure != 0;
  const bool looks_for_called = std::ranges::any_of(memory.idle.rests(), [](const auto& each) { return each.second == Rest::kWarm; });
  if (!looks_for_idle && !looks_for_called) return std::nullopt;
  if (memory.read && now - *memory.read < read_every(settings)) return std::nullopt;
  auto client = BrokerClient::connect(config.socket);
  if (!client) return std::nullopt;
  auto readings = client->readings();
  memory.read = std::chrono::steady_clock::now();
  return readings ? std::optional(*std::move(readings)) : std::nullopt;
}

// Who rests from now on.
void decide(const AgentConfig& config, const lang::Document& projection, const Report& report, Memory& memory) {
  const auto now = std::chrono::steady_clock::now();
  const auto readings = ask_readings(config, memory, now);
  using Span = std::span<const wire::Reading>;
  memory.idle.see(read_fleet(report.state), readings ? std::optional<Span>(*readings) : std::nullopt, now);
  memory.idle.decide(projection, memory.pressure ? memory.pressure() : std::nullopt, now);
}

Report judge(Report report, const wire::Event& last) {
  if (const auto* refused = std::get_if<wire::Refused>(&last)) {
    report.outcome = Outcome::kRefused;
    report.detail = (refused->in_projection ? "projection: " : "plan: ") + refused->refusal.message();
    return report;
  }
  if (const auto* finished = std::get_if<wire::Finished>(&last)) {
    if (finished->complete()) {
      report.outcome = Outcome::kChanged;
      return report;
    }
    return failed(std::move(report), std::to_string(finished->failed) + " statements failed, " + std::to_string(finished->undone) +
                                         " were undone, " + std::to_string(finished->skipped) + " skipped");
  }
  if (std::holds_alternative<wire::Busy>(last)) return failed(std::move(report), "hostd runs another plan");
  if (const auto* error = std::get_if<wire::Failed>(&last)) return failed(std::move(report), error->error.message());
  return failed(std::move(report), "hostd answered what was not asked");
}

Report submit(Report report, const AgentConfig& config, const Desired& desired, const lang::Document& plan, std::span<const std::uint8_t> keys,
              const Log& log, Memory& memory) {
  auto client = BrokerClient::connect(config.socket);
  if (!client) return failed(std::move(report), client.error().message());
  const std::string text = lang::print(plan);
  log("plan " + to_string(lang::text_digest(plan)) + ": " + std::to_string(plan.statements.size()) + " statements, generation " +
      std::to_string(plan.header.generation));
  const Submission submission{text, desired.text, desired.signature, keys, wire::Mode::kApply};
  auto last = client->submit(submission, [&](const wire::Event& event) {
    log_event(event, log);
    remember_failure(event, plan, memory);
  });
  if (!last) return failed(std::move(report), last.error().message());
  return judge(std::move(report), *last);
}

Report plan_and_submit(const AgentConfig& config, const Log& log, Memory& memory) {
  Report report;
  auto policy = read_policy(config.policy);
  if (!policy) return failed(std::move(report), policy.error().message());
  auto scan = scan_desired(config.desired, *policy);
  if (!scan) return failed(std::move(report), scan.error().message());
  report.unfit = std::move(scan->unfit);
  if (auto asked = ask_host(config.socket, report); !asked) return failed(std::move(report), asked.error().message());
  if (scan->good.empty()) return report;

  const Desired& desired = scan->good[0];
  report.generation = desired.projection.header.generation;
  const std::uint64_t seen = report.state.header.generation;
  if (report.generation < seen) {
    return failed(std::move(report), "the newest projection has generation " + std::to_string(report.generation) + ", the host has seen " + std::to_string(seen));
  }
  decide(config, desired.projection, report, memory);
  Envelopes envelopes({desired.projection.header.node, report.generation, recipient_of(report.offer), snapshots_in(report.state)}, {config.sealed, config.vault});
  const Inputs inputs{report.state, desired.projection, *policy, kExecuted, static_cast<std::uint32_t>(time(nullptr)), memory.deaf, memory.idle.rests(),
                      memory.idle.held(std::chrono::steady_clock::now()), memory.uncopied};
  Compiled compiled = compile(inputs, [&](const lang::Statement& statement) { return envelopes.hinders(statement); });
  for (const Note& note : compiled.notes) {
    if (memory.idle.rests().contains(note.subject)) memory.idle.hindered(note.subject, std::chrono::steady_clock::now());
  }
  report.notes = std::move(compiled.notes);
  report.missing = envelopes.missing();
  if (!compiled.needed) {
    report.outcome = Outcome::kConverged;
    return report;
  }
  const auto keys = envelopes.bundle(compiled.plan.statements);
  if (!keys) return failed(std::move(report), keys.error().message());
  return submit(std::move(report), config, desired, compiled.plan, *keys, log, memory);
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kIdle: return "idle";
    case Outcome::kConverged: return "converged";
    case Outcome::kChanged: return "changed";
    case Outcome::kRefused: return "refused";
    case Outcome::kFailed: return "failed";
  }
  return "unknown";
}

std::chrono::seconds read_every(const IdleSettings& settings) {
  using std::chrono::seconds;
  auto shortest = seconds(60);
  for (const seconds each : {settings.warm_after, settings.sleep_after}) {
    if (each.count() != 0) shortest = std::min(shortest, each);
  }
  return std::max(shortest / 4, seconds(1));
}

Report step(const AgentConfig& config, const Log& log, Memory& memory) {
  Report report = plan_and_submit(config, log, memory);
  report.rests = memory.idle.rests();
  report.held = memory.idle.held(std::chrono::steady_clock::now());
  return report;
}

std::string to_json(const Report& report) {
  nlohmann::ordered_json json;
  json["outcome"] = std::string(to_string(report.outcome));
  json["generation"] = report.generation;
  json["detail"] = report.detail;
  json["notes"] = nlohmann::ordered_json::array();
  for (const Note& note : report.notes) json["notes"].push_back({{"subject", to_string(note.subject)}, {"text", note.text}});
  json["unfit"] = nlohmann::ordered_json::array();
  for (const Unfit& unfit : report.unfit) json["unfit"].push_back({{"file", unfit.file}, {"why", unfit.why}});
  json["missing"] = nlohmann::ordered_json::array();
  for (const sealing::Label& label : report.missing) json["missing"].push_back(to_string(label));
  json["resting"] = nlohmann::ordered_json::object();
  for (const auto& [subject, rest] : report.rests) json["resting"][to_string(subject)] = rest == Rest::kWarm ? "warm" : "asleep";
  json["held"] = nlohmann::ordered_json::array();
  for (const Subject& subject : report.held) json["held"].push_back(to_string(subject));
  if (report.has_state) {
    json["host"] = {{"generation", report.state.header.generation}, {"state", to_string(lang::text_digest(report.state))}};
    std::map<std::string, std::array<std::uint64_t, 4>> pools;
    for (const auto& [subject, instance] : read_fleet(report.state).instances) {
      ++pools[to_string(pool_subject(subject.tenant, subject.pool))][static_cast<std::size_t>(instance.phase())];
    }
    json["pools"] = nlohmann::ordered_json::object();
    for (const auto& [pool, counts] : pools) {
      json["pools"][pool] = {{"running", counts[0]}, {"warm", counts[1]}, {"sleeping", counts[2]}, {"stopped", counts[3]}};
    }
  }
  return json.dump(2) + "\n";
}

}  // namespace mvm::planner
