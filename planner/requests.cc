#include "planner/requests.h"

#include <algorithm>

#include "planner/instances.h"

namespace mvm::planner {
namespace {

wire::AgentAnswer answer_of(const Status& done) { return {done.has_value(), 0, 0, done ? "" : done.error().message()}; }

bool is_about(const Subject& subject, const Subject& whom) {
  return subject == whom || (whom.kind == SubjectKind::kPool && pool_subject(subject.tenant, subject.pool) == whom);
}

std::string first_note(const Report& report, const Subject& subject) {
  const auto found = std::ranges::find_if(report.notes, [&](const Note& note) { return is_about(note.subject, subject) || is_about(subject, note.subject); });
  return found == report.notes.end() ? "" : ": " + found->text;
}

std::uint32_t awake(const Report& report, const Subject& pool) {
  std::uint32_t count = 0;
  for (const auto& [subject, instance] : read_fleet(report.state).instances) {
    count += is_about(subject, pool) && instance.phase() == Phase::kRunning && !report.rests.contains(subject);
  }
  return count;
}

Phase phase_of(const Report& report, const Subject& instance) {
  const Fleet fleet = read_fleet(report.state);
  const auto found = fleet.instances.find(instance);
  return found == fleet.instances.end() ? Phase::kStopped : found->second.phase();
}

}  // namespace

std::optional<wire::AgentAnswer> Requests::take(Who who, const wire::AgentRequest& request, Idle& idle, Idle::Time now) {
  if (const auto* hold = std::get_if<wire::HoldInstance>(&request)) {
    return answer_of(idle.hold(hold->instance, now + std::chrono::seconds(hold->seconds)));
  }
  if (const auto* rest = std::get_if<wire::RestInstance>(&request)) {
    if (auto wanted = idle.put_to_sleep(rest->instance); !wanted) return answer_of(wanted);
    waiting_.push_back({who, rest->instance, 0, 0, now + kRequestTime});
    return std::nullopt;
  }
  const auto& wake = std::get<wire::WakePool>(request);
  const Idle::Wakes wakes = idle.wake(wake.pool, wake.count, now);
  if (wakes.woken == 0 && wakes.awake >= wake.count) return wire::AgentAnswer{true, static_cast<std::uint32_t>(wakes.awake), 0, ""};
  waiting_.push_back({who, wake.pool, wake.count, static_cast<std::uint32_t>(wakes.woken), now + kRequestTime});
  return std::nullopt;
}

std::optional<wire::AgentAnswer> Requests::answer(const Waiting& request, const Report& report, Idle::Time now) {
  const bool settled = report.outcome == Outcome::kConverged || report.outcome == Outcome::kIdle, late = now >= request.until;
  const std::string late_why = "not within " + std::to_string(kRequestTime.count()) + " s" + (report.detail.empty() ? "" : ": " + report.detail);
  if (request.count == 0) {
    if (report.has_state && phase_of(report, request.subject) == Phase::kSleeping) return wire::AgentAnswer{true, 0, 0, ""};
    if (report.has_state && !report.rests.contains(request.subject)) return wire::AgentAnswer{false, 0, 0, "its guest said no, or it could not be put to sleep" + first_note(report, request.subject)};
    if (settled) return wire::AgentAnswer{false, 0, 0, "it is not put to sleep" + first_note(report, request.subject)};
    if (late) return wire::AgentAnswer{false, 0, 0, late_why};
    return std::nullopt;
  }
  const std::uint32_t running = report.has_state ? awake(report, request.subject) : 0;
  if (running >= request.count) return wire::AgentAnswer{true, running, std::min(request.woken, running), ""};
  const std::string so_many = std::to_string(running) + " of " + std::to_string(request.count) + " run, ";
  if (settled) return wire::AgentAnswer{false, running, 0, so_many + "and there are no more to be woken" + first_note(report, request.subject)};
  if (late) return wire::AgentAnswer{false, running, 0, so_many + late_why};
  return std::nullopt;
}

std::vector<Requests::Answer> Requests::after(const Report& report, Idle::Time now) {
  std::vector<Answer> answers;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    auto answered = answer(*at, report, now);
    if (answered) answers.push_back({at->who, *std::move(answered)});
    at = answered ? waiting_.erase(at) : std::next(at);
  }
  return answers;
}

}  // namespace mvm::planner
