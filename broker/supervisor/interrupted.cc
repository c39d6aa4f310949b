#include "broker/supervisor/interrupted.h"

#include <algorithm>
#include <map>

#include "broker/supervisor/steps.h"

namespace mvm::supervisor {
namespace {

using lang::Sign;
using lang::Statement;

// One subject's statements, in the plan's order.
struct Lane {
  std::vector<const Statement*> statements;
  std::size_t begun = 0;  // as many, from the first: they begin in order
  bool last_done = false;  // the last of these is done
  bool complete = true;
};

bool drop(HostState& state, const Statement& statement) {
  if (!state.nothing_stands_on(statement.subject, statement.word)) return false;
  state.drop(statement.subject, statement.word);
  return true;
}

void go_forward(const Lane& lane, std::size_t from, HostState& state) {
  for (std::size_t i = from; i < lane.statements.size(); ++i) {
    if (lane.statements[i]->sign != Sign::kRemove || !drop(state, *lane.statements[i])) return;
  }
}

void go_back(const Lane& lane, HostState& state) {
  for (std::size_t i = lane.begun; i-- > 0;) {
    if (lane.statements[i]->sign != Sign::kAdd || !drop(state, *lane.statements[i])) return;
  }
}

// A guest that was being told something: what it heard of it, no kernel shows. As parked it can be told to go on, which harms none that is awake.
void take_as_parked(const lang::Document& plan, const std::vector<Mark>& marks, HostState& state, std::set<Subject>& changed) {
  std::map<std::uint32_t, Point> last;
  for (const Mark& mark : marks) last[mark.index] = mark.point;
  for (const auto& [index, point] : last) {
    Statement told = plan.statements[index];
    if (told.word != lang::Word::kGuest || point == Point::kDone || point == Point::kUndone) continue;
    told.numbers[1] = lang::kParked;
    const auto before = state.lines_of(told.subject);
    state.carry_out(told);
    if (state.lines_of(told.subject) != before) changed.insert(told.subject);
  }
}

std::map<Subject, Lane> lanes_of(const lang::Document& plan, const std::vector<Mark>& marks) {
  std::vector<bool> begun(plan.statements.size()), done(plan.statements.size());
  for (const Mark& mark : marks) {
    begun[mark.index] = true;
    done[mark.index] = mark.point == Point::kDone;
  }
  std::map<Subject, Lane> lanes;
  for (std::size_t i = 0; i < plan.statements.size(); ++i) {
    Lane& lane = lanes[plan.statements[i].subject];
    lane.statements.push_back(&plan.statements[i]);
    if (begun[i]) lane.begun = lane.statements.size(), lane.last_done = done[i];
    lane.complete = lane.complete && done[i];
  }
  return lanes;
}

}  // namespace

std::set<Subject> resolve(const lang::Document& plan, const std::vector<Mark>& marks, HostState& state) {
  std::set<Subject> changed;
  const auto lanes = lanes_of(plan, marks);
  // From the end: a tenant comes after its instances, which stand on what is its.
  for (auto at = lanes.rbegin(); at != lanes.rend(); ++at) {
    const Lane& lane = at->second;
    if (lane.complete || lane.begun == 0) continue;
    const auto before = state.lines_of(at->first);
    const Statement& last = *lane.statements[lane.begun - 1];
    if (last.sign == Sign::kRemove) go_forward(lane, lane.begun - 1, state);
    else if (lane.last_done && boots_from_snapshot(last)) go_forward(lane, lane.begun, state);
    else if (last.sign == Sign::kAdd) go_back(lane, state);
    if (state.lines_of(at->first) != before) changed.insert(at->first);
  }
  take_as_parked(plan, marks, state, changed);
  return changed;
}

}  // namespace mvm::supervisor
