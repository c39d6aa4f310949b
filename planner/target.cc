#include "planner/target.h"

#include <algorithm>
#include <map>
#include <ranges>
#include <set>
#include <utility>

#include "planner/instances.h"
#include "planner/make_lines.h"
#include "planner/quota.h"
#include "policy-lang/print.h"

namespace mvm::planner {
namespace {

using lang::Statement;
using lang::Word;

using Members = std::vector<Subject>;  // oldest first

// One pass over the projection. Decisions are made by changing fleet_, each asked of quota_ first.
class Round {
 public:
  explicit Round(const Inputs& inputs) : in_(inputs), fleet_(read_fleet(inputs.now)), quota_(inputs.projection, inputs.policy) {
    for (const auto& [subject, instance] : fleet_.instances) {
      ids_.insert(subject.instance.value);
      if (instance.slot() != 0) slots_[subject.tenant].insert(instance.slot());
      Instance nothing;
      nothing.subject = subject;
      quota_.force(nothing, instance);
    }
    for (const Statement& line : in_.policy.statements) {
      if (line.word == Word::kPerInstance) per_instance_ = line;
    }
  }

  Target run() {
    prune();
    for (const Statement& line : in_.projection.statements) {
      if (line.word == Word::kTenant) network(line);
    }
    for (const Statement& line : in_.projection.statements) {
      if (line.word == Word::kPool) reconcile(line);
    }
    for (const Statement& line : in_.projection.statements) {
      if (line.word == Word::kPool) add_base(line.subject, lang::pool_view(line));
    }
    drop_bases();
    Target target;
    target.state.kind = lang::Kind::kState;
    target.state.header = {in_.now.header.node, in_.projection.header.generation, true, lang::text_digest(in_.projection), {}};
    target.state.statements = write_fleet(fleet_);
    target.notes = std::move(notes_);
    return target;
  }

 private:
  [[nodiscard]] bool supports(lang::WordSet words) const { return (in_.supported & words) == words; }
  [[nodiscard]] bool may_tell(const Subject& instance) const { return supports(lang::bit(Word::kGuest)) && !in_.deaf.contains(instance); }
  void note(const Subject& subject, std::string text) { notes_.push_back({subject, std::move(text)}); }

  [[nodiscard]] const Statement* find(Word word, const Subject& subject) const {
    const auto& lines = in_.projection.statements;
    const auto found = std::ranges::find_if(lines, [&](const Statement& s) { return s.word == word && s.subject == subject; });
    return found == lines.end() ? nullptr : &*found;
  }

  // Tenants and pools that the projection does not name go, with their data, where it says so.
  void prune() {
    const Statement* prune = find(Word::kPrune, {});
    const bool tenants = prune != nullptr && prune->number("tenants") == lang::kYes;
    const bool pools = prune != nullptr && prune->number("pools") == lang::kYes;
    const auto doomed = [&](const Subject& subject) {
      if (find(Word::kTenant, tenant_subject(subject.tenant)) == nullptr) return tenants;
      if (subject.kind == SubjectKind::kTenant) return false;
      return pools && find(Word::kPool, pool_subject(subject.tenant, subject.pool)) == nullptr;
    };
    for (auto& [subject, instance] : fleet_.instances) {
      if (!doomed(subject)) continue;
      Instance gone;
      gone.subject = subject;
      quota_.force(instance, gone);
      instance = gone;
    }
    std::erase_if(fleet_.bases, [&](const auto& entry) { return doomed(entry.first); });
    std::erase_if(fleet_.bridges, [&](const auto& entry) { return doomed(entry.first); });
    std::erase_if(fleet_.rules, [&](const auto& entry) { return doomed(entry.first); });
  }

  void network(const Statement& tenant) {
    fleet_.bridges[tenant.subject] = bridge_line(tenant.subject, lang::tenant_view(tenant));
    if (const Statement* rule = find(Word::kRule, tenant.subject)) fleet_.rules[tenant.subject] = *rule;
    else fleet_.rules.erase(tenant.subject);
  }

