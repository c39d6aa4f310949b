#include "tests/policy-lang/orders.h"

#include <unordered_set>

#include "policy-lang/print.h"
#include "policy-lang/verify_rules.h"

namespace mvm::lang::test {
namespace {

enum class Place : std::uint8_t { kNowhere, kAsBefore, kAsAfter };

// One moment on the way: where each thing is, and how the jail is.
struct Moment {
  std::array<Place, kPrimitives> places{};
  std::uint64_t jail_state = kRunning, jail_guest = kAwake;
  bool rekeyed = false;  // the volume that was there opens with the key that is wanted
  [[nodiscard]] std::uint64_t packed() const {
    std::uint64_t bits = static_cast<std::uint64_t>(rekeyed) << 2 | jail_state << 1 | jail_guest;
    for (const Place place : places) bits = bits << 2 | static_cast<std::uint64_t>(place);
    return bits;
  }
};

Lines lines_of(const Document& state, const Subject& subject) {
  Lines lines;
  for (const Statement& line : state.statements) {
    if (line.subject != subject && line.subject != tenant_subject(subject.tenant)) continue;
    lines.at[primitive_index(line.word)] = &line;
    lines.words |= bit(line.word);
  }
  return lines;
}

const Statement* base_meanwhile(const Document& from, const Document& to, const Subject& subject) {
  const Subject pool = pool_subject(subject.tenant, subject.pool);
  const Statement* base = find_line(to, pool, Word::kBase);
  return base != nullptr ? base : find_line(from, pool, Word::kBase);
}

Statement with_jail(Statement line, Sign sign, std::uint64_t state, std::uint64_t guest) {
  line.sign = sign;
  if (line.word != Word::kJail) return line;
  line.numbers[field_index(Word::kJail, "state")] = state;
  line.numbers[field_index(Word::kJail, "guest")] = guest;
  return line;
}

class Search {
 public:
  Search(const Document& from, const Document& to, const Subject& subject) : subject_(subject), from_(lines_of(from, subject)), to_(lines_of(to, subject)), base_(base_meanwhile(from, to, subject)) {
    Moment first;
    for (std::size_t i = 0; i < kPrimitives; ++i) first.places[i] = from_.at[i] != nullptr ? Place::kAsBefore : Place::kNowhere;
    if (const Statement* jail = from_.find(Word::kJail)) first.jail_state = jail->number("state"), first.jail_guest = jail->number("guest");
    const Statement *volume = from_.find(Word::kVolume), *wanted = to_.find(Word::kVolume);
    if (volume != nullptr && wanted != nullptr && volume->number("key") != 0 && wanted->number("key") != 0) {
      rekeyed_ = *volume;
      rekeyed_.numbers[field_index(Word::kVolume, "key")] = wanted->number("key");
    }
    reach(first);
  }

  [[nodiscard]] bool finds_one() {
    while (!open_.empty()) {
      const Moment moment = open_.back();
      open_.pop_back();
      if (arrived(moment)) return true;
      for (std::size_t i = 0; i < kPrimitives; ++i) take_steps(moment, i);
    }
    return false;
  }

 private:
  [[nodiscard]] const Statement* line(const Moment& moment, std::size_t i) const {
    if (moment.places[i] == Place::kNowhere) return nullptr;
    if (primitive(i) == Word::kVolume && moment.rekeyed) return &rekeyed_;
    return (moment.places[i] == Place::kAsBefore ? from_ : to_).at[i];
  }

  [[nodiscard]] bool arrived(const Moment& moment) const {
    for (std::size_t i = 0; i < kPrimitives; ++i) {
      const Statement *there = line(moment, i), *wanted = to_.at[i];
      if ((there == nullptr) != (wanted == nullptr)) return false;
      if (there != nullptr && with_jail(*there, Sign::kNone, moment.jail_state, moment.jail_guest) != *wanted) return false;
    }
    return true;
  }

  void reach(const Moment& moment) {
    if (seen_.insert(moment.packed()).second) open_.push_back(moment);
  }

