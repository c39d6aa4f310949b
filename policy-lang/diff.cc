// The order of a difference: bases that come, what sleeps, is paused or goes, then tenants, then what comes and wakes, then bases that go (docs/language.md,
// "Diff").
// One pass over both states, a subject at a time; what has to be written is kept as references until all is known. Then V2 itself
// is asked: the order is fixed by the case, and where V2 refuses it, no other order of that case passes.
#include "policy-lang/diff.h"

#include <algorithm>
#include <span>

#include "policy-lang/print.h"
#include "policy-lang/state_index.h"
#include "policy-lang/verify_rules.h"

namespace mvm::lang {
namespace {

struct JailNow {
  std::uint64_t state = kRunning, guest = kAwake;
  bool operator==(const JailNow&) const = default;
};
JailNow now(const Statement& jail) { return {jail_view(jail).state, jail_view(jail).guest}; }

// A statement to be written: `line` with a sign; of a jail, as it is at that moment. A move: of `word`, from -> to.
struct Item {
  const Statement* line = nullptr;
  Sign sign = Sign::kAdd;
  Word word = Word::kBridge;
  std::uint32_t first = 0, second = 0;  // jail: state and guest; move: from and to
};

Statement write(const Item& item) {
  if (item.sign == Sign::kMove) {
    Statement move{.sign = Sign::kMove, .word = item.word, .subject = item.line->subject};
    move.numbers[0] = item.first, move.numbers[1] = item.second;
    return move;
  }
  Statement statement = *item.line;
  statement.sign = item.sign;
  if (item.word == Word::kJail) {
    static const std::size_t state = field_index(Word::kJail, "state"), guest = field_index(Word::kJail, "guest");
    statement.numbers[state] = item.first, statement.numbers[guest] = item.second;
  }
  return statement;
}

// A volume that is not removed: only the version of its key is another.
bool is_rekeyed(const Statement& left, const Statement& right) {
  if (left.word != Word::kVolume || left == right) return false;
  const VolumeView from = volume_view(left), to = volume_view(right);
  return from.mib == to.mib && from.key_tenant == to.key_tenant && from.key_version != 0 && to.key_version != 0;
}

// The same thing, whatever its moves.
bool same_thing(const Statement& left, const Statement& right) {
  if (is_rekeyed(left, right)) return true;
  if (left.word != Word::kJail) return left == right;
  const auto at_rest = [](const Statement& jail) { return write({&jail, Sign::kNone, Word::kJail}); };
  return at_rest(left) == at_rest(right);
}

bool boots_from(const Statement& jail, const Statement* snapshot) {
  if (snapshot == nullptr || jail_view(jail).boot == kBootCold) return false;
  return jail_view(jail).boot_digest == snapshot_digest(*snapshot);
}

// One subject in both states.
struct Change {
  const Subject* subject = nullptr;
  Lines from, to;
  WordSet touched = 0;  // what is not in both alike, and what needs or uses that; removed where it was, made where it will be
  [[nodiscard]] bool removes(Word word) const { return from.has(word) && (touched & bit(word)) != 0; }
  [[nodiscard]] bool adds(Word word) const { return to.has(word) && (touched & bit(word)) != 0; }
  [[nodiscard]] bool keeps_jail() const { return from.has(Word::kJail) && to.has(Word::kJail) && !removes(Word::kJail); }
  [[nodiscard]] bool is_rekeyed() const {
    return from.has(Word::kVolume) && to.has(Word::kVolume) && lang::is_rekeyed(*from.find(Word::kVolume), *to.find(Word::kVolume));
  }
  // A jail goes and leaves a snapshot behind.
  [[nodiscard]] bool sleeps() const {
    if (!removes(Word::kJail) || !adds(Word::kSnapshot)) return false;
    return !to.has(Word::kJail) || boots_from(*to.find(Word::kJail), to.find(Word::kSnapshot));
  }
  // A jail comes and uses up the snapshot that was there.
  [[nodiscard]] bool wakes() const {
    return adds(Word::kJail) && removes(Word::kSnapshot) && boots_from(*to.find(Word::kJail), from.find(Word::kSnapshot));
  }
  // A jail runs beside a snapshot that is to go and that it was not booted from.
  [[nodiscard]] bool runs_beside_its_snapshot() const {
    const Statement* jail = from.find(Word::kJail);
    if (jail == nullptr || now(*jail).state != kRunning || !removes(Word::kSnapshot)) return false;
    return !boots_from(*jail, from.find(Word::kSnapshot));
  }
};

// How `from`'s jail is while things are removed and a sleep's snapshot is taken.
JailNow paused(const Change& change) {
  const Statement *from = change.from.find(Word::kJail), *to = change.to.find(Word::kJail);
  if (from == nullptr) return {};
  const JailNow jail = now(*from);
  if (jail.state == kWarm) return jail;
  if (change.sleeps()) return {kWarm, kParked};
  if (change.keeps_jail() && now(*to).state == kWarm) return now(*to);
  if (change.runs_beside_its_snapshot()) return {kWarm, jail.guest};
  return jail;
}

// A snapshot that stands in both states, and yet has to go and be taken again: its warm jail runs on past it meanwhile, or a
// jail comes that boots cold.
bool is_taken_again(const Change& change) {
  const Statement *from = change.from.find(Word::kJail), *to = change.to.find(Word::kJail);
  if (change.keeps_jail()) return now(*from).state == kWarm && now(*from) != now(*to);
  return to != nullptr && jail_view(*to).boot == kBootCold;
}

// In row order, so what a thing needs or uses is decided before it: a snapshot last.
WordSet touched(Change change, WordSet of_tenant) {
  change.touched = of_tenant;
  for (std::size_t i = 0; i < kPrimitives; ++i) {
    const Statement *from = change.from.at[i], *to = change.to.at[i];
    if (from == nullptr && to == nullptr) continue;
    const Row& r = row(primitive(i));
    const bool other_key = r.word == Word::kLuksOpen && change.is_rekeyed();
    const bool alike = from != nullptr && to != nullptr && same_thing(*from, *to) && !other_key;
    const bool again = r.word == Word::kSnapshot && is_taken_again(change);
    if (!alike || again || ((r.needs | r.uses) & change.touched) != 0) change.touched |= bit(r.word);
  }
  return change.touched;
}

class Reader {
 public:
  Reader(const Document& from, const Document& to) : from_(from.statements), to_(to.statements) {}
  [[nodiscard]] bool done() const { return from_.empty() && to_.empty(); }
  [[nodiscard]] Change next() {
    const bool first = to_.empty() || (!from_.empty() && from_.front().subject <= to_.front().subject);
    const Subject& subject = first ? from_.front().subject : to_.front().subject;
    return {.subject = &subject, .from = take(from_, subject), .to = take(to_, subject)};
  }

