#include "tests/policy-lang/generate_lines.h"

#include <algorithm>

#include "policy-lang/print.h"

namespace mvm::lang::test {

Digest small_digest(Random& random) {
  Digest digest;
  digest.bytes.fill(static_cast<std::uint8_t>(1 + below(2, random)));
  return digest;
}

Statement line(Word word, const Subject& subject, std::array<std::uint64_t, kMaxFields> numbers) {
  Statement s;
  s.word = word;
  s.subject = subject;
  s.numbers = numbers;
  return s;
}

const Statement* tenant_line(const World& world, const Subject& subject) {
  return reference::find(world.projection.statements, Word::kTenant, tenant_subject(subject.tenant));
}
const Statement* pool_line(const World& world, const Subject& subject) {
  return reference::find(world.projection.statements, Word::kPool, pool_subject(subject.tenant, subject.pool));
}

// The line of `word` that an instance of that pool would have; other values where the pool is not in the projection.
Statement right_line(const World& world, const reference::Statements& now, Word word, const Subject& subject, Random& random) {
  const Statement* tenant = tenant_line(world, subject);
  const Statement* pool = subject.kind >= SubjectKind::kPool ? pool_line(world, subject) : nullptr;
  const auto of_pool = [&](std::string_view field, std::uint64_t otherwise) { return pool != nullptr ? pool->number(field) : otherwise; };
  Statement s = line(word, subject);
  switch (word) {
    case Word::kBridge:
      s.numbers = {tenant != nullptr ? tenant->number("net") : 77, tenant != nullptr ? tenant->number("subnet") : Subnet{0x0af04d00, 24}.packed()};
      return s;
    case Word::kRule: {
      const Statement* rule = reference::find(world.projection.statements, Word::kRule, subject);
      if (rule != nullptr) s.numbers = rule->numbers;
      return s;
    }
    case Word::kCgroup: s.numbers = {100 * of_pool("vcpus", 1), of_pool("mem", 128) + 128, 1 + below(64, random), 1 + below(10, random)}; return s;
    case Word::kVolume:
      s.numbers = {std::max<std::uint64_t>(1, of_pool("data", 64)), chance(85, random)};
      if (s.numbers[1] != 0) s.key_tenant = subject.tenant;
      return s;
    case Word::kLuksOpen: {
      const Statement* volume = reference::find(now, Word::kVolume, subject);
      s.numbers = {volume != nullptr && volume->number("key") != 0 ? volume->number("key") : 1};
      s.key_tenant = subject.tenant;
      return s;
    }
    case Word::kSecrets: s.numbers = {1}; s.digests[0] = tenant != nullptr ? tenant_view(*tenant).secrets : Digest{}; return s;
    case Word::kConfig: s.numbers = {1}; s.digests[0] = pool != nullptr ? pool_view(*pool).config : Digest{}; return s;
    case Word::kTap: {
      const Statement* snapshot = reference::find(now, Word::kSnapshot, subject);
      s.numbers = {snapshot != nullptr ? snapshot->number("slot") : 3 + below(5, random), 1 + below(1000, random), 1 + below(100, random)};
      return s;
    }
    case Word::kJail: {
      const Statement* snapshot = reference::find(now, Word::kSnapshot, subject);
      s.numbers = {1, of_pool("vcpus", 1), of_pool("mem", 128), snapshot != nullptr, kRunning, snapshot != nullptr ? kParked : kAwake};
      s.digests[0] = pool != nullptr ? pool_view(*pool).image : small_digest(random);
      if (snapshot != nullptr) s.digests[1] = snapshot_digest(*snapshot);
      return s;
    }
    case Word::kBase: {
      s.numbers = {1, 1, of_pool("mem", 128), 1};
      s.key_tenant = subject.tenant;
      s.digests = {small_digest(random), pool != nullptr ? pool_view(*pool).image : small_digest(random)};
      for (const Statement& other : now) {
        if (other.word == Word::kSnapshot && reference::same_pool(other, subject) && other.number("kind") == kFull && other.number("key") == 1) s.digests[0] = snapshot_digest(other);
      }
      return s;
    }
    default: break;
  }
  const Statement* tap = reference::find(now, Word::kTap, subject);  // a snapshot
  s.numbers = {kFull, 0, chance(85, random), of_pool("compression", 0), tap != nullptr ? tap->number("slot") : 3 + below(5, random), 1 + below(4, random)};
  if (s.numbers[2] != 0) s.key_tenant = subject.tenant;
  const Statement* base = reference::find(now, Word::kBase, pool_subject(subject.tenant, subject.pool));
  if (base != nullptr && chance(60, random)) {
    s.numbers[0] = kDiff;
    s.numbers[1] = 1;
    s.numbers[2] = base->number("key");
    s.key_tenant = base->key_tenant;
    s.digests[0] = snapshot_digest(*base);
  }
  return s;
}

// One value of the statement changed, inside its field's bounds.
void perturb(Statement& s, Random& random) {
  const auto fields = row(s.word).fields;
  if (s.sign == Sign::kMove) {
    std::swap(s.numbers[0], s.numbers[1]);
    return;
  }
  const std::size_t i = below(fields.size(), random);
  const Field& field = fields[i];
  std::size_t digest = 0;
  for (std::size_t j = 0; j < i; ++j) digest += holds_digest(fields[j].kind);
  const Statement other = random_statement(s.word, s.sign, random);
  if (field.kind == FieldKind::kWord) {
    s.numbers[i] = (s.numbers[i] + 1 + below(field.words.size() - 1, random)) % field.words.size();
  } else if (field.kind == FieldKind::kSubnet && chance(60, random)) {
    const std::uint32_t base = Subnet::unpack(s.numbers[i]).base;
    s.numbers[i] = (chance(30, random) ? Subnet{base & 0xffe00000, 11} : Subnet{base, 30}).packed();
  } else if (field.kind == FieldKind::kNumber && chance(60, random)) {
    s.numbers[i] = std::clamp<std::uint64_t>(chance(50, random) ? s.numbers[i] + 1 : s.numbers[i] - 1, field.min, field.max);
  } else {
    s.numbers[i] = other.numbers[i];
  }
  if (field.kind == FieldKind::kBoot && s.numbers[i] == kBootCold && chance(70, random)) put(s, "guest", kAwake);
  if (holds_digest(field.kind)) s.digests[digest] = s.numbers[i] == 0 ? Digest{} : small_digest(random);
  if (field.kind != FieldKind::kKey && field.kind != FieldKind::kKeyOrNone) return;
  s.numbers[i] = std::clamp<std::uint64_t>(below(3, random), field.min, field.max);
  s.key_tenant = s.numbers[i] == 0 ? Name() : name(chance(70, random) ? "acme" : "beta");
}

std::vector<Subject> pools_of(const World& world, Random& random) {
  std::vector<Subject> pools;
  for (const Statement& s : world.projection.statements) {
    if (s.word == Word::kPool) pools.push_back(s.subject);
  }
  if (pools.empty() || chance(30, random)) pools.push_back(pool_subject(name("acme"), name("old")));
  if (chance(10, random)) pools.push_back(pool_subject(name("gone"), name("w")));
  return pools;
}

void set_headers(const World& world, const Document& state, Document& plan) {
  plan.kind = Kind::kPlan;
  plan.header.node = world.projection.header.node;
  plan.header.generation = world.projection.header.generation;
  plan.header.has_desired = true;
  plan.header.desired = text_digest(world.projection);
  plan.header.base = text_digest(state);
}

}  // namespace mvm::lang::test