  // The pool's instances, those that are nothing any more included.
  [[nodiscard]] auto of_pool(const Subject& pool) const {
    return std::ranges::subrange(fleet_.instances.lower_bound(pool), fleet_.instances.end()) |
           std::views::take_while([pool](const auto& entry) { return entry.first.tenant == pool.tenant && entry.first.pool == pool.pool; });
  }

  [[nodiscard]] Members members(const Subject& pool, Phase phase) const {
    Members found;
    for (const auto& [subject, instance] : of_pool(pool)) {
      if (!instance.empty() && instance.phase() == phase && !aside_.contains(subject)) found.push_back(subject);
    }
    return found;
  }

  // What the pool has that its counts do not decide: what rests, in the place of one that runs, and what is held, in its own. What is left of the
  // counts is for the others.
  void set_aside(const Subject& pool, lang::PoolView& counts) {
    const auto take_from = [](std::uint64_t& count) { count -= std::min<std::uint64_t>(count, 1); };
    const bool may_rest = !counts.pinned && !counts.critical;
    for (const auto& [subject, instance] : of_pool(pool)) {
      if (instance.empty()) continue;
      if (instance.phase() == Phase::kStopped) {
        if (in_.held.contains(subject)) aside_.insert(subject);
        continue;
      }
      const bool rests = may_rest && in_.rests.contains(subject) && counts.running > 0, held = in_.held.contains(subject);
      if (!rests && !held) continue;
      aside_.insert(subject);
      if (rests || instance.phase() == Phase::kRunning) take_from(counts.running);
      else if (instance.phase() == Phase::kWarm) take_from(counts.warm);
      else take_from(counts.sleeping);
      if (rests && !held) resting_.push_back(subject);
    }
  }

  // Of the instance's pool, or nullptr.
  [[nodiscard]] const Statement* base_of(const Subject& instance) const {
    const auto base = fleet_.bases.find(pool_subject(instance.tenant, instance.pool));
    return base == fleet_.bases.end() ? nullptr : &base->second;
  }

  // What rests, a step further: paused with its guest parked, so that it can be put to sleep as it is.
  void rest(const Subject& subject, const Blueprint& blueprint) {
    const bool asleep = in_.rests.at(subject) == Rest::kAsleep && supports(lang::bit(Word::kSnapshot));
    Instance instance = fleet_.instances[subject];
    const Phase phase = instance.phase();
    if (phase == Phase::kSleeping || (phase == Phase::kWarm && !asleep)) return;
    if (asleep && (phase == Phase::kWarm || may_tell(subject))) {
      if (sleeps_ == kMaxSleepsARound) return;
      put_to_sleep(instance, blueprint, in_.sleep_seq, base_of(subject));
      if (change(instance)) ++sleeps_;
      return;
    }
    Statement jail = *instance.line(Word::kJail);
    jail.numbers[4] = lang::kWarm;
    if (may_tell(subject)) jail.numbers[5] = lang::kParked;
    instance.set(jail);
    if (!change(instance)) note(subject, "it is idle, and cannot be paused just now");
  }

  // The change, where quota allows it.
  bool change(const Instance& after) {
    Instance& before = fleet_.instances[after.subject];
    before.subject = after.subject;
    if (auto why = quota_.replace(before, after)) {
      note(pool_subject(after.subject.tenant, after.subject.pool), *why);
      return false;
    }
    before = after;
    return true;
  }

  bool start(const Subject& subject, const Blueprint& blueprint, std::uint64_t state) {
    if (starts_ == kMaxStartsARound) return false;
    Instance instance = fleet_.instances[subject];
    instance.subject = subject;
    const std::uint32_t slot = instance.slot() != 0 ? instance.slot() : free_slot(subject.tenant, blueprint.tenant.subnet);
    if (slot == 0) {
      note(pool_subject(subject.tenant, subject.pool), "no slot is free in the tenant's subnet or on its bridge");
      return false;
    }
    add_microvm(instance, blueprint, {state, slot});
    if (!change(instance)) return false;
    slots_[subject.tenant].insert(slot);
    ids_.insert(subject.instance.value);
    ++starts_;
    return true;
  }

