#include "planner/compile.h"

#include <algorithm>

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

// Whom a refusal of `plan` is about; nothing where that is not an instance.
const Subject* instance_of(const lang::Refusal& refusal, const lang::Document& plan) {
  const auto found = std::ranges::find_if(plan.statements, [&](const lang::Statement& line) { return lang::print(line) == refusal.statement; });
  return found == plan.statements.end() || found->subject.kind != SubjectKind::kInstance ? nullptr : &found->subject;
}

}  // namespace

Compiled compile(const Inputs& inputs) {
  Target target = make_target(inputs);
  Compiled compiled{lang::diff(inputs.now, target.state), std::move(target.notes), false};
  // What is over a quota that was lowered, say, can not be remade: such an instance stays as it is, and the rest goes on.
  for (std::size_t i = 0; i < kMaxPutBack; ++i) {
    const auto verified = lang::verify(compiled.plan, {inputs.now, inputs.projection, inputs.policy});
    if (verified) break;
    const Subject* subject = instance_of(verified.error(), compiled.plan);
    if (subject == nullptr) break;
    compiled.notes.push_back({*subject, verified.error().why});
    put_back(target.state, inputs.now, Subject(*subject));
    compiled.plan = lang::diff(inputs.now, target.state);
  }
  const lang::Header& now = inputs.now.header;
  const bool known = now.has_desired && now.desired == target.state.header.desired && now.generation == target.state.header.generation;
  // A plan without statements still tells the host which generation is the newest, so that an older one is refused.
  compiled.needed = !compiled.plan.statements.empty() || !known;
  return compiled;
}

}  // namespace mvm::planner
