// What stands on a host while a plan is walked through: lines by subject, and the sums that limits are held against.
// Built once, in n log n, from a state and the subjects of a plan; after that a change is O(1) and a look-up O(log n).
// Points into both texts, which must outlive it and be of canonical form (parse.h). Pure; internal to this room.
// Proven by: tests/policy-lang/apply_test.cc, verify_*_test.cc, and the laws.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "policy-lang/statement.h"

namespace mvm::lang {

inline constexpr std::size_t kPrimitives = kWords - static_cast<std::size_t>(kFirstPrimitive);
[[nodiscard]] constexpr std::size_t primitive_index(Word word) {
  return static_cast<std::size_t>(word) - static_cast<std::size_t>(kFirstPrimitive);
}
[[nodiscard]] constexpr Word primitive(std::size_t index) {
  return static_cast<Word>(index + static_cast<std::size_t>(kFirstPrimitive));
}

// The lines of one subject, by word.
struct Lines {
  std::array<const Statement*, kPrimitives> at{};
  WordSet words = 0;
  [[nodiscard]] bool has(Word word) const { return (words & bit(word)) != 0; }
  [[nodiscard]] const Statement* find(Word word) const { return at[primitive_index(word)]; }
};

// What is counted of instances. An instance lives while it has a line; it is stopped while it has a volume or a snapshot and
// no jail. vcpus, mem (MiB): of jails, running or warm. disk (MiB): of volumes.
struct Totals {
  std::uint64_t instances = 0, stopped = 0, running = 0, warm = 0, vcpus = 0, mem = 0, disk = 0;
  Totals& operator+=(const Totals& other);
  Totals& operator-=(const Totals& other);
  bool operator==(const Totals&) const = default;
};

struct Tenant {
  Name name;
  Lines lines = {};                                  // bridge and rule
  std::array<std::uint32_t, kPrimitives> counts = {};  // lines of the tenant and of its instances, by word
  Totals totals = {};
  [[nodiscard]] WordSet words() const;               // those whose count is not 0
  [[nodiscard]] bool present() const { return lines.has(Word::kBridge) || totals.instances != 0; }
};

struct Instance;

struct Pool {
  Name name;
  std::uint32_t tenant = 0;              // its index
  Lines lines = {};                      // its base
  std::uint32_t diffs = 0;               // snapshots of its instances that stand on a base
  std::span<Instance> instances = {};
  Totals totals = {};
};

struct Instance {
  const Subject* subject = nullptr;
  std::uint32_t tenant = 0, pool = 0;  // their indices
  Lines lines = {};
  std::uint64_t jail_state = kRunning, jail_guest = kAwake, volume_key = 0;  // as moved since its line was written
  std::optional<Digest> snapshot_digest = {};  // of its snapshot's line, once it has been asked for
  [[nodiscard]] Totals share() const;                        // what it adds to the sums
};

// The full snapshot of the pool whose line has that digest, or nullptr. O(instances of the pool).
[[nodiscard]] const Statement* find_full_snapshot(const Pool& pool, const Digest& digest);

// Where a statement acts. pool and instance are null for what is a tenant's own, instance alone for what is a pool's.
struct Site {
  Tenant* tenant = nullptr;
  Pool* pool = nullptr;
  Instance* instance = nullptr;
  [[nodiscard]] Lines& lines() const {
    if (instance != nullptr) return instance->lines;
    return pool != nullptr ? pool->lines : tenant->lines;
  }
  // The words that stand for this subject: its own and its tenant's bridge and rule.
  [[nodiscard]] WordSet words() const { return tenant->lines.words | lines().words; }
};

class StateIndex {
 public:
  StateIndex(const Document& state, const std::vector<Statement>& plan);
  StateIndex(const StateIndex&) = delete;
  StateIndex& operator=(const StateIndex&) = delete;

  // The subject must be one that state or plan names.
  [[nodiscard]] Site site(const Subject& subject);
  void put(const Site& site, const Statement& line);  // the word does not stand there yet
  void drop(const Site& site, Word word);             // it does
  void move(const Site& site, Word word, std::uint64_t to);
  // Where `~` of the word moves from.
  [[nodiscard]] static std::uint64_t& moved(Instance& instance, Word word);
  // One of the three, by its sign. `statement` must outlive the index.
  void carry_out(const Site& site, const Statement& statement);
  // The line as it is now: as written, without a sign, moves carried out. The word stands there.
  [[nodiscard]] static Statement line(const Site& site, Word word);

  [[nodiscard]] const Totals& totals() const { return totals_; }
  [[nodiscard]] std::uint64_t tenants() const { return tenants_present_; }
  [[nodiscard]] std::size_t lines() const { return lines_; }
  [[nodiscard]] const std::vector<Tenant>& all_tenants() const { return tenants_; }
  [[nodiscard]] const std::vector<Pool>& all_pools() const { return pools_; }
  [[nodiscard]] std::size_t number_of(const Tenant& tenant) const { return static_cast<std::size_t>(&tenant - tenants_.data()); }
  [[nodiscard]] std::size_t number_of(const Pool& pool) const { return static_cast<std::size_t>(&pool - pools_.data()); }
  // All that stands, in canonical order.
  [[nodiscard]] std::vector<Statement> statements();

 private:
  void add_subject(const Subject& subject);
  void give_pools_their_instances();
  [[nodiscard]] std::size_t find(const Subject& instance) const;
  // Every change of an instance or a tenant: change(), and the sums after it.
  template <class Change>
  void carry_out(const Site& site, Change change);

  std::vector<Tenant> tenants_;      // all three in canonical order
  std::vector<Pool> pools_;
  std::vector<Instance> instances_;
  std::size_t last_tenant_ = 0, last_instance_ = 0;  // where the last look-up ended
  Totals totals_;
  std::uint64_t tenants_present_ = 0;
  std::size_t lines_ = 0;
};

// The line of `subject` and `word` in a projection or a state, or nullptr. O(log n).
[[nodiscard]] const Statement* find_line(const Document& sorted, const Subject& subject, Word word);
// A plan's statement as the line that it makes: without its sign.
[[nodiscard]] Statement as_line(const Statement& statement);

}  // namespace mvm::lang