  bool move(const Subject& subject, std::uint64_t state) {
    Instance instance = fleet_.instances[subject];
    Statement jail = *instance.line(Word::kJail);
    jail.numbers[4] = state;
    instance.set(jail);
    if (!change(instance)) return false;
    // One that runs is parked before it sleeps; where nobody can tell it to, it goes by way of warm, and sleeps in the next round.
    if (state == lang::kWarm && !may_tell(subject)) fresh_warm_.insert(subject);
    if (state == lang::kWarm && in_.deaf.contains(subject)) note(subject, "its guest does not do as it is told: it is paused without having parked");
    return true;
  }

  // One that runs and was told last to park: it wakes, or its sleep failed, or hostd ended while it was being told. One that nobody may tell goes on
  // as if it had been.
  void tell_to_go_on(const Subject& subject) {
    if (!may_tell(subject)) return;
    Instance& instance = fleet_.instances[subject];
    Statement jail = *instance.line(Word::kJail);
    jail.numbers[5] = lang::kAwake;
    instance.set(jail);
  }

  void stop(const Subject& subject) {
    Instance instance = fleet_.instances[subject];
    stop_microvm(instance);
    quota_.force(fleet_.instances[subject], instance);
    fleet_.instances[subject] = instance;
  }

  // The lowest slot that no instance holds now: a slot that this plan frees is not given out again before the next plan.
  [[nodiscard]] std::uint32_t free_slot(const Name& tenant, const Subnet& subnet) {
    const std::set<std::uint32_t>& used = slots_[tenant];
    if (used.size() >= lang::kMaxTapsPerBridge) return 0;
    for (std::uint32_t slot = lang::kFirstSlot; slot + 1 < subnet.size(); ++slot) {
      if (!used.contains(slot)) return slot;
    }
    return 0;
  }

  // 20 bits of the generation, then the lowest number that is free: ids grow with time, and a restart chooses the same.
  [[nodiscard]] InstanceId free_id() const {
    const std::uint32_t first = static_cast<std::uint32_t>(in_.projection.header.generation << 12);
    std::uint32_t id = first;
    while (ids_.contains(id)) ++id;
    return {id};
  }

  // V5 of docs/language.md: beyond those that are stopped or asleep, no more instances than the counts want.
  [[nodiscard]] bool may_create(const Subject& pool) const {
    std::uint64_t live = 0;
    for (const auto& [subject, instance] : of_pool(pool)) {
      const Phase phase = instance.phase();
      if (phase == Phase::kSleeping || instance.empty()) continue;
      live += phase != Phase::kStopped || instance.line(Word::kVolume) == nullptr;
    }
    const lang::PoolView wanted = lang::pool_view(*find(Word::kPool, pool));
    return live < wanted.running + wanted.warm + wanted.sleeping;
  }

  [[nodiscard]] std::string missing_for(const Blueprint& blueprint) const {
    if (blueprint.pool.data != 0 && !supports(lang::set_of(Word::kVolume, Word::kLuksOpen))) return "data drives are not supported by this host";
    if (blueprint.tenant.has_secrets && !supports(lang::bit(Word::kSecrets))) return "secrets drives are not supported by this host";
    if (blueprint.pool.has_config && !supports(lang::bit(Word::kConfig))) return "config drives are not supported by this host";
    return {};
  }

