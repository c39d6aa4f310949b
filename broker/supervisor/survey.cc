#include "broker/supervisor/survey.h"

#include <algorithm>

namespace mvm::supervisor {

using lang::Worker;
using lang::Word;
using wire::Op;

Survey::Survey(Workers& workers, const HostState& state) : workers_(workers) {
  for (const auto& [key, line] : state.lines()) {
    const Subject& subject = key.first;
    if (line.word != Word::kJail) continue;
    readings_[subject].instance = subject;
    const lang::JailView jail = lang::jail_view(line);
    if (jail.state == lang::kRunning && jail.guest == lang::kAwake) to_ask_.push_back(subject);
    const lang::Statement *tap = state.find(subject, Word::kTap), *bridge = state.find(tenant_subject(subject.tenant), Word::kBridge);
    if (tap != nullptr && bridge != nullptr) taps_[{lang::bridge_view(*bridge).net, lang::tap_view(*tap).slot}] = subject;
  }
}

Status Survey::start() {
  for (const Worker worker : {Worker::kJail, Worker::kNet}) {
    if (auto sent = send(worker, Op::kRead); !sent) return sent;
  }
  return pump();
}

Status Survey::send(Worker worker, Op op, const Subject& guest) {
  wire::Task task;
  task.op = op;
  if (wire::has_statement(op)) {
    task.statement.sign = lang::Sign::kMove;
    task.statement.word = Word::kGuest;
    task.statement.subject = guest;
    task.statement.numbers = {lang::kAwake, lang::kParked};
  }
  const auto seq = workers_.send(worker, std::move(task));
  if (!seq) return forward(seq.error());
  in_flight_[*seq] = {worker, op, guest, Clock::now() + kTaskDeadline};
  return {};
}

Status Survey::pump() {
  while (asking_ < kMaxAsked && !to_ask_.empty()) {
    if (auto sent = send(Worker::kJail, Op::kConnect, to_ask_.front()); !sent) return sent;
    to_ask_.pop_front();
    ++asking_;
  }
  return {};
}

// What is of nobody whose jail is in the state is left out: it came or went since the state was written.
Status Survey::note(const InFlight& asked, const wire::Reading& reading) {
  const auto tap = taps_.find({reading.net, reading.slot});
  const Subject instance = asked.worker != Worker::kNet ? reading.instance : tap == taps_.end() ? Subject{} : tap->second;
  if (asked.op == Op::kAsk && instance != asked.guest) return fail(Errc::kMalformed, "take a reading of another instance");
  const auto found = readings_.find(instance);
  if (found == readings_.end()) return {};
  wire::Reading& known = found->second;
  if (asked.worker == Worker::kJail) known.cpu = reading.cpu, known.memory = reading.memory;
  if (asked.worker == Worker::kNet) known.frames = reading.frames;
  if (asked.worker == Worker::kGuest) known.guest = reading.guest, known.since = reading.since;
  return {};
}

Status Survey::take(const wire::Answer& answer) {
  const auto found = in_flight_.find(answer.seq);
  const bool pages = found != in_flight_.end() && found->second.op == Op::kRead;
  if (found == in_flight_.end() || !answer.items.empty() || answer.offer || answer.digest || (answer.more && !pages)) return fail(Errc::kMalformed, "take an answer to no task");
  const InFlight asked = found->second;
  const bool may_tell = asked.op == Op::kConnect ? answer.readings.empty() : pages || answer.readings.size() == (answer.ok ? 1 : 0);
  if (!may_tell) return fail(Errc::kMalformed, "take a reading that nobody asked for");
  for (const wire::Reading& reading : answer.readings) {
    if (auto noted = note(asked, reading); !noted) return noted;
  }
  if (answer.more) return {};
  in_flight_.erase(found);
  // What could not be read is not known, and no failure.
  if (asked.op == Op::kConnect && answer.ok) return send(Worker::kGuest, Op::kAsk, asked.guest);
  if (asked.op != Op::kRead) --asking_;
  return pump();
}

Survey::Clock::time_point Survey::next_deadline() const {
  auto earliest = Clock::time_point::max();
  for (const auto& [seq, task] : in_flight_) earliest = std::min(earliest, task.deadline);
  return earliest;
}

Status Survey::overdue(Clock::time_point now) const {
  if (next_deadline() > now) return {};
  return fail(Errc::kTimeout, "wait for a worker's reading");
}

std::vector<wire::Reading> Survey::readings() const {
  std::vector<wire::Reading> readings;
  for (const auto& [subject, reading] : readings_) readings.push_back(reading);
  return readings;
}

}  // namespace mvm::supervisor
