// V2 of the second verifier, and V6. The sentences are those of docs/language.md.
#include "policy-lang/print.h"
#include "tests/policy-lang/reference_verifier.h"

namespace mvm::lang::reference {
namespace {

// ---- V6

bool names_the_same_node(const Moment& m) {
  const Name node = m.plan.header.node;
  return m.against.projection.header.node == node && m.against.state.header.node == node && m.against.policy.header.node == node;
}
bool base_is_the_state(const Moment& m) { return m.plan.header.base == text_digest(m.against.state); }
bool desired_is_the_projection(const Moment& m) { return m.plan.header.desired == text_digest(m.against.projection); }
bool generation_is_the_projections(const Moment& m) { return m.plan.header.generation == m.against.projection.header.generation; }
bool generation_does_not_go_back(const Moment& m) { return m.plan.header.generation >= m.against.state.header.generation; }
bool one_generation_is_one_projection(const Moment& m) {
  const Header& state = m.against.state.header;
  if (m.plan.header.generation != state.generation || !state.has_desired) return true;
  return state.desired == text_digest(m.against.projection);
}

constexpr Clause kFreshness[] = {
    {Rule::kFreshness, "The plan, projection, state and policy name the same node (line 2).", names_the_same_node, 2},
    {Rule::kFreshness, "`base` is the digest of the state (line 5).", base_is_the_state, 5},
    {Rule::kFreshness, "`desired` is the digest of the projection (line 4)", desired_is_the_projection, 4},
    {Rule::kFreshness, "`generation` is the projection's (line 3).", generation_is_the_projections, 3},
    {Rule::kFreshness, "`generation` is not lower than the state's", generation_does_not_go_back, 3},
    {Rule::kFreshness, "where it is equal and the state has a `desired`, that is the projection's digest", one_generation_is_one_projection, 3},
};

// ---- V2

bool makes_any(const Moment& m) { return m.said->sign == Sign::kAdd; }
bool removes_any(const Moment& m) { return m.said->sign == Sign::kRemove; }
bool moves_any(const Moment& m) { return m.said->sign == Sign::kMove; }
const Statement* of_it(const Moment& m, Word word) { return find(m.before, word, m.said->subject); }

bool made_thing_is_not_there(const Moment& m) { return !makes_any(m) || of_it(m, m.said->word) == nullptr; }

bool what_it_needs_is_there(const Moment& m) {
  if (!makes_any(m)) return true;
  for (const Row& needed : table()) {
    if ((row(m.said->word).needs & bit(needed.word)) == 0) continue;
    const Subject whose = needed.subject == SubjectKind::kTenant ? tenant_subject(m.said->subject.tenant) : m.said->subject;
    if (find(m.before, needed.word, whose) == nullptr) return false;
  }
  return true;
}

bool nothing_uses_what_is_made(const Moment& m) {
  if (!makes_any(m)) return true;
  return std::ranges::none_of(m.before, [&](const Statement& s) {
    return s.subject == m.said->subject && (row(s.word).uses & bit(m.said->word)) != 0;
  });
}

bool removed_thing_is_there_as_written(const Moment& m) {
  if (!removes_any(m)) return true;
  const Statement* there = of_it(m, m.said->word);
  return there != nullptr && *there == standing(*m.said);
}

bool nothing_stands_on_what_is_removed(const Moment& m) {
  if (!removes_any(m)) return true;
  return std::ranges::none_of(m.before, [&](const Statement& s) {
    const bool near = m.said->word == Word::kBridge ? s.subject.tenant == m.said->subject.tenant : s.subject == m.said->subject;
    return near && ((row(s.word).needs | row(s.word).uses) & bit(m.said->word)) != 0;
  });
}

bool moved_jail_is_in_the_first_state(const Moment& m) {
  if (!moves_any(m) || m.said->word == Word::kVolume) return true;
  const Statement* jail = of_it(m, Word::kJail);
  if (jail == nullptr || m.said->numbers[0] == m.said->numbers[1]) return false;
  return jail->number(m.said->word == Word::kJail ? "state" : "guest") == m.said->numbers[0];
}

bool moved_volume_has_the_first_key(const Moment& m) {
  if (!moves_any(m) || m.said->word != Word::kVolume) return true;
  const Statement* volume = of_it(m, Word::kVolume);
  return volume != nullptr && volume->number("key") != 0 && volume->number("key") == m.said->numbers[0] && m.said->numbers[0] != m.said->numbers[1];
}

bool moved_volume_is_not_open(const Moment& m) {
  return !moves_any(m) || m.said->word != Word::kVolume || of_it(m, Word::kLuksOpen) == nullptr;
}

bool told_guest_is_running(const Moment& m) {
  if (!moves_any(m) || m.said->word != Word::kGuest) return true;
  return of_it(m, Word::kJail) != nullptr && of_it(m, Word::kJail)->number("state") == kRunning;
}

bool makes_jail(const Moment& m, std::uint64_t boot) { return makes(m, Word::kJail) && m.said->number("boot") == boot; }

bool cold_guest_is_awake(const Moment& m) { return !makes_jail(m, kBootCold) || m.said->number("guest") == kAwake; }

bool keyed_volume_is_open(const Moment& m) {
  if (!makes(m, Word::kJail)) return true;
  const Statement* volume = of_it(m, Word::kVolume);
  return volume == nullptr || volume->number("key") == 0 || of_it(m, Word::kLuksOpen) != nullptr;
}

bool cold_boot_leaves_no_snapshot(const Moment& m) { return !makes_jail(m, kBootCold) || of_it(m, Word::kSnapshot) == nullptr; }

bool boots_from_its_own_snapshot(const Moment& m) {
  if (!makes_jail(m, kBootSnapshot)) return true;
  const Statement* snapshot = of_it(m, Word::kSnapshot);
  return snapshot != nullptr && jail_view(*m.said).boot_digest == snapshot_digest(*snapshot);
}

bool resumed_guest_is_parked(const Moment& m) { return !makes_jail(m, kBootSnapshot) || m.said->number("guest") == kParked; }

bool resumes_on_its_slot(const Moment& m) {
  if (!makes_jail(m, kBootSnapshot)) return true;
  return of_it(m, Word::kTap)->number("slot") == of_it(m, Word::kSnapshot)->number("slot");
}

bool opens_with_the_volumes_key(const Moment& m) {
  if (!makes(m, Word::kLuksOpen)) return true;
  const Statement* volume = of_it(m, Word::kVolume);
  return volume->number("key") != 0 && volume->number("key") == m.said->number("key") && volume->key_tenant == m.said->key_tenant;
}

bool snapshot_is_of_a_warm_jail(const Moment& m) {
  if (!makes(m, Word::kSnapshot)) return true;
  const Statement* jail = of_it(m, Word::kJail);
  const Statement* tap = of_it(m, Word::kTap);
  return jail != nullptr && jail->number("state") == kWarm && tap != nullptr && tap->number("slot") == m.said->number("slot");
}

// The pool's base, where `diff` names it; else null.
const Statement* base_of(const Moment& m, const Statement& diff) {
  const Statement* base = find(m.before, Word::kBase, pool_subject(diff.subject.tenant, diff.subject.pool));
  return base != nullptr && snapshot_digest(*base) == snapshot_view(diff).base ? base : nullptr;
}

bool resumed_diff_has_its_base(const Moment& m) {
  if (!makes_jail(m, kBootSnapshot)) return true;
  const Statement* snapshot = of_it(m, Word::kSnapshot);
  return snapshot->number("kind") == kFull || base_of(m, *snapshot) != nullptr;
}

bool diff_is_like_the_pools_base(const Moment& m) {
  if (!makes(m, Word::kSnapshot) || m.said->number("kind") == kFull) return true;
  const Statement* base = base_of(m, *m.said);
  const Statement* jail = of_it(m, Word::kJail);
  return base != nullptr && base->digests[1] == jail->digests[0] && base->number("mem") == jail->number("mem") &&
         base->number("key") == m.said->number("key") && base->key_tenant == m.said->key_tenant;
}

bool is_snapshot_of_the_pool(const Moment& m, const Statement& s) { return s.word == Word::kSnapshot && same_pool(s, m.said->subject); }

bool base_is_of_a_full_snapshot(const Moment& m) {
  if (!makes(m, Word::kBase)) return true;
  return std::ranges::any_of(m.before, [&](const Statement& s) {
    return is_snapshot_of_the_pool(m, s) && s.number("kind") == kFull && snapshot_digest(s) == m.said->digests[0] && s.number("key") == m.said->number("key") &&
           s.key_tenant == m.said->key_tenant;
  });
}

bool nothing_stands_on_the_removed_base(const Moment& m) {
  if (!removes(m, Word::kBase)) return true;
  return std::ranges::none_of(m.before, [&](const Statement& s) { return is_snapshot_of_the_pool(m, s) && s.number("kind") == kDiff; });
}

bool only_a_diff_has_a_base(const Moment& m) {
  return !makes(m, Word::kSnapshot) || (m.said->number("kind") == kDiff) == (m.said->number("base") != 0);
}

// Whether `jail` was booted from `snapshot`.
bool booted_from(const Statement& jail, const Statement& snapshot) {
  return jail.number("boot") == kBootSnapshot && jail_view(jail).boot_digest == snapshot_digest(standing(snapshot));
}

bool snapshot_is_a_new_one(const Moment& m) { return !makes(m, Word::kSnapshot) || !booted_from(*of_it(m, Word::kJail), *m.said); }

bool removed_snapshot_is_consumed_or_given_up(const Moment& m) {
  const Statement* jail = of_it(m, Word::kJail);
  if (!removes(m, Word::kSnapshot) || jail == nullptr) return true;
  return booted_from(*jail, *m.said) || jail->number("state") == kWarm;
}

bool ended_jail_has_consumed_its_snapshot(const Moment& m) {
  const Statement* snapshot = of_it(m, Word::kSnapshot);
  return !removes(m, Word::kJail) || snapshot == nullptr || !booted_from(*m.said, *snapshot);
}

bool resumed_jail_leaves_no_snapshot(const Moment& m) {
  return !moves(m, Word::kJail, kWarm, kRunning) || of_it(m, Word::kSnapshot) == nullptr;
}

constexpr Clause kOrder[] = {
    {Rule::kOrder, "`+ X`: X does not exist.", made_thing_is_not_there},
    {Rule::kOrder, "All that X *needs* exists (for a tenant's thing: of the tenant; else of the instance).", what_it_needs_is_there},
    {Rule::kOrder, "Nothing that *uses* X exists for the instance.", nothing_uses_what_is_made},
    {Rule::kOrder, "`- X`: X exists, and the statement is equal to it in every field.", removed_thing_is_there_as_written},
    {Rule::kOrder, "Nothing that *needs* or *uses* X exists (for bridge: of any instance of the tenant).", nothing_stands_on_what_is_removed},
    {Rule::kOrder, "`~ volume a>b`: the volume exists, its key has version a, and a is not b.", moved_volume_has_the_first_key},
    {Rule::kOrder, "The volume is not open.", moved_volume_is_not_open},
    {Rule::kOrder, "`~ jail a>b`, `~ guest a>b`: the jail exists, its field `state` (jail) or `guest` (guest) is a, and a is not b.", moved_jail_is_in_the_first_state},
    {Rule::kOrder, "`~ guest` also wants the jail running.", told_guest_is_running},
    {Rule::kOrder, "`+ jail boot=cold`: guest=awake.", cold_guest_is_awake},
    {Rule::kOrder, "If the instance has a volume with a key, its luksOpen exists.", keyed_volume_is_open},
    {Rule::kOrder, "No snapshot of the instance exists.", cold_boot_leaves_no_snapshot},
    {Rule::kOrder, "the instance has a snapshot and D is its digest (SHA-256 of its line as in a state, without LF).", boots_from_its_own_snapshot},
    {Rule::kOrder, "guest=parked.", resumed_guest_is_parked},
    {Rule::kOrder, "The tap's slot is the snapshot's.", resumes_on_its_slot},
    {Rule::kOrder, "A diff's base is the pool's.", resumed_diff_has_its_base},
    {Rule::kOrder, "`+ luksOpen`: the volume's key is not none and is the one named.", opens_with_the_volumes_key},
    {Rule::kOrder, "`+ snapshot`: the instance has a jail, it is warm, slot is its tap's.", snapshot_is_of_a_warm_jail},
    {Rule::kOrder, "kind=full has base=none, kind=diff a base", only_a_diff_has_a_base},
    {Rule::kOrder, "the digest of the pool's base (SHA-256 of its line as in a state, without LF), whose image and mem are the jail's, and whose key is the snapshot's.", diff_is_like_the_pools_base},
    {Rule::kOrder, "Its digest is not the one that the jail was booted from", snapshot_is_a_new_one},
    {Rule::kOrder, "`- snapshot`: if the instance has a jail, the jail was booted from this snapshot (it is consumed), or the jail is warm and was not", removed_snapshot_is_consumed_or_given_up},
    {Rule::kOrder, "`+ base`: an instance of the pool has a snapshot of kind=full with that digest and that key.", base_is_of_a_full_snapshot},
    {Rule::kOrder, "`- base`: no instance of the pool has a snapshot of kind=diff.", nothing_stands_on_the_removed_base},
    {Rule::kOrder, "`- jail`: if it was booted from a snapshot, that snapshot no longer exists", ended_jail_has_consumed_its_snapshot},
    {Rule::kOrder, "`~ jail warm>running`: the instance has no snapshot", resumed_jail_leaves_no_snapshot},
};

}  // namespace

std::span<const Clause> freshness() { return kFreshness; }
std::span<const Clause> order() { return kOrder; }

}  // namespace mvm::lang::reference