  // What may be said of thing i.
  void take_steps(const Moment& moment, std::size_t i) {
    if (moment.places[i] == Place::kAsBefore) {
      Moment gone = moment;
      gone.places[i] = Place::kNowhere;
      if (primitive(i) == Word::kVolume) gone.rekeyed = false;
      take(moment, with_jail(*line(moment, i), Sign::kRemove, moment.jail_state, moment.jail_guest), gone);
    }
    if (moment.places[i] == Place::kNowhere && to_.at[i] != nullptr) {
      for (const std::uint64_t state : {kRunning, kWarm}) {
        for (const std::uint64_t guest : {kAwake, kParked}) make(moment, i, state, guest);
      }
    }
    if (primitive(i) == Word::kVolume && moment.places[i] == Place::kAsBefore && !moment.rekeyed && rekeyed_.word == Word::kVolume) {
      Moment after = moment;
      after.rekeyed = true;
      Statement move{.sign = Sign::kMove, .word = Word::kVolume, .subject = subject_};
      move.numbers[0] = from_.at[i]->number("key"), move.numbers[1] = rekeyed_.number("key");
      take(moment, move, after);
    }
    if (primitive(i) == Word::kVolume) return;
    if (line(moment, primitive_index(Word::kJail)) == nullptr) return;
    Moment moved = moment;
    if (primitive(i) == Word::kJail) moved.jail_state = 1 - moment.jail_state;
    if (primitive(i) == Word::kGuest) moved.jail_guest = 1 - moment.jail_guest;
    Statement move{.sign = Sign::kMove, .word = primitive(i), .subject = subject_};
    move.numbers = primitive(i) == Word::kJail ? std::array<std::uint64_t, kMaxFields>{moment.jail_state, moved.jail_state}
                                               : std::array<std::uint64_t, kMaxFields>{moment.jail_guest, moved.jail_guest};
    if (!row(primitive(i)).moves.empty()) take(moment, move, moved);
  }

  void make(const Moment& moment, std::size_t i, std::uint64_t state, std::uint64_t guest) {
    Moment made = moment;
    made.places[i] = Place::kAsAfter;
    if (primitive(i) == Word::kJail) made.jail_state = state, made.jail_guest = guest;
    else if (state != kRunning || guest != kAwake) return;  // only a jail is made in one of several states
    take(moment, with_jail(*to_.at[i], Sign::kAdd, state, guest), made);
  }

  // Goes to `after`, if V2 lets `said` be said at `moment`.
  void take(const Moment& moment, const Statement& said, const Moment& after) {
    Tenant tenant{.name = subject_.tenant};
    Instance instance{.subject = &subject_, .jail_state = moment.jail_state, .jail_guest = moment.jail_guest};
    for (std::size_t i = 0; i < kPrimitives; ++i) {
      const Statement* there = line(moment, i);
      if (there == nullptr) continue;
      Lines& lines = there->subject.kind == SubjectKind::kTenant ? tenant.lines : instance.lines;
      lines.at[i] = there;
      lines.words |= bit(there->word);
      tenant.counts[i] = 1;
      if (there->word == Word::kVolume) instance.volume_key = there->number("key");
    }
    Pool pool{.name = subject_.pool};
    pool.lines.at[primitive_index(Word::kBase)] = base_;
    const bool own = said.subject.kind == SubjectKind::kTenant;
    const Site site{.tenant = &tenant, .pool = own ? nullptr : &pool, .instance = own ? nullptr : &instance};
    if (verify_order({said, site})) reach(after);
  }

  const Subject subject_;
  const Lines from_, to_;
  const Statement* const base_;
  Statement rekeyed_;  // the volume that was there, with the key that is wanted; another word where there is no such thing
  std::vector<Moment> open_;
  std::unordered_set<std::uint64_t> seen_;
};

}  // namespace

bool an_order_exists(const Document& from, const Document& to, const Subject& subject) { return Search(from, to, subject).finds_one(); }

std::string refused_by_order(const Document& from, const Document& plan) {
  StateIndex index(from, plan.statements);
  for (const Statement& statement : plan.statements) {
    const Site site = index.site(statement.subject);
    if (const auto order = verify_order({statement, site}); !order) return print(statement) + ": " + order.error().why;
    index.carry_out(site, statement);
  }
  return "";
}

}  // namespace mvm::lang::test
