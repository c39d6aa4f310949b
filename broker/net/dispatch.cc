#include "broker/net/dispatch.h"

#include <algorithm>
#include <span>
#include <utility>

namespace mvm::net {
namespace {

wire::Answer answer(std::uint64_t seq, Status status) {
  wire::Answer made;
  made.seq = seq;
  made.ok = status.has_value();
  if (!status) made.error = std::move(status.error());
  return made;
}

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

bool removes_a_tap(const wire::Task& task) { return task.op == wire::Op::kUnmake && task.statement.word == lang::Word::kTap; }

// Those at the front that remove taps, as far as they are sound; what is not, its own task says.
std::vector<CheckedRemoval> taps_removed_first(std::span<const wire::Task> tasks) {
  std::vector<CheckedRemoval> taps;
  for (const wire::Task& task : tasks) {
    if (!removes_a_tap(task)) break;
    if (Result<CheckedRemoval> tap = CheckedRemoval::from(task)) taps.push_back(*tap);
  }
  return taps;
}

}  // namespace

std::vector<wire::Answer> dispatch_all(Kernel& kernel, const std::vector<wire::Task>& tasks) {
  std::vector<wire::Answer> answers;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (removes_a_tap(tasks[i]) && (i == 0 || !removes_a_tap(tasks[i - 1])))
      unmake_links_at_once(kernel, taps_removed_first(std::span(tasks).subspan(i)));
    for (wire::Answer& one : dispatch(kernel, tasks[i])) answers.push_back(std::move(one));
  }
  return answers;
}

std::vector<wire::Answer> pages(std::uint64_t seq, const std::vector<wire::Item>& items) {
  std::vector<wire::Answer> answers;
  std::size_t at = 0;
  do {
    const std::size_t count = std::min(items.size() - at, wire::kMaxItems);
    wire::Answer page = answer(seq, {});
    page.items.assign(items.begin() + static_cast<std::ptrdiff_t>(at), items.begin() + static_cast<std::ptrdiff_t>(at + count));
    at += count;
    page.more = at < items.size();
    answers.push_back(std::move(page));
  } while (at < items.size());
  return answers;
}

std::vector<wire::Answer> dispatch(Kernel& kernel, const wire::Task& task) {
  switch (task.op) {
    case wire::Op::kMake: return {answer(task.seq, make(kernel, task))};
    case wire::Op::kUnmake: return {answer(task.seq, unmake(kernel, task))};
    case wire::Op::kMove: return {answer(task.seq, fail(Errc::kUnsupported, "move", "not a thing of the net worker's"))};
    case wire::Op::kInventory: break;
  }
  const Result<std::vector<wire::Item>> items = inventory(kernel);
  if (!items) return {answer(task.seq, forward(items.error()))};
  return pages(task.seq, *items);
}

}  // namespace mvm::net
