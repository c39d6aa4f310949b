#include "broker/net/dispatch.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "broker/net/making.h"
#include "broker/net/removal.h"

namespace mvm::net {
namespace {

template <class Checked>
Status checked_then(const wire::Task& task, Kernel& kernel, Status (*run)(Kernel&, const Checked&)) {
  const Result<Checked> checked = Checked::from(task);
  return checked ? run(kernel, *checked) : Status(forward(checked.error()));
}

Status make(Kernel& kernel, const wire::Task& task) {
  switch (task.statement.word) {
    case lang::Word::kBridge: return checked_then<CheckedBridge>(task, kernel, make_bridge);
    case lang::Word::kRule: return checked_then<CheckedRule>(task, kernel, make_rule);
    case lang::Word::kTap: return checked_then<CheckedTap>(task, kernel, make_tap);
    default: return fail(Errc::kUnsupported, "make", "not a thing of the net worker's");
  }
}

Status unmake(Kernel& kernel, const wire::Task& task) {
  switch (task.statement.word) {
    case lang::Word::kBridge: return checked_then<CheckedRemoval>(task, kernel, unmake_bridge);
    case lang::Word::kRule: return checked_then<CheckedRemoval>(task, kernel, unmake_rule);
    case lang::Word::kTap: return checked_then<CheckedRemoval>(task, kernel, unmake_tap);
    default: return fail(Errc::kUnsupported, "remove", "not a thing of the net worker's");
  }
}

bool is_removal(const wire::Task& task) {
  const lang::Word word = task.statement.word;
  return task.op == wire::Op::kUnmake && (word == lang::Word::kTap || word == lang::Word::kRule || word == lang::Word::kBridge);
}

// How many at the front are removals, as far as taps go before rules and bridges: then together is as one after the other.
std::size_t removals_first(std::span<const wire::Task> tasks) {
  std::size_t count = 0;
  bool of_tenants = false;
  for (; count < tasks.size() && is_removal(tasks[count]); ++count) {
    const bool tap = tasks[count].statement.word == lang::Word::kTap;
    if (tap && of_tenants) break;
    of_tenants = !tap;
  }
  return count;
}

// One answer each. What is not sound, or not gone by that, its own executor says.
std::vector<wire::Answer> remove_all(Kernel& kernel, std::span<const wire::Task> tasks) {
  std::vector<Removal> removals;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < tasks.size(); ++i)
    if (Result<CheckedRemoval> what = CheckedRemoval::from(tasks[i])) {
      removals.push_back({tasks[i].statement.word, *what});
      places.push_back(i);
    }
  remove_together(kernel, removals);
  std::vector<bool> gone(tasks.size());
  for (std::size_t i = 0; i < removals.size(); ++i) gone[places[i]] = removals[i].gone;
  std::vector<wire::Answer> answers;
  for (std::size_t i = 0; i < tasks.size(); ++i)
    answers.push_back(wire::answer_to(tasks[i].seq, gone[i] ? Status{} : unmake(kernel, tasks[i])));
  return answers;
}

bool is_making(const wire::Task& task) {
  const lang::Word word = task.statement.word;
  return task.op == wire::Op::kMake && (word == lang::Word::kTap || word == lang::Word::kRule || word == lang::Word::kBridge);
}

// Where a thing comes among what is made side by side: 0 bridges, 1 rules, 2 taps.
int phase_of(const wire::Task& task) {
  if (task.statement.word == lang::Word::kBridge) return 0;
  return task.statement.word == lang::Word::kRule ? 1 : 2;
}

// How many at the front are to be made, as far as all bridges, then all rules, then all taps is as one after the other: for each
// tenant in that order.
std::size_t makings_first(std::span<const wire::Task> tasks) {
  std::map<std::uint16_t, int> reached;
  std::size_t count = 0;
  for (; count < tasks.size() && is_making(tasks[count]); ++count) {
    const wire::Task& task = tasks[count];
    int& phase = reached[task.place.net];
    if (phase_of(task) < phase) break;
    phase = phase_of(task);
  }
  return count;
}

// One answer each, in their places. What is not sound, or not made with the others, its own executor says.
template <class Checked>
void make_phase(Kernel& kernel, std::span<const wire::Task> tasks, int phase, std::vector<wire::Answer>& answers) {
  std::vector<Making<Checked>> makings;
  std::vector<std::size_t> places;
  std::vector<bool> made(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (phase_of(tasks[i]) != phase) continue;
    if (Result<Checked> what = Checked::from(tasks[i])) {
      makings.push_back({std::move(*what)});
      places.push_back(i);
    }
  }
  if (makings.size() > 1) make_together(kernel, std::span(makings));
  for (std::size_t i = 0; i < makings.size(); ++i) made[places[i]] = makings[i].made;
  for (std::size_t i = 0; i < tasks.size(); ++i)
    if (phase_of(tasks[i]) == phase) answers[i] = wire::answer_to(tasks[i].seq, made[i] ? Status{} : make(kernel, tasks[i]));
}

std::vector<wire::Answer> make_all(Kernel& kernel, std::span<const wire::Task> tasks) {
  std::vector<wire::Answer> answers(tasks.size());
  make_phase<CheckedBridge>(kernel, tasks, 0, answers);
  make_phase<CheckedRule>(kernel, tasks, 1, answers);
  make_phase<CheckedTap>(kernel, tasks, 2, answers);
  return answers;
}

}  // namespace

std::vector<wire::Answer> dispatch_all(Kernel& kernel, const std::vector<wire::Task>& tasks) {
  std::vector<wire::Answer> answers;
  for (std::span<const wire::Task> rest(tasks); !rest.empty();) {
    const std::size_t removals = removals_first(rest), makings = makings_first(rest);
    const std::size_t together = std::max({removals, makings, std::size_t{1}});  // one alone has no need of it
    std::vector<wire::Answer> some = together == 1  ? dispatch(kernel, rest.front())
                                     : removals > 1 ? remove_all(kernel, rest.first(together))
                                                    : make_all(kernel, rest.first(together));
    for (wire::Answer& one : some) answers.push_back(std::move(one));
    rest = rest.subspan(together);
  }
  return answers;
}

std::vector<wire::Answer> dispatch(Kernel& kernel, const wire::Task& task) {
  switch (task.op) {
    case wire::Op::kMake: return {wire::answer_to(task.seq, make(kernel, task))};
    case wire::Op::kUnmake: return {wire::answer_to(task.seq, unmake(kernel, task))};
    case wire::Op::kRead: return wire::pages(task.seq, read_taps(kernel));
    case wire::Op::kInventory: break;
    default: return {wire::answer_to(task.seq, fail(Errc::kUnsupported, "do", "what the net worker does not"))};
  }
  const Result<CheckedInventory> wanted = CheckedInventory::from(task);
  if (!wanted) return {wire::answer_to(task.seq, forward(wanted.error()))};
  return wire::pages(task.seq, inventory(kernel, *wanted));
}

}  // namespace mvm::net
