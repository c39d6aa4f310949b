#include "cli/events.h"

#include <iostream>

#include "base/digest.h"

namespace mvm::cli {
namespace {

Json event_json(const wire::Event& event) {
  if (const auto* e = std::get_if<wire::Accepted>(&event)) return {{"event", "accepted"}, {"plan", to_string(e->plan)}, {"statements", e->statements}};
  if (const auto* refused = std::get_if<wire::Refused>(&event)) {
    Json json = to_json(refused->refusal);
    json["event"] = "refused";
    json["in"] = refused->in_projection ? "projection" : "plan";
    return json;
  }
  if (const auto* progress = std::get_if<wire::Progress>(&event)) {
    constexpr const char* kPhases[] = {"started", "done", "failed", "undone", "skipped"};
    Json json{{"event", "progress"}, {"index", progress->index}, {"line", progress->line}, {"phase", kPhases[static_cast<int>(progress->phase)]}};
    if (progress->phase == wire::Phase::kFailed) json["error"] = progress->error.message();
    return json;
  }
  if (const auto* e = std::get_if<wire::Holds>(&event)) return {{"event", "holds"}, {"subject", e->subject}, {"lines", e->lines}};
  if (const auto* e = std::get_if<wire::Finished>(&event)) {
    return {{"event", "finished"}, {"plan", to_string(e->plan)}, {"done", e->done},   {"failed", e->failed},
            {"undone", e->undone}, {"skipped", e->skipped},      {"state", to_string(e->state)}, {"generation", e->generation}};
  }
  if (const auto* e = std::get_if<wire::Ended>(&event)) return {{"event", "ended"}, {"subject", e->subject}};
  if (std::holds_alternative<wire::Busy>(event)) return {{"event", "busy"}};
  if (const auto* e = std::get_if<wire::Failed>(&event)) return {{"event", "failed"}, {"error", e->error.message()}};
  return {{"event", "other"}};
}

}  // namespace

void print_event(const Output& output, const wire::Event& event) {
  if (output.json) {
    std::cout << event_json(event).dump() << std::endl;
    return;
  }
  if (const auto* e = std::get_if<wire::Progress>(&event)) {
    switch (e->phase) {
      case wire::Phase::kStarted: return;
      case wire::Phase::kDone: std::cout << tint(output, Tint::kGood, "done    ") << e->line << std::endl; return;
      case wire::Phase::kFailed:
        std::cout << tint(output, Tint::kBad, "failed  ") << e->line << ": " << e->error.message() << std::endl;
        return;
      case wire::Phase::kUndone: std::cout << tint(output, Tint::kMove, "undone  ") << e->line << std::endl; return;
      case wire::Phase::kSkipped: std::cout << tint(output, Tint::kDim, "skipped ") << e->line << std::endl; return;
    }
  } else if (const auto* accepted_event = std::get_if<wire::Accepted>(&event)) {
    std::cout << tint(output, Tint::kGood, "accepted") << ": " << accepted_event->statements << " statements, plan " << to_string(accepted_event->plan) << std::endl;
  } else if (const auto* holds = std::get_if<wire::Holds>(&event)) {
    std::cout << "holds   " << holds->subject << (holds->lines.empty() ? ": nothing" : "") << std::endl;
    for (const std::string& line : holds->lines) std::cout << "          " << line << std::endl;
  } else if (const auto* finished = std::get_if<wire::Finished>(&event)) {
    std::cout << tint(output, finished->complete() ? Tint::kGood : Tint::kBad, finished->complete() ? "finished" : "finished in part") << ": "
              << finished->done << " done, " << finished->failed << " failed, " << finished->undone << " undone, " << finished->skipped << " skipped; state "
              << to_string(finished->state) << std::endl;
  }
}

}  // namespace mvm::cli