  void reconcile(const Statement& line) {
    const Subject& pool = line.subject;
    const Statement* tenant = find(Word::kTenant, tenant_subject(pool.tenant));
    if (tenant == nullptr) return;  // verify_projection() refuses such a projection
    Blueprint blueprint{lang::pool_view(line), lang::tenant_view(*tenant), pool.tenant, per_instance_.numbers[0],
                              per_instance_.numbers[1], per_instance_.numbers[2], per_instance_.numbers[3]};
    if (const std::string missing = missing_for(blueprint); !missing.empty()) return note(pool, missing);
    const bool sleeps = supports(lang::bit(Word::kSnapshot));
    set_aside(pool, blueprint.pool);
    for (const Subject& subject : std::exchange(resting_, {})) rest(subject, blueprint);

    Members running = members(pool, Phase::kRunning), warm = members(pool, Phase::kWarm);
    Members sleeping = members(pool, Phase::kSleeping), stopped = members(pool, Phase::kStopped);
    // Up to the running count.
    const auto take = [&](Members& from, Members& to, auto&& act) {
      while (!from.empty() && to.size() < blueprint.pool.running) {
        if (!act(from.front())) return;
        to.push_back(from.front());
        from.erase(from.begin());
      }
    };
    const auto run = [&](const Subject& subject) { return start(subject, blueprint, lang::kRunning); };
    // Where not all could be woken, none of the others take their place.
    if (sleeps && !wake(sleeping, running, blueprint)) blueprint.pool.running = running.size();
    take(warm, running, [&](const Subject& subject) { return move(subject, lang::kRunning); });
    take(stopped, running, run);
    while (running.size() < blueprint.pool.running && may_create(pool)) {
      const Subject fresh = instance_subject(pool.tenant, pool.pool, free_id());
      if (!run(fresh)) break;
      running.push_back(fresh);
    }

    for (const Subject& subject : running) tell_to_go_on(subject);
    if (!blueprint.pool.critical) {
      settle_surplus(blueprint, running, warm, sleeping, sleeps);
      remake(running, blueprint);
    }
    fill_warm(pool, blueprint, warm, sleeping, stopped, sleeps);
    if (sleeps && !blueprint.pool.pinned && !blueprint.pool.critical) {
      while (sleeping.size() < blueprint.pool.sleeping && warm.size() > blueprint.pool.warm) sleep_one(warm, sleeping, blueprint);
    } else if (sleeping.size() < blueprint.pool.sleeping) {
      note(pool, sleeps ? "the pool is pinned or critical: nothing is put to sleep" : "snapshots are not supported by this host");
    }
    for (const Subject& subject : stopped) stop(subject);
    std::erase_if(fleet_.instances, [](const auto& entry) { return entry.second.empty(); });
  }

  // One that sleeps without the data drive that the pool has by now stays asleep: its guest knows of none.
  // False: a plan wakes no more.
  bool wake(Members& sleeping, Members& running, const Blueprint& blueprint) {
    for (auto at = sleeping.begin(); at != sleeping.end() && running.size() < blueprint.pool.running;) {
      if (wakes_ == kMaxWakesARound) return false;
      const bool wakes = blueprint.pool.data == 0 || fleet_.instances[*at].line(Word::kVolume) != nullptr;
      if (!wakes || !start(*at, blueprint, lang::kRunning)) {
        ++at;
        continue;
      }
      ++wakes_;
      running.push_back(*at);
      at = sleeping.erase(at);
    }
    return true;
  }

  // A new image or size reaches a quarter of the running instances (one at least) in each round.
  void remake(const Members& running, const Blueprint& blueprint) {
    std::size_t left = std::max<std::size_t>(1, running.size() / 4);
    for (const Subject& subject : running) {
      if (matches(fleet_.instances[subject], blueprint) || left == 0) continue;
      Instance instance = fleet_.instances[subject];
      const std::uint32_t slot = instance.slot();
      stop_microvm(instance);
      add_microvm(instance, blueprint, {lang::kRunning, slot});
      if (!change(instance)) continue;
      tell_to_go_on(subject);
      --left;
    }
  }

  void settle_surplus(const Blueprint& blueprint, Members& running, Members& warm, Members& sleeping, bool sleeps) {
    while (running.size() > blueprint.pool.running) {
      const Subject newest = running.back();
      running.pop_back();
      const bool wanted_asleep = sleeps && sleeping.size() + (warm.size() - std::min(warm.size(), blueprint.pool.warm)) < blueprint.pool.sleeping;
      const bool to_warm = !blueprint.pool.pinned && (warm.size() < blueprint.pool.warm || wanted_asleep);
      if (to_warm && move(newest, lang::kWarm)) warm.push_back(newest);
      else stop(newest);
    }
    while (warm.size() > blueprint.pool.warm && !(sleeps && sleeping.size() < blueprint.pool.sleeping)) {
      stop(warm.back());
      warm.pop_back();
    }
  }