 private:
  static Lines take(std::span<const Statement>& rest, const Subject& subject) {
    Lines lines;
    for (; !rest.empty() && rest.front().subject == subject; rest = rest.subspan(1)) {
      lines.at[primitive_index(rest.front().word)] = &rest.front();
      lines.words |= bit(rest.front().word);
    }
    return lines;
  }
  std::span<const Statement> from_, to_;
};

using Items = std::vector<Item>;

void moves(Items& out, const Statement& jail, JailNow from, JailNow to) {
  const auto move = [&](Word word, std::uint64_t& now, std::uint64_t then) {
    if (now == then) return;
    out.push_back({&jail, Sign::kMove, word, static_cast<std::uint32_t>(now), static_cast<std::uint32_t>(then)});
    now = then;
  };
  if (from.guest != to.guest) {  // a warm guest hears nothing
    move(Word::kJail, from.state, kRunning);
    move(Word::kGuest, from.guest, to.guest);
  }
  move(Word::kJail, from.state, to.state);
}

void signed_line(Items& out, Sign sign, const Statement& line, JailNow jail = {}) {
  out.push_back({&line, sign, line.word, static_cast<std::uint32_t>(jail.state), static_cast<std::uint32_t>(jail.guest)});
}

// Last made first; `left_out` are dealt with elsewhere.
void remove_lines(Items& out, const Change& change, WordSet left_out, JailNow jail = {}) {
  for (std::size_t i = kPrimitives; i-- > 0;) {
    const Word word = primitive(i);
    if (change.removes(word) && (left_out & bit(word)) == 0) signed_line(out, Sign::kRemove, *change.from.at[i], jail);
  }
}

void let_go(Items& out, const Change& change) {
  const JailNow jail = paused(change);
  if (const Statement* from = change.from.find(Word::kJail)) moves(out, *from, now(*from), jail);
  if (change.sleeps()) {
    if (change.removes(Word::kSnapshot)) signed_line(out, Sign::kRemove, *change.from.find(Word::kSnapshot));
    signed_line(out, Sign::kAdd, *change.to.find(Word::kSnapshot));
  }
  remove_lines(out, change, change.sleeps() || change.wakes() ? bit(Word::kSnapshot) : 0, jail);
}

void make_jail(Items& out, const Change& change) {
  const Statement& jail = *change.to.find(Word::kJail);
  const std::uint64_t guest = jail_view(jail).boot == kBootCold ? kAwake : kParked;
  const JailNow made{now(jail).guest == guest ? now(jail).state : kRunning, guest};
  signed_line(out, Sign::kAdd, jail, made);
  if (change.wakes()) signed_line(out, Sign::kRemove, *change.from.find(Word::kSnapshot));
  moves(out, jail, made, now(jail));
}

void rekey(Items& out, const Change& change) {
  if (!change.is_rekeyed()) return;
  const Statement *from = change.from.find(Word::kVolume), *to = change.to.find(Word::kVolume);
  out.push_back({from, Sign::kMove, Word::kVolume, volume_view(*from).key_version, volume_view(*to).key_version});
}

void bring_about(Items& out, const Change& change) {
  if (change.keeps_jail()) moves(out, *change.from.find(Word::kJail), paused(change), now(*change.to.find(Word::kJail)));
  const WordSet made_already = change.sleeps() ? bit(Word::kSnapshot) : 0;
  for (std::size_t i = 0; i < kPrimitives; ++i) {
    const Word word = primitive(i);
    if (word == Word::kVolume) rekey(out, change);
    if (!change.adds(word) || (made_already & bit(word)) != 0) continue;
    if (word == Word::kJail) make_jail(out, change);
    else signed_line(out, Sign::kAdd, *change.to.at[i]);
  }
}

// What V2 says of each statement, as verify() will ask it.
std::expected<void, NoOrder> verify_orders(const Document& from, const Document& plan) {
  StateIndex index(from, plan.statements);
  for (const Statement& statement : plan.statements) {
    const Site site = index.site(statement.subject);
    if (auto order = verify_order({statement, site}); !order) {
      Refusal& refusal = order.error();
      refusal.statement = print(statement);
      refusal.why.insert(0, "the difference has no order that passes: ");
      refusal.remedy = "go by way of a state between, with a plan for each part of the way";
      return std::unexpected(NoOrder{statement.subject, std::move(refusal)});
    }
    index.carry_out(site, statement);
  }
  return {};
}

}  // namespace

std::expected<Document, NoOrder> diff(const Document& from, const Document& to) {
  Items bases_come, instances_go, tenants_go, tenants_come, instances_come, bases_go;
  const Subject* tenant = nullptr;
  WordSet of_tenant = 0;  // what is touched of the tenant that is being read
  for (Reader reader(from, to); !reader.done();) {
    Change change = reader.next();
    if (tenant == nullptr || tenant->tenant != change.subject->tenant) tenant = change.subject, of_tenant = 0;
    change.touched = touched(change, of_tenant);
    if (change.subject->kind == SubjectKind::kTenant) {
      of_tenant = change.touched;
      remove_lines(tenants_go, change, 0);
      bring_about(tenants_come, change);
    } else if (change.subject->kind == SubjectKind::kPool) {
      remove_lines(change.adds(Word::kBase) ? bases_come : bases_go, change, 0);
      bring_about(bases_come, change);
    } else {
      let_go(instances_go, change);
      bring_about(instances_come, change);
    }
  }
  Document plan{Kind::kPlan, to.header, {}};
  plan.header.base = text_digest(from);
  for (const Items* items : {&bases_come, &instances_go, &tenants_go, &tenants_come, &instances_come, &bases_go}) {
    plan.statements.reserve(plan.statements.size() + items->size());
    std::ranges::transform(*items, std::back_inserter(plan.statements), write);
  }
  if (auto ordered = verify_orders(from, plan); !ordered) return std::unexpected(std::move(ordered.error()));
  return plan;
}

}  // namespace mvm::lang
