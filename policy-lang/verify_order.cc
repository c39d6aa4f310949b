// V2: each statement makes sense in the state that those before it left.
#include <bit>

#include "policy-lang/print.h"
#include "policy-lang/verify_rules.h"

namespace mvm::lang {
namespace {

std::string_view name_of_one(WordSet words) { return row(static_cast<Word>(std::countr_zero(words))).name; }

// Rows that name a word in their `needs`, or in their `uses`; from the table, by word.
struct Dependents {
  std::array<WordSet, kWords> needers{}, users{};
};
Dependents read_dependents() {
  Dependents dependents;
  for (const Row& r : table()) {
    for (const Row& other : table()) {
      if ((other.needs & bit(r.word)) != 0) dependents.needers[static_cast<std::size_t>(r.word)] |= bit(other.word);
      if ((other.uses & bit(r.word)) != 0) dependents.users[static_cast<std::size_t>(r.word)] |= bit(other.word);
    }
  }
  return dependents;
}
const Dependents& dependents() {
  static const Dependents kDependents = read_dependents();
  return kDependents;
}
WordSet needers(Word word) { return dependents().needers[static_cast<std::size_t>(word)]; }
WordSet users(Word word) { return dependents().users[static_cast<std::size_t>(word)]; }

Checked<void> makes_what_can_stand(const Step& step) {
  const Row& r = row(step.statement.word);
  const WordSet standing = step.site.words();
  if (step.site.lines().has(r.word)) {
    return refuse(Rule::kOrder, say("it exists: ", print(StateIndex::line(step.site, r.word))), say("remove the ", r.name, " first, or leave the statement out"));
  }
  if (const WordSet missing = r.needs & ~standing; missing != 0) {
    return refuse(Rule::kOrder, say("it needs a ", name_of_one(missing), ", which does not exist"), say("make the ", name_of_one(missing), " first"));
  }
  if (const WordSet user = users(r.word) & standing; user != 0) {
    return refuse(Rule::kOrder, say("the ", name_of_one(user), " that would use it exists already"), say("remove the ", name_of_one(user), " first and make it again after"));
  }
  return {};
}

Checked<void> removes_what_nothing_stands_on(const Step& step) {
  const Row& r = row(step.statement.word);
  if (!step.site.lines().has(r.word)) {
    return refuse(Rule::kOrder, say("there is no ", r.name, " to remove"), "leave the statement out");
  }
  if (const Statement line = StateIndex::line(step.site, r.word); line != as_line(step.statement)) {
    return refuse(Rule::kOrder, say("it is not what exists, which is: ", print(line)), "write the line as it is in the state");
  }
  const WordSet standing = step.site.instance != nullptr ? step.site.words() : step.site.tenant->words();
  if (const WordSet dependent = (needers(r.word) | users(r.word)) & standing; dependent != 0) {
    return refuse(Rule::kOrder, say("a ", name_of_one(dependent), " stands on it"), say("remove every ", name_of_one(dependent), " that stands on it first"));
  }
  return {};
}

Checked<void> moves_to_another_key(const Step& step) {
  const Statement& move = step.statement;
  if (step.site.instance == nullptr || !step.site.lines().has(Word::kVolume)) {
    return refuse(Rule::kOrder, "there is no volume to move", "make the volume first");
  }
  const std::uint64_t now = step.site.instance->volume_key;
  if (now == 0) return refuse(Rule::kOrder, "the volume has no key", "leave the statement out");
  if (now != move.numbers[0]) return refuse(Rule::kOrder, say("it opens with version ", now), say("move it from ", now));
  if (move.numbers[0] == move.numbers[1]) return refuse(Rule::kOrder, "it moves to where it is", "leave the statement out");
  if (!step.site.lines().has(Word::kLuksOpen)) return {};
  return refuse(Rule::kOrder, "the volume is open", "remove the luksOpen first");
}

Checked<void> moves_from_where_it_is(const Step& step) {
  const Statement& move = step.statement;
  if (step.site.instance == nullptr || !step.site.lines().has(Word::kJail)) {
    return refuse(Rule::kOrder, "there is no jail to move", "make the jail first");
  }
  const bool jail = move.word == Word::kJail;
  const auto& states = jail ? kJailStates : kGuestStates;
  const std::uint64_t now = jail ? step.site.instance->jail_state : step.site.instance->jail_guest;
  if (now != move.numbers[0]) return refuse(Rule::kOrder, say("it is ", states[now]), say("move it from ", states[now]));
  if (move.numbers[0] == move.numbers[1]) return refuse(Rule::kOrder, "it moves to where it is", "leave the statement out");
  if (!jail && step.site.instance->jail_state != kRunning) {
    return refuse(Rule::kOrder, "a guest whose jail is warm hears nothing", "move the jail warm>running first");
  }
  return {};
}

Checked<void> opens_the_volume_before_the_jail(const Step& step) {
  const Statement* volume = step.site.lines().find(Word::kVolume);
  if (volume == nullptr || volume_view(*volume).key_version == 0 || step.site.lines().has(Word::kLuksOpen)) return {};
  return refuse(Rule::kOrder, "its volume has a key and is not open", "luksOpen it first");
}

Checked<void> boots_cold_only_without_snapshot(const Step& step) {
  if (jail_view(step.statement).guest != kAwake) return refuse(Rule::kOrder, "a guest that boots cold is awake", "write guest=awake");
  if (!step.site.lines().has(Word::kSnapshot)) return {};
  return refuse(Rule::kOrder, "the instance has a snapshot, which a cold boot would leave behind", "boot from the snapshot");
}

bool stands_on_the_pools_base(const Statement& diff, const Pool& pool) {
  const Statement* base = pool.lines.find(Word::kBase);
  return base != nullptr && snapshot_digest(*base) == snapshot_view(diff).base;
}

Checked<void> boots_from_its_own_snapshot(const Step& step) {
  const JailView jail = jail_view(step.statement);
  const Statement* snapshot = step.site.lines().find(Word::kSnapshot);
  if (snapshot == nullptr) return refuse(Rule::kOrder, "the instance has no snapshot: one is never resumed twice", "boot cold");
  if (const Digest own = snapshot_digest(*snapshot); own != jail.boot_digest) {
    return refuse(Rule::kOrder, say("the instance's snapshot has the digest ", to_string(own)), "name that digest");
  }
  if (jail.guest != kParked) return refuse(Rule::kOrder, "a guest that is resumed is still parked", "write guest=parked");
  if (is_diff(*snapshot) && !stands_on_the_pools_base(*snapshot, *step.site.pool)) {
    return refuse(Rule::kOrder, "the snapshot stands on a base that the pool does not have", "leave the statement out");
  }
  const std::uint64_t kept = snapshot_view(*snapshot).slot;
  if (kept == tap_view(*step.site.lines().find(Word::kTap)).slot) return {};
  return refuse(Rule::kOrder, say("the snapshot knows itself at slot ", kept), say("make the tap with slot=", kept));
}

Checked<void> adds_jail(const Step& step) {
  if (auto opened = opens_the_volume_before_the_jail(step); !opened) return opened;
  return jail_view(step.statement).boot == kBootCold ? boots_cold_only_without_snapshot(step) : boots_from_its_own_snapshot(step);
}

Checked<void> opens_with_the_volumes_key(const Step& step) {
  VolumeView volume = volume_view(*step.site.lines().find(Word::kVolume));
  volume.key_version = static_cast<std::uint32_t>(step.site.instance->volume_key);
  if (volume.key_version == 0) return refuse(Rule::kOrder, "its volume has no key, so there is nothing to open", "leave the statement out");
  const bool same = volume.key_tenant == step.statement.key_tenant && volume.key_version == step.statement.number("key");
  if (same) return {};
  const std::string key = say(volume.key_tenant.view(), "/", volume.key_version);
  return refuse(Rule::kOrder, say("its volume opens with the key ", key), say("write key=", key));
}

Checked<void> stands_on_what_is_like_it(const Step& step, const JailView& jail) {
  if (!stands_on_the_pools_base(step.statement, *step.site.pool)) {
    return refuse(Rule::kOrder, "its base is not the pool's", "name the digest of the pool's base, or write kind=full base=none");
  }
  const BaseView base = base_view(*step.site.pool->lines.find(Word::kBase));
  if (base.image != jail.image || base.mem_mib != jail.mem_mib) {
    return refuse(Rule::kOrder, "the pool's base is of another image or size of memory", "write kind=full base=none");
  }
  const SnapshotView snapshot = snapshot_view(step.statement);
  if (base.key_tenant == snapshot.key_tenant && base.key_version == snapshot.key_version) return {};
  return refuse(Rule::kOrder, "the pool's base has another key", say("write key=", base.key_tenant.view(), "/", base.key_version, ", or kind=full base=none"));
}

Checked<void> takes_the_snapshot_of_a_warm_jail(const Step& step) {
  const SnapshotView snapshot = snapshot_view(step.statement);
  const Statement* jail = step.site.lines().find(Word::kJail);
  if (jail == nullptr) return refuse(Rule::kOrder, "there is no jail to take it of", "make the jail, or leave the statement out");
  if (step.site.instance->jail_state != kWarm) return refuse(Rule::kOrder, "the jail is running", "move the jail running>warm first");
  const Statement* tap = step.site.lines().find(Word::kTap);
  if (tap == nullptr) return refuse(Rule::kOrder, "the jail has no tap, so no slot to keep", "remove the jail");
  if (const std::uint64_t slot = tap_view(*tap).slot; slot != snapshot.slot) {
    return refuse(Rule::kOrder, say("the instance's tap has slot ", slot), say("write slot=", slot));
  }
  if (snapshot.kind == kFull && snapshot.has_base) return refuse(Rule::kOrder, "a full snapshot stands on nothing", "write base=none");
  if (snapshot.kind == kDiff && !snapshot.has_base) return refuse(Rule::kOrder, "a diff says what it stands on", "name its base, or write kind=full");
  const JailView booted = jail_view(*jail);
  if (snapshot.kind == kDiff) {
    if (auto stands = stands_on_what_is_like_it(step, booted); !stands) return stands;
  }
  if (booted.boot == kBootCold || snapshot_digest(step.statement) != booted.boot_digest) return {};
  return refuse(Rule::kOrder, "it would be written like the snapshot that the jail was booted from", "write a seq that is higher by one");
}

Checked<void> gives_a_snapshot_up_for_a_jail(const Step& step) {
  if (!step.site.lines().has(Word::kJail) || snapshot_is_consumed(step.site) || step.site.instance->jail_state == kWarm) return {};
  return refuse(Rule::kOrder, "the jail runs and was not booted from it", "move the jail running>warm first");
}

Checked<void> copies_a_full_snapshot_of_its_pool(const Step& step) {
  const BaseView base = base_view(step.statement);
  const Statement* snapshot = find_full_snapshot(*step.site.pool, base.snapshot);
  if (snapshot == nullptr) return refuse(Rule::kOrder, "the pool has no full snapshot with that digest", "name the digest of a full snapshot of the pool");
  const SnapshotView copied = snapshot_view(*snapshot);
  if (copied.key_tenant == base.key_tenant && copied.key_version == base.key_version) return {};
  return refuse(Rule::kOrder, "the snapshot has another key", "name the snapshot's key");
}

Checked<void> keeps_a_base_that_diffs_stand_on(const Step& step) {
  if (step.site.pool->diffs == 0) return {};
  return refuse(Rule::kOrder, say(std::uint64_t{step.site.pool->diffs}, " snapshots of the pool stand on it"), "wake those instances first");
}

Checked<void> never_resumes_a_snapshot_twice(const Step& step) {
  if (!snapshot_is_consumed(step.site)) return {};
  return refuse(Rule::kOrder, "the snapshot that it was booted from exists and could be resumed again", "remove the snapshot first");
}

Checked<void> never_runs_on_past_a_snapshot(const Step& step) {
  if (step.statement.numbers[1] != kRunning || !step.site.lines().has(Word::kSnapshot)) return {};
  return refuse(Rule::kOrder, "its snapshot exists and would be resumed at a point that the guest has passed", "remove the snapshot first");
}

}  // namespace

bool snapshot_is_consumed(const Site& site) {
  const Statement* jail = site.lines().find(Word::kJail);
  const Statement* snapshot = site.lines().find(Word::kSnapshot);
  if (jail == nullptr || snapshot == nullptr || jail_view(*jail).boot == kBootCold) return false;
  return snapshot_digest(*snapshot) == jail_view(*jail).boot_digest;
}

Checked<void> verify_order(const Step& step) {
  const Word word = step.statement.word;
  if (step.statement.sign == Sign::kAdd) {
    if (auto stands = makes_what_can_stand(step); !stands) return stands;
    if (word == Word::kJail) return adds_jail(step);
    if (word == Word::kLuksOpen) return opens_with_the_volumes_key(step);
    if (word == Word::kSnapshot) return takes_the_snapshot_of_a_warm_jail(step);
    if (word == Word::kBase) return copies_a_full_snapshot_of_its_pool(step);
    return {};
  }
  if (step.statement.sign == Sign::kRemove) {
    if (auto free = removes_what_nothing_stands_on(step); !free) return free;
    if (word == Word::kJail) return never_resumes_a_snapshot_twice(step);
    if (word == Word::kSnapshot) return gives_a_snapshot_up_for_a_jail(step);
    if (word == Word::kBase) return keeps_a_base_that_diffs_stand_on(step);
    return {};
  }
  if (word == Word::kVolume) return moves_to_another_key(step);
  if (auto moved = moves_from_where_it_is(step); !moved) return moved;
  return word == Word::kJail ? never_runs_on_past_a_snapshot(step) : Checked<void>{};
}

}  // namespace mvm::lang
