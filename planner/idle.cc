#include "planner/idle.h"

#include <algorithm>
#include <charconv>
#include <tuple>

namespace mvm::planner {
namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

// More than `most` a second, or counted anew.
bool is_busy(std::uint64_t before, std::uint64_t after, microseconds apart, std::uint64_t most) {
  if (after < before) return true;
  return static_cast<double>(after - before) * 1'000'000 > static_cast<double>(most) * static_cast<double>(apart.count());
}

constexpr std::uint64_t kIdleMicroseconds = kIdlePercent * 10'000;  // of CPU time, a second

bool read_number(std::string_view text, std::uint32_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

Idle::Idle(IdleSettings settings, Kept kept) : settings_(settings), rests_(std::move(kept.rests)) {
  for (const auto& [subject, until] : kept.holds) holds_[subject] = Time(until);
}

Kept Idle::kept() const {
  Kept kept{rests_, {}};
  for (const auto& [subject, until] : holds_) kept.holds[subject] = std::chrono::duration_cast<seconds>(until.time_since_epoch());
  return kept;
}

void Idle::see(const Fleet& fleet, std::optional<std::span<const wire::Reading>> readings, Time now) {
  std::erase_if(seen_, [&](const auto& entry) { return !fleet.instances.contains(entry.first); });
  std::erase_if(holds_, [&](const auto& entry) { return entry.second <= now || !fleet.instances.contains(entry.first); });
  for (const auto& [subject, instance] : fleet.instances) {
    const Phase phase = instance.phase();
    const auto [found, fresh] = seen_.try_emplace(subject);
    Seen& seen = found->second;
    const bool begins = phase == Phase::kRunning && (fresh || seen.phase != Phase::kRunning);
    if (fresh || begins) seen.active = now;
    if (begins) {
      seen.began = now;
      if (!fresh) rests_.erase(subject);  // someone else has woken it
    }
    if (phase != seen.phase) seen.last.reset();
    seen.phase = phase;
    if (phase == Phase::kRunning || phase == Phase::kStopped) seen.waking = false;
  }
  std::erase_if(rests_, [&](const auto& entry) {
    const auto found = seen_.find(entry.first);
    return found == seen_.end() || found->second.phase == Phase::kStopped;
  });
  if (!readings) return;
  std::map<Subject, const wire::Reading*> by_subject;
  for (const wire::Reading& reading : *readings) by_subject[reading.instance] = &reading;
  for (auto& [subject, seen] : seen_) {
    const auto reading = by_subject.find(subject);
    const bool is_read = reading != by_subject.end();
    if (seen.phase == Phase::kRunning && !is_read) seen.active = now;
    if (seen.phase == Phase::kRunning && is_read) look(seen, *reading->second, now);
    if (seen.phase == Phase::kWarm && is_read && is_called(seen, *reading->second, now) && is_only_paused(subject)) rouse(subject, now);
  }
}

// Neither held nor on its way to sleep.
bool Idle::is_only_paused(const Subject& instance) const {
  const auto rest = rests_.find(instance);
  return rest != rests_.end() && rest->second == Rest::kWarm && !holds_.contains(instance);
}

void Idle::look(Seen& seen, const wire::Reading& reading, Time now) const {
  if (seen.last && now - seen.read < kReadingsApart) return;
  bool busy = !reading.cpu;
  if (seen.last) {
    const auto apart = std::chrono::duration_cast<microseconds>(now - seen.read);
    if (reading.cpu && seen.last->cpu) busy |= is_busy(*seen.last->cpu, *reading.cpu, apart, kIdleMicroseconds);
    if (reading.frames && seen.last->frames) busy |= is_busy(seen.last->frames->sent, reading.frames->sent, apart, kIdleFrames);
  }
  using enum wire::GuestSays;
  if (reading.guest == kBusy || reading.guest == kStarting) busy = true;
  if (reading.guest == kIdle || reading.guest == kReady) seen.active = std::max(seen.active, now - seconds(reading.since));
  if (busy) seen.active = now;
  seen.last = reading;
  seen.read = now;
}

// Of one that is paused. What came before it was paused counts for nothing.
bool Idle::is_called(Seen& seen, const wire::Reading& reading, Time now) {
  const bool called = seen.last && seen.last->frames && reading.frames && reading.frames->received >= seen.last->frames->received + kWakingFrames;
  seen.last = reading;
  seen.read = now;
  return called;
}

void Idle::rouse(const Subject& instance, Time now) {
  rests_.erase(instance);
  Seen& seen = seen_.at(instance);
  seen.active = seen.began = now;
  seen.waking = seen.phase != Phase::kRunning;
}

std::optional<Rest> Idle::due(const Seen& seen, bool short_of_memory, Time now) const {
  const auto idle = now - seen.active;
  if (seen.hindered && now < *seen.hindered) return std::nullopt;
  if (seen.phase == Phase::kRunning && now - seen.began < settings_.awake_for) return std::nullopt;
  if (settings_.sleep_after.count() != 0 && idle >= settings_.sleep_after) return Rest::kAsleep;
  if (short_of_memory && idle >= kColdEnough) return Rest::kAsleep;
  if (settings_.warm_after.count() != 0 && idle >= settings_.warm_after) return Rest::kWarm;
  return std::nullopt;
}

void Idle::decide(const lang::Document& projection, std::optional<double> pressure, Time now) {
  std::set<Subject> may_rest;
  for (const lang::Statement& line : projection.statements) {
    if (line.word != lang::Word::kPool) continue;
    const lang::PoolView pool = lang::pool_view(line);
    if (!pool.pinned && !pool.critical) may_rest.insert(line.subject);
  }
  for (auto& [subject, seen] : seen_) seen.fixed = !may_rest.contains(pool_subject(subject.tenant, subject.pool));
  std::erase_if(rests_, [&](const auto& entry) { return seen_.at(entry.first).fixed; });

  std::size_t pausing = 0, falling_asleep = 0;
  for (const auto& [subject, rest] : rests_) {
    const Phase phase = seen_.at(subject).phase;
    pausing += rest == Rest::kWarm && phase == Phase::kRunning;
    falling_asleep += rest == Rest::kAsleep && phase != Phase::kSleeping;
  }
  std::vector<std::tuple<Time, Subject>> coldest_first;
  for (const auto& [subject, seen] : seen_) {
    const bool may = !seen.fixed && !holds_.contains(subject) && (seen.phase == Phase::kRunning || (seen.phase == Phase::kWarm && rests_.contains(subject)));
    if (may) coldest_first.emplace_back(seen.active, subject);
  }
  std::ranges::sort(coldest_first);
  const bool short_of_memory = settings_.pressure != 0 && pressure && *pressure >= settings_.pressure;
  for (const auto& [active, subject] : coldest_first) {
    const auto now_so = rests_.find(subject);
    if (now_so != rests_.end() && now_so->second == Rest::kAsleep) continue;
    const auto rest = due(seen_.at(subject), short_of_memory, now);
    if (rest == Rest::kAsleep && falling_asleep < kMaxFallingAsleep) {
      rests_[subject] = Rest::kAsleep;
      ++falling_asleep;
    } else if (rest && now_so == rests_.end() && settings_.warm_after.count() != 0 && pausing < kMaxPausing) {
      rests_[subject] = Rest::kWarm;
      ++pausing;
    }
  }
}

std::set<Subject> Idle::held(Time now) const {
  std::set<Subject> held;
  for (const auto& [subject, until] : holds_) {
    if (until > now) held.insert(subject);
  }
  return held;
}

std::chrono::seconds Idle::idle_for(const Subject& instance, Time now) const {
  const auto found = seen_.find(instance);
  return found == seen_.end() ? seconds(0) : std::chrono::duration_cast<seconds>(now - found->second.active);
}

Idle::Wakes Idle::wake(const Subject& pool, std::size_t count, Time now) {
  Wakes wakes;
  // By how much there is to do: what still runs, what is paused, what sleeps; of each, what was busy last.
  std::vector<std::tuple<int, Time::duration, Subject>> resting;
  for (const auto& [subject, seen] : seen_) {
    if (pool_subject(subject.tenant, subject.pool) != pool) continue;
    if (!rests_.contains(subject)) {
      wakes.awake += seen.phase == Phase::kRunning;
      wakes.waking += seen.waking;
      continue;
    }
    const int effort = seen.phase == Phase::kRunning ? 0 : seen.phase == Phase::kWarm ? 1 : 2;
    if (!holds_.contains(subject) || holds_.at(subject) <= now) resting.emplace_back(effort, now - seen.active, subject);
  }
  std::ranges::sort(resting);
  for (const auto& [effort, idle, subject] : resting) {
    if (wakes.awake + wakes.waking + wakes.woken >= count) break;
    rouse(subject, now);
    ++wakes.woken;
  }
  return wakes;
}

Status Idle::hold(const Subject& instance, Time until) {
  if (!seen_.contains(instance)) return fail(Errc::kNotFound, "hold an instance that there is not", to_string(instance));
  holds_[instance] = until;
  return {};
}

Status Idle::put_to_sleep(const Subject& instance) {
  const auto found = seen_.find(instance);
  if (found == seen_.end()) return fail(Errc::kNotFound, "put an instance to sleep that there is not", to_string(instance));
  if (found->second.fixed) return fail(Errc::kDenied, "put to sleep what is pinned or critical", to_string(instance));
  if (found->second.phase == Phase::kSleeping) return {};
  if (found->second.phase != Phase::kRunning && !rests_.contains(instance)) return fail(Errc::kDenied, "put to sleep what does not run", to_string(instance));
  holds_.erase(instance);
  rests_[instance] = Rest::kAsleep;
  found->second.waking = false;
  return {};
}

void Idle::refused(const Subject& instance, Time now) {
  rests_.erase(instance);
  const auto found = seen_.find(instance);
  if (found != seen_.end()) found->second.active = now;
}

void Idle::hindered(const Subject& instance, Time now) {
  const auto found = seen_.find(instance);
  if (found == seen_.end()) return;
  found->second.hindered = now + kHinderedFor;
  if (found->second.phase == Phase::kWarm) rests_[instance] = Rest::kWarm;
  else if (found->second.phase == Phase::kRunning) rests_.erase(instance);
}

std::string write_kept(const Kept& kept) {
  std::string text;
  for (const auto& [subject, rest] : kept.rests) text += to_string(subject) + (rest == Rest::kWarm ? " warm\n" : " asleep\n");
  for (const auto& [subject, until] : kept.holds) text += to_string(subject) + " held " + std::to_string(until.count()) + "\n";
  return text;
}

Kept read_kept(std::string_view text) {
  constexpr std::string_view kHeld = "held ";
  Kept kept;
  text = text.substr(0, kMaxKeptText);
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; text.remove_prefix(end + 1), end = text.find('\n')) {
    const std::string_view line = text.substr(0, end);
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    const auto subject = read_instance(line.substr(0, space));
    const std::string_view word = line.substr(space + 1);
    std::uint32_t until = 0;
    if (!subject) continue;
    if (word == "warm" || word == "asleep") kept.rests[*subject] = word == "warm" ? Rest::kWarm : Rest::kAsleep;
    else if (word.starts_with(kHeld) && read_number(word.substr(kHeld.size()), until)) kept.holds[*subject] = seconds(until);
  }
  return kept;
}

std::optional<Subject> read_instance(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto pool = read_pool(text.substr(0, slash));
  const auto id = InstanceId::from(text.substr(slash + 1));
  if (!pool || !id) return std::nullopt;
  return instance_subject(pool->tenant, pool->pool, *id);
}

std::optional<Subject> read_pool(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto tenant = Name::from(text.substr(0, slash)), pool = Name::from(text.substr(slash + 1));
  if (!tenant || !pool) return std::nullopt;
  return pool_subject(*tenant, *pool);
}

std::optional<double> read_pressure(std::string_view text) {
  constexpr std::string_view kBefore = "some avg10=";
  if (!text.starts_with(kBefore)) return std::nullopt;
  text.remove_prefix(kBefore.size());
  double percent = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent, std::chars_format::fixed);
  if (error != std::errc() || end == text.data() + text.size() || *end != ' ' || !(percent >= 0 && percent <= 100)) return std::nullopt;
  return percent;
}

}  // namespace mvm::planner
