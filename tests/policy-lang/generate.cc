// Worlds, and the states that life in them leaves.
#include <algorithm>

#include "policy-lang/print.h"
#include "tests/policy-lang/generate_lines.h"

namespace mvm::lang::test {
namespace {

using reference::Statements;
using reference::find;

// Mostly wide, now and then tight.
std::uint64_t quota(std::uint64_t wide, std::uint64_t tight, Random& random) { return chance(6, random) ? below(tight + 1, random) : wide; }

Document random_policy(Random& random) {
  Document policy;
  policy.kind = Kind::kPolicy;
  policy.header.node = name("node-7");
  auto& lines = policy.statements;
  lines.push_back(line(Word::kCidr, {}, {Subnet{0x0af00000, 12}.packed()}));
  lines.push_back(line(Word::kUids, {}, {1'000'000, chance(95, random) ? 1u << 20 : 3u * 256 + below(20, random)}));
  lines.push_back(line(Word::kLimits, {}, {quota(16, 2, random), quota(64, 4, random), quota(64, 6, random), quota(65'536, 1024, random), quota(1 << 20, 256, random)}));
  lines.push_back(line(Word::kPerInstance, {}, {64, chance(80, random) ? 0u : 10u, chance(80, random) ? 0u : 1000u, chance(80, random) ? 0u : 100u}));
  lines.push_back(line(Word::kEncrypt, {}, {below(2, random), below(2, random)}));
  Statement coordinator = line(Word::kCoordinator, {}, {1});
  coordinator.digests[0].bytes.fill(9);
  lines.push_back(coordinator);
  if (chance(20, random)) {
    Statement sealer = line(Word::kSealer, {}, {1});
    sealer.digests[0] = small_digest(random);
    lines.push_back(sealer);
  }
  if (chance(15, random)) {
    Statement image = line(Word::kImage, {}, {1});
    image.digests[0] = small_digest(random);
    lines.push_back(image);
  }
  if (chance(70, random)) lines.push_back(line(Word::kEgress, {}, {Subnet{0xc0000200, 24}.packed()}));
  if (chance(30, random)) lines.push_back(line(Word::kClosed, {}, {Subnet{0xc6336400, 24}.packed()}));
  if (chance(30, random)) lines.push_back(line(Word::kDisks, {}, {below(2, random)}));
  if (chance(30, random)) {
    for (const char* device : {"a", "b", "c", "d", "e"}) {
      if (chance(80, random)) lines.push_back(line(Word::kDevice, pool_subject(name("vg0"), name(device)), {chance(80, random) ? 64 : 32 + below(64, random)}));
    }
  }
  return policy;
}

Statement random_tenant(const Subject& subject, std::uint64_t net, Random& random) {
  const Subnet subnet{static_cast<std::uint32_t>(0x0af00000 + (net << 8)), static_cast<std::uint8_t>(chance(90, random) ? 24 : 29)};
  Statement tenant = line(Word::kTenant, subject,
                          {net, subnet.packed(), quota(64, 8, random), quota(65'536, 2048, random), quota(32, 8, random), quota(32, 4, random),
                           quota(8, 2, random), quota(32, 8, random), quota(1 << 20, 512, random), below(2, random)});
  if (tenant.number("secrets") != 0) tenant.digests[0] = small_digest(random);
  return tenant;
}

Statement random_pool(const Subject& subject, Random& random) {
  Statement pool = line(Word::kPool, subject,
                        {1, 1 + below(2, random), 128, chance(70, random) ? 64u : 0u, below(4, random), below(2, random), below(3, random),
                         chance(12, random), chance(12, random), below(2, random), chance(40, random)});
  pool.digests[0] = small_digest(random);
  if (pool.number("config") != 0) pool.digests[1] = small_digest(random);
  return pool;
}

Document random_projection(Random& random) {
  Document projection;
  projection.kind = Kind::kProjection;
  projection.header.node = name("node-7");
  projection.header.generation = 5 + below(3, random);
  auto& lines = projection.statements;
  if (chance(60, random)) lines.push_back(line(Word::kPrune, {}, {below(2, random), below(2, random)}));
  std::uint64_t net = 3;
  for (const char* tenant : {"acm", "acme", "beta"}) {
    if (chance(25, random)) continue;
    const Subject subject = tenant_subject(name(tenant));
    lines.push_back(random_tenant(subject, net++, random));
    if (chance(60, random)) {
      lines.push_back(line(Word::kRule, subject, {below(3, random), 0, below(2, random) * 100, 0}));
    }
    for (const char* pool : {"w", "web"}) {
      if (chance(70, random)) lines.push_back(random_pool(pool_subject(name(tenant), name(pool)), random));
    }
  }
  return projection;
}

// Adds the line unless what it stands on is missing or it clashes; a state is what plans have left.
bool add_line(Statements& now, const Statement& s) {
  if (find(now, s.word, s.subject) != nullptr) return false;
  for (const Statement& other : now) {
    if (reference::clash(s, other)) return false;
  }
  for (const Row& needed : table()) {
    if ((row(s.word).needs & bit(needed.word)) == 0) continue;
    const Subject subject = needed.subject == SubjectKind::kTenant ? tenant_subject(s.subject.tenant) : s.subject;
    if (find(now, needed.word, subject) == nullptr) return false;
  }
  now.push_back(s);
  return true;
}

// Adds lines of one world to a state.
struct Maker {
  const World& world;
  States states;
  Statements& now;
  Random& random;

  void add(Word word, const Subject& subject) const {
    Statement s = right_line(world, now, word, subject, random);
    if (states == States::kAny && chance(3, random) && word != Word::kLuksOpen) perturb(s, random);
    if (states == States::kReachable && !on_its_bridge(s)) return;
    add_line(now, s);
  }
  // Whether a tap's slot is an address of its bridge's subnet.
  [[nodiscard]] bool on_its_bridge(const Statement& s) const {
    const Statement* bridge = find(now, Word::kBridge, tenant_subject(s.subject.tenant));
    return s.word != Word::kTap || bridge == nullptr || s.number("slot") < reference::subnet_of(*bridge).size() - 1;
  }
  void add_instance(const Subject& subject) const;
  void add_jail(const Subject& subject, bool woken) const;
};

enum class Life : std::uint8_t { kStopped, kSleeping, kRunning, kWoken, kHalfMade };

void Maker::add_instance(const Subject& subject) const {
  using enum Word;
  const auto life = static_cast<Life>(below(5, random));
  const Statement* tenant = tenant_line(world, subject);
  const Statement* pool = pool_line(world, subject);
  if (pool == nullptr || pool->number("data") != 0) add(kVolume, subject);
  if (life == Life::kStopped) return;
  if (life == Life::kSleeping) return add(kSnapshot, subject);
  add(kCgroup, subject);
  const Statement* volume = find(now, kVolume, subject);
  if (volume != nullptr && volume->number("key") != 0) add(kLuksOpen, subject);
  if (tenant != nullptr && tenant->number("secrets") != 0) add(kSecrets, subject);
  if (pool != nullptr && pool->number("config") != 0) add(kConfig, subject);
  if (life == Life::kHalfMade && chance(50, random)) return;
  add(kTap, subject);
  if (life != Life::kHalfMade && find(now, kTap, subject) != nullptr) add_jail(subject, life == Life::kWoken);
}

void Maker::add_jail(const Subject& subject, bool woken) const {
  Statement snapshot = right_line(world, now, Word::kSnapshot, subject, random);
  Statement jail = right_line(world, now, Word::kJail, subject, random);
  if (woken) {
    put(jail, "boot", kBootSnapshot);
    jail.digests[1] = snapshot_digest(snapshot);
    if (chance(30, random)) add_line(now, snapshot);  // in the middle of its wake
  }
  if (chance(30, random)) put(jail, "state", kWarm);
  if (chance(40, random)) put(jail, "guest", kParked);
  add_line(now, jail);
  if (jail.number("state") == kWarm && chance(30, random) && find(now, Word::kSnapshot, subject) == nullptr) {
    put(snapshot, "seq", snapshot.number("seq") + 1);
    add_line(now, snapshot);  // in the middle of its sleep
  }
}

bool stands_by_itself(const World& world) {
  const Document none;
  const Against against{none, world.projection, world.policy};
  return reference::verify_projection({.plan = none, .against = against}).refused_by == nullptr;
}

}  // namespace

void make_quotas_exact(const Document& projection, Statement& tenant) {
  std::uint64_t running = 0, warm = 0, vcpus = 0, mem = 0, disk = 0, most = 0;
  for (const Statement& pool : projection.statements) {
    if (pool.word != Word::kPool || pool.subject.tenant != tenant.subject.tenant) continue;
    const PoolView view = pool_view(pool);
    running += view.running, warm += view.warm;
    vcpus += view.vcpus * (view.running + view.warm), mem += view.mem * (view.running + view.warm);
    disk += view.data * (view.running + view.warm + view.sleeping);
    most = std::max(most, view.running + view.warm + view.sleeping);
  }
  put(tenant, "running", running), put(tenant, "warm", warm), put(tenant, "vcpus", vcpus);
  put(tenant, "mem", mem), put(tenant, "disk", disk), put(tenant, "instances", most);
}

World random_world(Random& random) {
  World world{random_policy(random), random_projection(random)};
  // What is beyond a quota by itself hides all else, so only a few such are kept.
  while (!stands_by_itself(world) && !chance(4, random)) world.projection = random_projection(random);
  for (Statement& line : world.projection.statements) {
    if (line.word == Word::kTenant && chance(25, random)) make_quotas_exact(world.projection, line);
  }
  return world;
}

Document random_state(const World& world, States states, Random& random) {
  Document state;
  state.kind = Kind::kState;
  state.header.node = world.projection.header.node;
  state.header.generation = below(6, random);
  state.header.has_desired = state.header.generation != 0;
  if (state.header.has_desired) state.header.desired = small_digest(random);
  if (chance(20, random)) {
    state.header.generation = world.projection.header.generation;
    state.header.has_desired = true;
    state.header.desired = text_digest(world.projection);
  }
  Statements& now = state.statements;
  const Maker maker{world, states, now, random};
  for (const Subject& pool : pools_of(world, random)) {
    if (chance(90, random)) maker.add(Word::kBridge, tenant_subject(pool.tenant));
    if (chance(80, random)) maker.add(Word::kRule, tenant_subject(pool.tenant));
    if (chance(25, random)) maker.add(Word::kBase, pool);
    for (std::uint64_t n = below(3, random); n > 0; --n) {
      const Subject subject = instance_subject(pool.tenant, pool.pool, InstanceId{static_cast<std::uint32_t>(0x10 + below(12, random))});
      if (std::ranges::none_of(now, [&](const Statement& s) { return s.subject == subject; })) maker.add_instance(subject);
    }
    if (chance(15, random)) maker.add(Word::kBase, pool);
  }
  std::ranges::sort(now, canonical_less);
  return state;
}

}  // namespace mvm::lang::test