  // Warm ones for the warm count, and those on their way to sleep.
  void fill_warm(const Subject& pool, const Blueprint& blueprint, Members& warm, const Members& sleeping, Members& stopped, bool sleeps) {
    const std::uint64_t asleep = std::min<std::uint64_t>(sleeping.size(), blueprint.pool.sleeping);
    const bool may_sleep = sleeps && !blueprint.pool.pinned && !blueprint.pool.critical;
    const std::uint64_t wanted = blueprint.pool.warm + (may_sleep ? blueprint.pool.sleeping - asleep : 0);
    while (warm.size() < wanted && (!stopped.empty() || may_create(pool))) {
      const Subject subject = stopped.empty() ? instance_subject(pool.tenant, pool.pool, free_id()) : stopped.front();
      if (!start(subject, blueprint, lang::kWarm)) return;
      fresh_warm_.insert(subject);
      if (!stopped.empty()) stopped.erase(stopped.begin());
      warm.push_back(subject);
    }
  }

  void sleep_one(Members& warm, Members& sleeping, const Blueprint& blueprint) {
    const Subject subject = warm.back();
    warm.pop_back();
    if (fresh_warm_.contains(subject) || sleeps_ == kMaxSleepsARound) return;
    Instance instance = fleet_.instances[subject];
    put_to_sleep(instance, blueprint, in_.sleep_seq, base_of(subject));
    if (!change(instance)) return;
    ++sleeps_;
    sleeping.push_back(subject);
  }

  // Nothing waits for a base: it takes as long as a sleep, and its tenant's other statements wait for it.
  [[nodiscard]] bool is_at_rest(const Name& tenant) const {
    const auto of_tenant = [&](const std::vector<Statement>& all) {
      std::vector<Statement> found;
      std::ranges::copy_if(all, std::back_inserter(found), [&](const Statement& line) { return line.subject.tenant == tenant; });
      return found;
    };
    return of_tenant(write_fleet(fleet_)) == of_tenant(in_.now.statements);
  }

  void add_base(const Subject& pool, const lang::PoolView& wanted) {
    if (!supports(lang::set_of(Word::kSnapshot, Word::kBase)) || wanted.pinned || fleet_.bases.contains(pool)) return;
    Members sleeping;
    std::size_t all = 0;
    for (const auto& [subject, instance] : of_pool(pool)) {
      if (instance.empty()) continue;
      all += instance.phase() != Phase::kStopped;
      if (instance.phase() == Phase::kSleeping) sleeping.push_back(subject);
    }
    const auto copied = std::ranges::find_if(sleeping, [&](const Subject& subject) {
      const Statement& snapshot = *fleet_.instances.at(subject).line(Word::kSnapshot);
      return may_copy(snapshot) && !in_.uncopied.contains(lang::snapshot_digest(snapshot));
    });
    if (all < kLeastForABase || copied == sleeping.end() || !is_at_rest(pool.tenant)) return;
    fleet_.bases[pool] = base_line(pool, wanted, *fleet_.instances.at(*copied).line(Word::kSnapshot));
  }

  void drop_bases() {
    std::erase_if(fleet_.bases, [&](const auto& entry) {
      const Statement* pool = find(Word::kPool, entry.first);
      if (pool != nullptr && is_wanted(entry.second, lang::pool_view(*pool))) return false;
      const auto stands_on_it = [&](const auto& each) {
        const Statement* snapshot = each.second.line(Word::kSnapshot);
        return snapshot != nullptr && lang::is_diff(*snapshot);
      };
      return std::ranges::none_of(of_pool(entry.first), stands_on_it);
    });
  }

  const Inputs& in_;
  Fleet fleet_;
  Quota quota_;
  Statement per_instance_;
  std::map<Name, std::set<std::uint32_t>> slots_;
  std::set<std::uint32_t> ids_;
  std::set<Subject> fresh_warm_;  // that can sleep in the next round
  std::set<Subject> aside_;
  std::vector<Subject> resting_;
  std::size_t starts_ = 0, wakes_ = 0, sleeps_ = 0;
  std::vector<Note> notes_;
};

}  // namespace

Target make_target(const Inputs& inputs) {
  return Round(inputs).run();
}

}  // namespace mvm::planner
