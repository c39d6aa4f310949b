#include "broker/supervisor/recovery.h"

#include <algorithm>
#include <set>

#include "broker/supervisor/interrupted.h"
#include "broker/supervisor/inventory.h"
#include "broker/supervisor/steps.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"

namespace mvm::supervisor {
namespace {

using lang::Statement;
using lang::Word;

using Subjects = std::set<Subject>;

Result<lang::Document> parse_own(Host& host, lang::Kind kind, std::string_view text) {
  auto parsed = host.gate.parse(kind, text);
  if (!parsed) return forward(parsed.error());
  if (!*parsed) return fail(Errc::kCorrupt, "read a text of our own: " + parsed->error().message(), std::string(to_string(kind)));
  return std::move(**parsed).document();
}

struct Left {
  lang::Document plan;
  std::vector<Mark> marks;
};

// An empty cgroup stands; anything else that is not whole is of no use to anyone.
bool stands(const wire::Item* item) { return item != nullptr && (item->alive || item->word == Word::kCgroup); }

// What the net worker makes is names, elements and routes, and to make it again where a part is there adds what is missing and
// disturbs nobody: so a host that was left by an earlier version, under another policy, or that somebody has changed, is
// mended with its microVMs running. What cannot be mended falls.
bool is_mended(const wire::Item* item, Word word) {
  return item != nullptr && !item->alive && lang::row(word).worker == lang::Worker::kNet;
}

Status mend(Host& host, Statement line) {
  line.sign = lang::Sign::kAdd;
  auto task = task_of(line, host.state, host.policy);
  if (!task) return {};  // it stands on what is not there, and falls with that
  const auto answer = host.workers.call(lang::row(line.word).worker, *std::move(task));
  if (!answer) return forward(answer.error());
  line.sign = lang::Sign::kNone;
  if (!answer->ok) return host.audit.append("mend-failed " + lang::print(line) + ": " + answer->error.message());
  return host.audit.append("mended " + lang::print(line));
}

Result<Inventory> take_whole(Host& host) {
  auto inventory = Inventory::take(host.workers, host.policy);
  if (!inventory) return inventory;
  bool mended = false;
  for (const auto& [key, line] : host.state.lines()) {
    if (!is_mended(inventory->find(host.state, line), line.word)) continue;
    mended = true;
    if (auto done = mend(host, line); !done) return forward(done.error());
  }
  return mended ? Inventory::take(host.workers, host.policy) : std::move(inventory);
}

// A jail was made with the drives that there were. Where one of them is no longer what its line says, it goes with it.
void add_users(const HostState& state, std::vector<Statement>& fallen) {
  for (std::size_t i = 0; i < fallen.size(); ++i) {
    for (const lang::Row& row : lang::table()) {
      const Statement* user = (row.uses & bit(fallen[i].word)) != 0 ? state.find(fallen[i].subject, row.word) : nullptr;
      if (user != nullptr && !row.durable && std::ranges::find(fallen, *user) == fallen.end()) fallen.push_back(*user);
    }
  }
}

// Of the one snapshot that an instance has, or of a pool's base that no diff stands on, its file is there and opens no more.
bool is_spent(const Inventory& inventory, const HostState& state, const Statement& line) {
  const bool base = line.word == Word::kBase && state.nothing_stands_on(line.subject, Word::kBase);
  if (line.word != Word::kSnapshot && !base) return false;
  const wire::Item* item = inventory.find(state, line);
  return item != nullptr && !item->alive;
}

// Takes away the lines whose things are not there, and those that stood on them; sets what the kernel knows better.
Subjects fall(HostState& state, const Inventory& inventory) {
  std::vector<Statement> fallen;
  std::vector<Statement> moved;
  for (const auto& [key, line] : state.lines()) {
    // A snapshot that is spent is none: the microVM that was woken of it has gone, or has it no longer.
    if (is_spent(inventory, state, line)) fallen.push_back(line);
    const lang::Row& row = lang::row(line.word);
    const wire::Item* item = inventory.find(state, line);
    // What is durable stands by its record: a file system that is not mounted is no reason to forget whose data is on it.
    if (!stands(item) && !row.durable) fallen.push_back(line);
    const bool is_moved = item != nullptr && !row.moves.empty() && line.number(row.moves) != item->state;
    if (!is_moved || (row.durable ? item->state == 0 : !stands(item))) continue;
    moved.push_back(line);
    moved.back().numbers[lang::field_index(line.word, row.moves)] = item->state;
  }
  add_users(state, fallen);
  Subjects changed;
  for (const Statement& line : moved) {
    state.put(line);
    changed.insert(line.subject);
  }
  while (!fallen.empty()) {
    for (const Statement& line : fallen) {
      state.drop(line.subject, line.word);
      changed.insert(line.subject);
    }
    fallen.clear();
    for (const auto& [key, line] : state.lines()) {
      if (!state.has_what_it_needs(line)) fallen.push_back(line);
    }
  }
  return changed;
}

// Data that has no line is left alone, but where the interrupted plan was removing it. What is not `alive` of it was never opened,
// so nobody's data is in it. A base is a copy, and without its line of use to nobody, unless it is the line that was lost, and not its diffs.
bool may_sweep(const HostState& state, const wire::Item& item, const Subjects& removing) {
  if (item.word == Word::kBase) return state.nothing_stands_on(item.subject, Word::kBase);
  return !lang::row(item.word).durable || !item.alive || removing.contains(item.subject);
}

std::vector<wire::Item> to_sweep(const Host& host, const Inventory& inventory, const Subjects& removing) {
  std::vector<wire::Item> leaks = inventory.leaks(host.state);
  std::erase_if(leaks, [&](const wire::Item& item) { return !may_sweep(host.state, item, removing); });
  return leaks;
}

// Said, and nothing more: it is for people to say what becomes of it.
Status tell_of_strays(Host& host, const Inventory& inventory, const Subjects& removing) {
  for (const wire::Item& item : inventory.leaks(host.state)) {
    if (may_sweep(host.state, item, removing)) continue;
    const std::string what = std::string(lang::row(item.word).name) + " " + to_string(item.subject);
    if (auto wrote = host.audit.append("stray " + what + ": it has no line, and is left as it is"); !wrote) return wrote;
  }
  for (const auto& [key, line] : host.state.lines()) {
    const bool missed = lang::row(line.word).durable && inventory.find(host.state, line) == nullptr;
    if (!missed) continue;
    if (auto wrote = host.audit.append("missing " + lang::print(line)); !wrote) return wrote;
  }
  return {};
}

// Whose data goes with the interrupted plan: it had been removing it, or had made it and goes back. A line that it took away or gave up
// was its own to take: data that was there without a line, and for which it could make nothing, never had one here.
Subjects being_removed(const HostState& before, const HostState& now) {
  Subjects subjects;
  for (const auto& [key, line] : before.lines()) {
    if (lang::row(line.word).durable && now.find(line.subject, line.word) == nullptr) subjects.insert(line.subject);
  }
  return subjects;
}

// A snapshot that was not known to be done, and may be: its microVM goes on, so nothing may be resumed of it. Or a base, of which no diff was begun.
Subjects unfinished_snapshots(const std::optional<Left>& left, const HostState& now) {
  Subjects subjects;
  if (!left) return subjects;
  for (const Mark& mark : left->marks) {
    const Statement& statement = left->plan.statements[mark.index];
    const bool begun = makes_snapshot(statement) || makes_base(statement);
    if (begun && now.find(statement.subject, statement.word) == nullptr) subjects.insert(statement.subject);
  }
  return subjects;
}

// After all jails that have no line are gone. What somebody else holds open is read-only and nobody's data: it is said, and tried again.
Status close_images(Host& host, const Inventory& inventory) {
  const std::set<Digest> used = host.state.images();
  for (const wire::Item& item : inventory.images()) {
    const std::string image = to_string(*item.image);
    if (item.state != 0 && host.damaged.insert(*item.image).second) {
      const std::string advice = ": a block is not what its root hash says; microVMs read I/O errors there; `mvm image verify` says where";
      if (auto wrote = host.audit.append("damaged image " + image + advice); !wrote) return wrote;
    }
    if (used.contains(*item.image)) continue;
    const auto answer = host.workers.call(lang::Worker::kStorage, close_image_task(*item.image));
    if (!answer) return forward(answer.error());
    const std::string said = answer->ok ? "closed image " + image : "not-closed image " + image + ": " + answer->error.message();
    if (auto wrote = host.audit.append(said); !wrote) return wrote;
    if (answer->ok) host.damaged.erase(*item.image);
  }
  return {};
}

Status sweep(Host& host, const Inventory& inventory, const Subjects& removing) {
  for (const wire::Item& item : to_sweep(host, inventory, removing)) {
    const wire::Task task = sweep_task(item);
    if (auto wrote = host.audit.append("sweep " + std::string(lang::row(item.word).name) + " " + to_string(item.subject) + " net=" +
                                       std::to_string(item.net) + " slot=" + std::to_string(item.slot));
        !wrote) {
      return wrote;
    }
    const auto answer = host.workers.call(lang::row(item.word).worker, task);
    if (!answer) return forward(answer.error());
    if (!answer->ok) return forward(answer->error);
  }
  const auto again = Inventory::take(host.workers, host.policy);
  if (!again) return forward(again.error());
  if (!to_sweep(host, *again, removing).empty()) return fail(Errc::kBusy, "sweep what has no line");
  return close_images(host, *again);
}

Status write_records(Host& host, const Subjects& changed) {
  for (const Subject& subject : changed) {
    if (auto wrote = host.records.write(host.state, subject, Keep::kOverPowerCut); !wrote) return wrote;
    if (subject.kind == SubjectKind::kTenant || host.state.find(subject, subject.kind == SubjectKind::kPool ? Word::kBase : Word::kSnapshot) != nullptr) continue;
    if (auto forgot = host.records.forget_newest(subject); !forgot) return forgot;
  }
  return {};
}

// What the journal says of the plan that was running, or nothing.
Result<std::optional<Left>> read_journal(Host& host, Boot boot) {
  const auto interrupted = host.journal.interrupted();
  if (!interrupted) return forward(interrupted.error());
  if (!*interrupted) return std::nullopt;
  auto plan = parse_own(host, lang::Kind::kPlan, (*interrupted)->plan);
  if (!plan) return forward(plan.error());
  auto marks = read_marks((*interrupted)->marks, lang::text_digest(*plan), boot);
  if (!marks) return forward(marks.error());
  for (const Mark& mark : *marks) {
    if (mark.index >= plan->statements.size()) return fail(Errc::kCorrupt, "find the statement of a mark");
  }
  return Left{*std::move(plan), *std::move(marks)};
}

Status check_state(const Host& host) {
  const auto holds = lang::verify_state(host.state.document(), host.policy.text);
  if (!holds) return fail(Errc::kCorrupt, "recover a state that holds: " + holds.error().message());
  return {};
}

}  // namespace

Status recover(Host& host, Boot boot) {
  const auto parse = [&host](std::string_view text) { return parse_own(host, lang::Kind::kState, text); };
  auto state = host.records.load(host.policy.text.header.node, boot, parse);
  if (!state) return forward(state.error());
  const auto left = read_journal(host, boot);
  if (!left) return forward(left.error());
  host.state = *std::move(state);
  const auto inventory = take_whole(host);
  if (!inventory) return forward(inventory.error());

  Subjects changed = fall(host.state, *inventory);
  const HostState before = host.state;
  if (*left) changed.merge(resolve((*left)->plan, (*left)->marks, host.state));
  if (auto holds = check_state(host); !holds) return holds;
  Subjects removing = being_removed(before, host.state);
  const Subjects unfinished = unfinished_snapshots(*left, host.state);
  removing.insert(unfinished.begin(), unfinished.end());
  changed.insert(unfinished.begin(), unfinished.end());
  if (auto swept = sweep(host, *inventory, removing); !swept) return swept;
  if (auto told = tell_of_strays(host, *inventory, removing); !told) return told;
  if (auto wrote = write_records(host, changed); !wrote) return wrote;
  if (auto finished = host.journal.finish(); !finished) return finished;
  const std::string plan = *left ? to_string(lang::text_digest((*left)->plan)) : "none";
  if (auto wrote = host.audit.append("recovered interrupted=" + plan + " changed=" + std::to_string(changed.size()) + " state=" +
                                     to_string(host.state.digest()));
      !wrote) {
    return wrote;
  }
  return host.audit.sync();
}

Status settle(Host& host) {
  const auto inventory = take_whole(host);
  if (!inventory) return forward(inventory.error());
  const HostState before = host.state;
  const Subjects changed = fall(host.state, *inventory);
  if (auto swept = sweep(host, *inventory, {}); !swept) return swept;
  if (auto wrote = write_records(host, changed); !wrote) return wrote;
  for (const Subject& subject : changed) {
    const Statement* jail = before.find(subject, Word::kJail);
    if (jail == nullptr || host.state.find(subject, Word::kJail) != nullptr) continue;
    host.emit(wire::Ended{to_string(subject)});
    if (auto wrote = host.audit.append("ended " + lang::print(*jail)); !wrote) return wrote;
  }
  return changed.empty() ? Status{} : host.audit.sync();
}

}  // namespace mvm::supervisor
