#include "planner/compile.h"

#include <algorithm>
#include <map>
#include <optional>

#include "policy-lang/diff.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"

namespace mvm::planner {
namespace {

constexpr std::size_t kMaxPutBack = 256;  // instances left as they are in one round

// `subject` in `target` as it is in `now`.
void put_back(lang::Document& target, const lang::Document& now, const Subject& subject) {
  std::erase_if(target.statements, [&](const lang::Statement& line) { return line.subject == subject; });
  std::ranges::copy_if(now.statements, std::back_inserter(target.statements),
                       [&](const lang::Statement& line) { return line.subject == subject; });
  std::ranges::sort(target.statements, lang::canonical_less);
}

// For whom V1 to V6 refuse the plan, where that is an instance or a pool, and why.
std::optional<lang::NoOrder> refused(const lang::Document& plan, const Inputs& inputs) {
  auto verified = lang::verify(plan, {inputs.now, inputs.projection, inputs.policy});
  if (verified) return std::nullopt;
  lang::Refusal& refusal = verified.error();
  const auto found = std::ranges::find_if(plan.statements, [&](const lang::Statement& line) { return lang::print(line) == refusal.statement; });
  if (found == plan.statements.end() || found->subject.kind == SubjectKind::kTenant) return std::nullopt;
  return lang::NoOrder{found->subject, std::move(refusal)};
}

// The instances and pools that something keeps from one of their statements, and what.
std::map<Subject, std::string> hindered(const lang::Document& plan, const Hindrance& hindrance) {
  std::map<Subject, std::string> found;
  for (const lang::Statement& statement : plan.statements) {
    if (statement.subject.kind == SubjectKind::kTenant || found.contains(statement.subject)) continue;
    if (auto why = hindrance(statement)) found.emplace(statement.subject, *std::move(why));
  }
  return found;
}

}  // namespace

Compiled compile(const Inputs& inputs, const Hindrance& hindrance) {
  Target target = make_target(inputs);
  Compiled compiled{{lang::Kind::kPlan, target.state.header, {}}, std::move(target.notes), false};
  compiled.plan.header.base = lang::text_digest(inputs.now);
  // What is over a quota that was lowered, say, can not be remade: such an instance stays as it is, and the rest goes on.
  for (std::size_t i = 0; i <= kMaxPutBack; ++i) {
    auto plan = lang::diff(inputs.now, target.state);
    if (plan) compiled.plan = std::move(*plan);
    const auto whom = plan ? refused(compiled.plan, inputs) : std::optional(std::move(plan.error()));
    std::map<Subject, std::string> back;
    if (whom) back.emplace(whom->subject, whom->refusal.why);
    else if (hindrance) back = hindered(compiled.plan, hindrance);
    if (back.empty()) break;
    for (auto& [subject, why] : back) {
      put_back(target.state, inputs.now, subject);
      compiled.notes.push_back({subject, std::move(why)});
    }
  }
  const lang::Header& now = inputs.now.header;
  const bool known = now.has_desired && now.desired == target.state.header.desired && now.generation == target.state.header.generation;
  // A plan without statements still tells the host which generation is the newest, so that an older one is refused.
  compiled.needed = !compiled.plan.statements.empty() || !known;
  return compiled;
}

}  // namespace mvm::planner
