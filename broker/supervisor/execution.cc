#include "broker/supervisor/execution.h"

#include <algorithm>

#include "policy-lang/diff.h"
#include "policy-lang/print.h"

namespace mvm::supervisor {

using lang::Sign;
using lang::Statement;
using lang::Word;

namespace {

// Whose snapshot a base is to be a copy of.
Result<Subject> source_of(const HostState& state, const Statement& base) {
  for (const auto& [key, line] : state.lines()) {
    if (line.word != Word::kSnapshot || line.subject.tenant != base.subject.tenant || line.subject.pool != base.subject.pool) continue;
    if (lang::snapshot_digest(line) == lang::base_view(base).snapshot) return line.subject;
  }
  return fail(Errc::kNotFound, "find the snapshot of a base", to_string(base.subject));
}

}  // namespace

Execution::Execution(Host& host, lang::VerifiedPlan plan, lang::Document projection, Keys keys, HeldImages images)
    : host_(host),
      plan_(std::move(plan)),
      projection_(std::move(projection)),
      keys_(std::move(keys)),
      images_(std::move(images)),
      digest_(lang::text_digest(plan_.plan())),
      schedule_(plan_.plan().statements),
      outcomes_(plan_.plan().statements.size(), Outcome::kPending) {}

Status Execution::start() {
  if (auto started = host_.journal.start(lang::print(plan_.plan()), digest_); !started) return started;
  host_.state.header.generation = plan_.plan().header.generation;
  host_.state.header.has_desired = true;
  host_.state.header.desired = plan_.plan().header.desired;
  if (auto wrote = host_.records.write_header(host_.state); !wrote) return wrote;
  return pump();
}

bool Execution::has_room(lang::Worker worker) const {
  const auto given = given_.find(worker);
  return given == given_.end() || given->second < most_in_flight(worker);
}

Status Execution::pump() {
  while (true) {
    if (verify_again_) {
      if (!in_flight_.empty() || !undos_.empty()) return {};
      if (auto verified = verify_rest(); !verified) return verified;
      continue;
    }
    const auto next = schedule_.start_next([this](lang::Worker worker) { return has_room(worker); });
    if (!next) return {};
    if (auto started = start_forward(*next); !started) return started;
  }
  return {};
}

Status Execution::start_forward(Index index) {
  if (auto said = say(index, wire::Phase::kStarted); !said) return said;
  if (auto marked = host_.journal.mark({index, Point::kBegin}, keep_of(at(index).word)); !marked) return marked;
  return send(index, Direction::kForward);
}

lang::Statement Execution::running(const InFlight& what) const {
  return what.direction == Direction::kForward ? at(what.index) : lang::inverse({at(what.index)}).front();
}

Status Execution::send(Index index, Direction direction) {
  ++given_[lang::row(at(index).word).worker];
  InFlight what{index, direction, {}, 0, std::nullopt};
  auto asleep = asleep_for(running(what));
  return asleep ? send_step(std::move(what), *asleep) : step_failed(std::move(what), asleep.error());
}

// A statement, from one step to the next.
Status Execution::send_step(InFlight what, wire::Asleep asleep) {
  const Statement statement = running(what);
  auto task = task_of(statement, host_.state, host_.policy);
  if (!task) return step_failed(std::move(what), task.error());
  const Step step = steps_of(statement)[what.step];
  task->op = step.op;
  task->asleep = asleep;
  if (what.direction == Direction::kForward && wire::may_open(step.op) && step.worker != lang::Worker::kJail) {
    task->sealed = keys_.for_statement(statement, host_.state.header.node, plan_.plan().header.generation, host_.state.find(statement.subject, Word::kSnapshot));
  }
  if (wire::takes_image(step.op, statement.word)) {
    const auto manifest = manifest_for(statement);
    if (!manifest) return step_failed(std::move(what), manifest.error());
    task->manifest = *manifest;
  }
  const auto seq = host_.workers.send(step.worker, *std::move(task));
  if (!seq) return forward(seq.error());
  what.deadline = Clock::now() + kTaskDeadline;
  in_flight_[*seq] = std::move(what);
  return {};
}

Result<lang::Manifest> Execution::manifest_for(const Statement& jail) const {
  const auto image = images_.find(lang::jail_view(jail).image);
  if (image == images_.end()) return fail(Errc::kNotFound, "find the image of a jail", to_string(lang::jail_view(jail).image));
  return image->second ? Result<lang::Manifest>(image->second->manifest) : forward(image->second.error());
}

// What a statement's workers have to know of sleep besides what it says.
Result<wire::Asleep> Execution::asleep_for(const Statement& statement) const {
  wire::Asleep asleep;
  if (makes_snapshot(statement) || parks_guest(statement)) {
    const Statement* jail = host_.state.find(statement.subject, Word::kJail);
    if (jail == nullptr) return fail(Errc::kNotFound, "find the jail of a snapshot", to_string(statement.subject));
    if (makes_snapshot(statement)) asleep.image = lang::jail_view(*jail).image;
    asleep.mem = lang::jail_view(*jail).mem_mib;
    if (auto stands = add_base(statement, asleep); !stands) return forward(stands.error());
  }
  if (boots_from_snapshot(statement)) {
    const Statement* line = host_.state.find(statement.subject, Word::kSnapshot);
    const auto newest = host_.records.newest(statement.subject);
    if (line == nullptr) return fail(Errc::kNotFound, "find the snapshot of a jail", to_string(statement.subject));
    if (!newest) return forward(newest.error());
    asleep.file = *newest;
    asleep.key_version = lang::snapshot_view(*line).key_version;
    if (auto stands = add_base(*line, asleep); !stands) return forward(stands.error());
  }
  if (makes_base(statement)) {
    const auto source = source_of(host_.state, statement);
    if (!source) return forward(source.error());
    const auto newest = host_.records.newest(*source);
    if (!newest) return forward(newest.error());
    asleep.file = *newest;
    asleep.source = source->instance.value;
  }
  return asleep;
}

// Of a diff, which file its base is.
Status Execution::add_base(const Statement& snapshot, wire::Asleep& asleep) const {
  if (!lang::is_diff(snapshot)) return {};
  const auto base = host_.records.newest(pool_subject(snapshot.subject.tenant, snapshot.subject.pool));
  if (!base) return forward(base.error());
  asleep.base = *base;
  return {};
}

Status Execution::take(const wire::Answer& answer) {
  const auto found = in_flight_.find(answer.seq);
  if (found == in_flight_.end() || answer.more || !answer.items.empty() || !answer.readings.empty() || answer.offer) return fail(Errc::kMalformed, "take an answer to no task");
  InFlight what = std::move(found->second);
  in_flight_.erase(found);
  const Status taken = answer.ok ? step_done(std::move(what), answer) : step_failed(std::move(what), answer.error);
  return taken ? pump() : taken;
}

Status Execution::step_done(InFlight what, const wire::Answer& answer) {
  const Statement statement = running(what);
  const auto steps = steps_of(statement);
  const bool tells = makes_base(statement) || (makes_snapshot(statement) && steps[what.step].op != wire::Op::kClear);
  if (tells != answer.digest.has_value()) return fail(Errc::kMalformed, "take an answer without what was asked, or with what was not");
  if (what.failed) return ended(what, forward(*what.failed));
  if (tells && steps[what.step].op == wire::Op::kMake) {
    if (auto wrote = host_.records.write_newest(statement.subject, *answer.digest); !wrote) return wrote;
  }
  if (++what.step == steps.size()) return ended(what, {});
  auto asleep = asleep_for(statement);
  if (!asleep) return step_failed(std::move(what), asleep.error());
  if (tells) asleep->vmm = *answer.digest;
  return send_step(std::move(what), *asleep);
}

// What was written into memory is cleared away, whatever else fails; once the snapshot is there, that it could not be is no failure of it.
Status Execution::step_failed(InFlight what, const Error& error) {
  const Statement statement = running(what);
  const bool in_memory = makes_snapshot(statement) && what.step > 0;
  if (in_memory && steps_of(statement)[what.step].op != wire::Op::kClear) {
    what.failed = error;
    what.step = steps_of(statement).size() - 1;
    return send_step(std::move(what), {});
  }
  if (!in_memory) return ended(what, forward(error));
  if (auto wrote = host_.audit.append("clear-failed " + lang::print(statement) + ": " + error.message()); !wrote) return wrote;
  return ended(what, what.failed ? Status(forward(*what.failed)) : Status{});
}

// The last of its steps, or the one that failed.
Status Execution::ended(const InFlight& what, const Status& outcome) {
  --given_[lang::row(at(what.index).word).worker];
  if (what.direction == Direction::kBack) return outcome ? undone(what.index) : not_undone(what.index, outcome.error());
  if (!outcome && boots_from_snapshot(at(what.index))) wants_settling_ = true;
  return outcome ? done(what.index) : failed(what.index, outcome.error());
}

Status Execution::write_record(const Statement& statement) {
  return host_.records.write(host_.state, statement.subject, keep_of(statement.word));
}

Status Execution::done(Index index) {
  host_.state.carry_out(at(index));
  if ((at(index).word == Word::kSnapshot || at(index).word == Word::kBase) && at(index).sign == Sign::kRemove) {
    if (auto forgot = host_.records.forget_newest(at(index).subject); !forgot) return forgot;
  }
  if (auto wrote = write_record(at(index)); !wrote) return wrote;
  if (auto marked = host_.journal.mark({index, Point::kDone}, keep_of(at(index).word)); !marked) return marked;
  outcomes_[index] = Outcome::kDone;
  done_[at(index).subject].push_back(index);
  schedule_.done(index);
  return say(index, wire::Phase::kDone);
}

Status Execution::failed(Index index, const Error& error) {
  if (auto marked = host_.journal.mark({index, Point::kFailed}, keep_of(at(index).word)); !marked) return marked;
  outcomes_[index] = Outcome::kFailed;
  if (auto said = say(index, wire::Phase::kFailed, error); !said) return said;
  return begin_undo(at(index).subject, index);
}

// A '+' that failed may have left a part of the thing, and a guest that did not say that it has parked may have, so it is the first to be undone. Not
// what is durable: its worker takes away what it made of it, and what was there before, and was why it failed, must not go.
bool Execution::may_be_there_in_part(const Statement& statement) {
  if (statement.sign == Sign::kMove) return statement.word == Word::kGuest && statement.numbers[1] == lang::kParked;
  return statement.sign == Sign::kAdd && !lang::row(statement.word).durable;
}

Status Execution::begin_undo(const Subject& subject, std::optional<Index> failed) {
  Undo undo{done_[subject], false, failed};
  if (failed && may_be_there_in_part(at(*failed))) undo.left.push_back(*failed);
  undos_[subject] = std::move(undo);
  return step_undo(subject);
}

Status Execution::step_undo(const Subject& subject) {
  Undo& undo = undos_.at(subject);
  if (undo.left.empty()) return end_undo(subject);
  const Index index = undo.left.back();
  if (!may_undo(at(index))) {
    undo.leaves_rest = true;
    return end_undo(subject);
  }
  undo.left.pop_back();
  if (auto marked = host_.journal.mark({index, Point::kUndoBegin}, keep_of(at(index).word)); !marked) return marked;
  return send(index, Direction::kBack);
}

// Going back must not break what others have built since: V2 of the inverse, and a slot or net id that is not taken again.
bool Execution::may_undo(const Statement& statement) const {
  if (statement.sign == Sign::kAdd) return host_.state.nothing_stands_on(statement.subject, statement.word);
  if (statement.sign == Sign::kMove) return statement.word != Word::kVolume;  // no keys come for the way back
  if (lang::row(statement.word).irreversible || !host_.state.has_what_it_needs(statement)) return false;
  const auto takes_the_same = [&](const Statement& other) {
    if (other.word != statement.word || other.subject == statement.subject) return false;
    if (other.word == Word::kTap) return other.subject.tenant == statement.subject.tenant && other.numbers == statement.numbers;
    if (other.word != Word::kBridge) return false;
    const auto ours = lang::bridge_view(statement), theirs = lang::bridge_view(other);
    return ours.net == theirs.net || ours.subnet.overlaps(theirs.subnet);
  };
  return std::ranges::none_of(host_.state.lines(), [&](const auto& line) { return takes_the_same(line.second); }) &&
         std::ranges::none_of(in_flight_, [&](const auto& task) { return takes_the_same(at(task.second.index)); });
}

Status Execution::undone(Index index) {
  if (boots_from_snapshot(at(index))) wants_settling_ = true;
  const Subject subject = at(index).subject;
  if (outcomes_[index] == Outcome::kDone) {
    host_.state.carry_out(lang::inverse({at(index)}).front());
    if (auto wrote = write_record(at(index)); !wrote) return wrote;
    outcomes_[index] = Outcome::kUndone;
    if (auto said = say(index, wire::Phase::kUndone); !said) return said;
  }
  if (auto marked = host_.journal.mark({index, Point::kUndone}, keep_of(at(index).word)); !marked) return marked;
  return step_undo(subject);
}

// What could not be taken away again may be there in part: its line stands, so that nothing else takes its place, and the
// next plan can remove it.
Status Execution::not_undone(Index index, const Error& error) {
  const Subject subject = at(index).subject;
  if (at(index).sign == Sign::kAdd && outcomes_[index] == Outcome::kFailed) {
    host_.state.carry_out(at(index));
    if (auto wrote = write_record(at(index)); !wrote) return wrote;
  }
  if (auto wrote = host_.audit.append("undo-failed " + lang::print(at(index)) + ": " + error.message()); !wrote) return wrote;
  undos_.at(subject).leaves_rest = true;
  return end_undo(subject);
}

Status Execution::end_undo(const Subject& subject) {
  const Undo undo = std::move(undos_.at(subject));
  undos_.erase(subject);
  // Where only what this plan made is gone again, all that was verified beside it still is.
  const auto& begun = done_[subject];
  const bool only_made = std::ranges::all_of(begun, [&](Index index) { return at(index).sign == Sign::kAdd; }) &&
                         (!undo.failed || at(*undo.failed).sign == Sign::kAdd);
  if (undo.leaves_rest || !only_made || subject.kind != SubjectKind::kInstance) verify_again_ = true;
  done_.erase(subject);
  if (!undo.failed) return {};
  return skip(schedule_.failed(*undo.failed), "an earlier statement failed");
}

// Whoever loses statements that were still to come goes back too.
Status Execution::skip(const std::vector<Index>& dropped, const std::string& why) {
  std::set<Subject> subjects;
  for (const Index index : dropped) {
    outcomes_[index] = Outcome::kSkipped;
    subjects.insert(at(index).subject);
    if (auto said = say(index, wire::Phase::kSkipped, Error{Errc::kDenied, 0, why, {}}); !said) return said;
  }
  for (const Subject& subject : subjects) {
    if (undos_.contains(subject) || !done_.contains(subject)) continue;
    if (auto begun = begin_undo(subject, std::nullopt); !begun) return begun;
  }
  return {};
}

// What has not started, as a plan of its own, against what holds now. What no longer verifies is not run.
Status Execution::verify_rest() {
  const auto pending = schedule_.pending();
  verify_again_ = false;
  if (pending.empty()) return {};
  lang::Document rest{lang::Kind::kPlan, plan_.plan().header, {}};
  rest.header.base = host_.state.digest();
  for (const Index index : pending) rest.statements.push_back(at(index));
  const lang::Document state = host_.state.document();
  const auto verified = lang::verify(std::move(rest), {state, projection_, host_.policy.text});
  if (verified) return {};
  verify_again_ = true;
  const lang::Refusal& refusal = verified.error();
  const std::uint32_t first_line = lang::first_statement_line(lang::Kind::kPlan);
  const bool names_one = refusal.line >= first_line && refusal.line - first_line < pending.size();
  if (names_one && ++refused_again_ <= kMaxRefusedAgain) {
    return skip(schedule_.drop(pending[refusal.line - first_line]), refusal.message());
  }
  while (!schedule_.over()) {
    if (auto skipped = skip(schedule_.drop(schedule_.pending().front()), refusal.message()); !skipped) return skipped;
  }
  return {};
}

Execution::Clock::time_point Execution::next_deadline() const {
  auto earliest = Clock::time_point::max();
  for (const auto& [seq, task] : in_flight_) earliest = std::min(earliest, task.deadline);
  return earliest;
}

Status Execution::overdue(Clock::time_point now) const {
  if (next_deadline() > now) return {};
  return fail(Errc::kTimeout, "wait for a worker's answer");
}

Status Execution::say(Index index, wire::Phase phase, const Error& error) {
  const std::string line = lang::print(at(index));
  host_.emit(wire::Progress{index, line, phase, error});
  switch (phase) {
    case wire::Phase::kStarted: return {};  // the journal has it
    case wire::Phase::kDone: return host_.audit.append("done " + line);
    case wire::Phase::kFailed: return host_.audit.append("failed " + line + ": " + error.message());
    case wire::Phase::kUndone: return host_.audit.append("undone " + line);
    case wire::Phase::kSkipped: return host_.audit.append("skipped " + line + ": " + error.tried);
  }
  return {};
}

bool Execution::wants_settling() const {
  if (wants_settling_) return true;
  const std::set<Digest> used = host_.state.images();
  for (Index index = 0; index < outcomes_.size(); ++index) {
    const Statement& statement = at(index);
    if (statement.word != Word::kJail || statement.sign == Sign::kMove || outcomes_[index] == Outcome::kSkipped) continue;
    if (!used.contains(lang::jail_view(statement).image)) return true;
  }
  return false;
}

Status Execution::finish() {
  wire::Finished finished{digest_, 0, 0, 0, 0, host_.state.digest(), host_.state.header.generation};
  std::set<Subject> incomplete;
  for (Index index = 0; index < outcomes_.size(); ++index) {
    const Outcome outcome = outcomes_[index];
    finished.done += outcome == Outcome::kDone;
    finished.failed += outcome == Outcome::kFailed;
    finished.undone += outcome == Outcome::kUndone;
    finished.skipped += outcome == Outcome::kSkipped;
    if (outcome != Outcome::kDone) incomplete.insert(at(index).subject);
  }
  for (const Subject& subject : incomplete) {
    wire::Holds holds{to_string(subject), {}};
    for (const Statement& line : host_.state.lines_of(subject)) holds.lines.push_back(lang::print(line));
    host_.emit(holds);
  }
  if (auto ended = host_.journal.finish(); !ended) return ended;
  const std::string counts = " done=" + std::to_string(finished.done) + " failed=" + std::to_string(finished.failed) +
                             " undone=" + std::to_string(finished.undone) + " skipped=" + std::to_string(finished.skipped);
  if (auto wrote = host_.audit.append("finished plan=" + to_string(digest_) + counts + " state=" + to_string(finished.state)); !wrote) {
    return wrote;
  }
  if (auto synced = host_.audit.sync(); !synced) return synced;
  host_.emit(finished);
  return {};
}

}  // namespace mvm::supervisor
