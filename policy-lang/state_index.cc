#include "policy-lang/state_index.h"

#include <algorithm>
#include <tuple>

#include "policy-lang/print.h"

namespace mvm::lang {
namespace {

// Appends the subjects of `statements`, runs of one subject once.
void append_subjects(std::vector<const Subject*>& subjects, const std::vector<Statement>& statements) {
  const Subject* last = nullptr;
  for (const Statement& statement : statements) {
    if (last == nullptr || statement.subject != *last) subjects.push_back(last = &statement.subject);
  }
}

constexpr auto less = [](const Subject* left, const Subject* right) { return *left < *right; };
constexpr auto equal = [](const Subject* left, const Subject* right) { return *left == *right; };

// Merges ascending runs, of which a plan that was made by diff() has a few.
void sort_runs(std::vector<const Subject*>& subjects) {
  std::vector bounds = {subjects.begin()};
  while (bounds.back() != subjects.end()) bounds.push_back(std::is_sorted_until(bounds.back(), subjects.end(), less));
  while (bounds.size() > 2) {
    std::vector merged = {bounds.front()};
    for (std::size_t i = 2; i < bounds.size(); i += 2) {
      std::inplace_merge(bounds[i - 2], bounds[i - 1], bounds[i], less);
      merged.push_back(bounds[i]);
    }
    if (merged.back() != bounds.back()) merged.push_back(bounds.back());
    bounds = std::move(merged);
  }
}

// Every subject that state or plan names, once, in canonical order.
std::vector<const Subject*> subjects_of(const Document& state, const std::vector<Statement>& plan) {
  std::vector<const Subject*> standing, planned, all;
  append_subjects(standing, state.statements);
  append_subjects(planned, plan);
  sort_runs(planned);
  planned.erase(std::unique(planned.begin(), planned.end(), equal), planned.end());
  all.reserve(standing.size() + planned.size());
  std::ranges::set_union(standing, planned, std::back_inserter(all), less);
  return all;
}

// A line as it was written, made what it is now.
void bring_up_to_date(Statement& line, const Site& site) {
  line.sign = Sign::kNone;
  if (line.word == Word::kVolume) {
    static const std::size_t key = field_index(Word::kVolume, "key");
    line.numbers[key] = site.instance->volume_key;
  }
  if (line.word != Word::kJail) return;
  static const std::size_t state = field_index(Word::kJail, "state"), guest = field_index(Word::kJail, "guest");
  line.numbers[state] = site.instance->jail_state;
  line.numbers[guest] = site.instance->jail_guest;
}

}  // namespace

Totals& Totals::operator+=(const Totals& o) {
  instances += o.instances, stopped += o.stopped, running += o.running, warm += o.warm;
  vcpus += o.vcpus, mem += o.mem, disk += o.disk;
  return *this;
}

Totals& Totals::operator-=(const Totals& o) {
  instances -= o.instances, stopped -= o.stopped, running -= o.running, warm -= o.warm;
  vcpus -= o.vcpus, mem -= o.mem, disk -= o.disk;
  return *this;
}

WordSet Tenant::words() const {
  WordSet words = 0;
  for (std::size_t i = 0; i < kPrimitives; ++i) {
    if (counts[i] != 0) words |= bit(primitive(i));
  }
  return words;
}

Totals Instance::share() const {
  Totals share;
  share.instances = lines.words != 0;
  if (const Statement* volume = lines.find(Word::kVolume)) share.disk = volume_view(*volume).mib;
  if (const Statement* jail = lines.find(Word::kJail)) {
    const JailView view = jail_view(*jail);
    share.vcpus = view.vcpus, share.mem = view.mem_mib;
    share.running = jail_state == kRunning, share.warm = jail_state == kWarm;
  } else {
    share.stopped = lines.has(Word::kVolume) || lines.has(Word::kSnapshot);
  }
  return share;
}

StateIndex::StateIndex(const Document& state, const std::vector<Statement>& plan) {
  const std::vector<const Subject*> subjects = subjects_of(state, plan);
  instances_.reserve(subjects.size());
  for (const Subject* subject : subjects) add_subject(*subject);
  give_pools_their_instances();
  for (const Statement& line : state.statements) put(site(line.subject), line);
}

void StateIndex::add_subject(const Subject& subject) {
  if (tenants_.empty() || tenants_.back().name != subject.tenant) tenants_.push_back({.name = subject.tenant});
  if (subject.kind != SubjectKind::kPool && subject.kind != SubjectKind::kInstance) return;
  const auto tenant = static_cast<std::uint32_t>(tenants_.size() - 1);
  if (pools_.empty() || pools_.back().tenant != tenant || pools_.back().name != subject.pool) {
    pools_.push_back({.name = subject.pool, .tenant = tenant});
  }
  if (subject.kind == SubjectKind::kPool) return;
  instances_.push_back({.subject = &subject, .tenant = tenant, .pool = static_cast<std::uint32_t>(pools_.size() - 1)});
}

void StateIndex::give_pools_their_instances() {
  std::size_t first = 0;
  for (std::uint32_t i = 0; i < pools_.size(); ++i) {
    std::size_t last = first;
    while (last < instances_.size() && instances_[last].pool == i) ++last;
    pools_[i].instances = std::span(instances_).subspan(first, last - first);
    first = last;
  }
}

// Most often the one of the statement before, or the next.
std::size_t StateIndex::find(const Subject& instance) const {
  for (std::size_t at = last_instance_; at != std::min(last_instance_ + 2, instances_.size()); ++at) {
    if (*instances_[at].subject == instance) return at;
  }
  const auto key = [](const Instance& known) -> const Subject& { return *known.subject; };
  return static_cast<std::size_t>(std::ranges::lower_bound(instances_, instance, {}, key) - instances_.begin());
}

Site StateIndex::site(const Subject& subject) {
  if (subject.kind != SubjectKind::kInstance) {
    if (tenants_[last_tenant_].name != subject.tenant) {
      last_tenant_ = static_cast<std::size_t>(std::ranges::lower_bound(tenants_, subject.tenant, {}, &Tenant::name) - tenants_.begin());
    }
    if (subject.kind != SubjectKind::kPool) return {.tenant = &tenants_[last_tenant_]};
    const auto key = [](const Pool& pool) { return std::pair(pool.tenant, pool.name); };
    const auto pool = std::ranges::lower_bound(pools_, std::pair(static_cast<std::uint32_t>(last_tenant_), subject.pool), {}, key);
    return {.tenant = &tenants_[last_tenant_], .pool = &*pool};
  }
  Instance& instance = instances_[last_instance_ = find(subject)];
  return {.tenant = &tenants_[instance.tenant], .pool = &pools_[instance.pool], .instance = &instance};
}

template <class Change>
void StateIndex::carry_out(const Site& site, Change change) {
  const auto share = [&site] { return site.instance != nullptr ? site.instance->share() : Totals{}; };
  const Totals before = share();
  tenants_present_ -= site.tenant->present();
  change();
  const Totals after = share();
  if (after != before) {
    for (Totals* sum : {&totals_, &site.tenant->totals, &site.pool->totals}) *sum -= before, *sum += after;
  }
  tenants_present_ += site.tenant->present();
}

void StateIndex::put(const Site& site, const Statement& line) {
  carry_out(site, [&] {
    const std::size_t index = primitive_index(line.word);
    site.lines().at[index] = &line;
    site.lines().words |= bit(line.word);
    ++site.tenant->counts[index];
    ++lines_;
    if (line.word == Word::kJail) {
      site.instance->jail_state = jail_view(line).state;
      site.instance->jail_guest = jail_view(line).guest;
    }
    if (line.word == Word::kVolume) site.instance->volume_key = volume_view(line).key_version;
    if (line.word == Word::kSnapshot) site.instance->snapshot_digest.reset();
    if (is_diff(line)) ++site.pool->diffs;
  });
}

void StateIndex::drop(const Site& site, Word word) {
  carry_out(site, [&] {
    const std::size_t index = primitive_index(word);
    if (is_diff(*site.lines().at[index])) --site.pool->diffs;
    site.lines().at[index] = nullptr;
    site.lines().words &= ~bit(word);
    --site.tenant->counts[index];
    --lines_;
  });
}

std::uint64_t& StateIndex::moved(Instance& instance, Word word) {
  if (word == Word::kVolume) return instance.volume_key;
  return word == Word::kJail ? instance.jail_state : instance.jail_guest;
}

void StateIndex::move(const Site& site, Word word, std::uint64_t to) {
  carry_out(site, [&] { moved(*site.instance, word) = to; });
}

void StateIndex::carry_out(const Site& site, const Statement& statement) {
  if (statement.sign == Sign::kAdd) return put(site, statement);
  if (statement.sign == Sign::kRemove) return drop(site, statement.word);
  move(site, statement.word, statement.numbers[1]);
}

Statement StateIndex::line(const Site& site, Word word) {
  Statement line = *site.lines().find(word);
  bring_up_to_date(line, site);
  return line;
}

std::vector<Statement> StateIndex::statements() {
  std::vector<Statement> all;
  all.reserve(lines_);
  const auto append = [&all](const Site& site) {
    for (std::size_t i = 0; i < kPrimitives; ++i) {
      if (site.lines().at[i] == nullptr) continue;
      all.push_back(*site.lines().at[i]);
      bring_up_to_date(all.back(), site);
    }
  };
  auto pool = pools_.begin();
  for (std::uint32_t i = 0; i < tenants_.size(); ++i) {
    append({.tenant = &tenants_[i]});
    for (; pool != pools_.end() && pool->tenant == i; ++pool) {
      append({.tenant = &tenants_[i], .pool = &*pool});
      for (Instance& instance : pool->instances) append({.tenant = &tenants_[i], .pool = &*pool, .instance = &instance});
    }
  }
  return all;
}

const Statement* find_full_snapshot(const Pool& pool, const Digest& digest) {
  for (Instance& instance : pool.instances) {
    const Statement* snapshot = instance.lines.find(Word::kSnapshot);
    if (snapshot == nullptr || is_diff(*snapshot)) continue;
    if (!instance.snapshot_digest) instance.snapshot_digest = snapshot_digest(*snapshot);
    if (*instance.snapshot_digest == digest) return snapshot;
  }
  return nullptr;
}

const Statement* find_line(const Document& sorted, const Subject& subject, Word word) {
  const auto found = std::ranges::lower_bound(sorted.statements, std::tie(subject, word), {},
                                              [](const Statement& line) { return std::tie(line.subject, line.word); });
  const bool hit = found != sorted.statements.end() && found->subject == subject && found->word == word;
  return hit ? &*found : nullptr;
}

Statement as_line(const Statement& statement) {
  Statement line = statement;
  line.sign = Sign::kNone;
  return line;
}

}  // namespace mvm::lang
