#include "tests/policy-lang/forms.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace mvm::lang::test {
namespace {

Name longest_name() { return *Name::from(std::string(kMaxName, 'z')); }

Digest filled(std::uint8_t byte) {
  Digest digest;
  digest.bytes.fill(byte);
  return digest;
}

Subject subject_of(SubjectKind kind, Name tenant, Name pool, InstanceId instance) {
  if (kind == SubjectKind::kNone) return {};
  if (kind == SubjectKind::kTenant) return tenant_subject(tenant);
  if (kind == SubjectKind::kPool) return pool_subject(tenant, pool);
  return instance_subject(tenant, pool, instance);
}

Subnet random_subnet(Random& random) {
  const auto prefix = static_cast<std::uint8_t>(kMinPrefix + below(kMaxPrefix - kMinPrefix + 1, random));
  const auto address = static_cast<std::uint32_t>(random());
  return {address & ~static_cast<std::uint32_t>((std::uint64_t{1} << (32 - prefix)) - 1), prefix};
}

// Often at a bound, often small, sometimes anywhere.
std::uint64_t random_number(const Field& field, Random& random) {
  const std::uint64_t span = field.max - field.min;
  switch (below(4, random)) {
    case 0: return field.min;
    case 1: return field.max;
    case 2: return field.min + below(std::min<std::uint64_t>(span, 300) + 1, random);
    default: return field.min + (span == 0 ? 0 : random() % (span + 1));
  }
}

template <class Number, class Draw>
void fill_fields(Statement& s, Number number, Draw digest, const Name& key_tenant) {
  const auto fields = row(s.word).fields;
  std::size_t digests = 0;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Field& field = fields[i];
    s.numbers[i] = number(field);
    const bool is_key = field.kind == FieldKind::kKey || field.kind == FieldKind::kKeyOrNone;
    if (is_key && s.numbers[i] != 0) s.key_tenant = key_tenant;
    if (!holds_digest(field.kind)) continue;
    if (s.numbers[i] != 0) s.digests[digests] = digest();
    ++digests;
  }
}

Statement bare(Word word, Sign sign, const Subject& subject) {
  Statement s;
  s.word = word;
  s.sign = sign;
  s.subject = subject;
  return s;
}

bool says_the_same_thing(const Statement& left, const Statement& right) {
  return left == right || (!row(left.word).many && left.word == right.word && left.subject == right.subject);
}

}  // namespace

std::uint64_t test_seed() {
  const char* given = std::getenv("MVM_TEST_SEED");
  const auto now = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
  const std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : now;
  std::printf("MVM_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);  // a test that ends in a crash must have said it
  return seed;
}

std::uint64_t below(std::uint64_t bound, Random& random) { return random() % bound; }

Name random_name(Random& random) {
  static constexpr std::string_view kInner = "abcdefghijklmnopqrstuvwxyz0123456789-";
  std::string text(1, kInner[below(26, random)]);
  const std::uint64_t length = below(5, random) == 0 ? kMaxName : 1 + below(8, random);
  while (text.size() + 1 < length) text += kInner[below(kInner.size(), random)];
  if (text.size() < length) text += kInner[below(36, random)];
  return *Name::from(text);
}

FlakeRef random_flake(Random& random) {
  static constexpr std::string_view kInner = "abcXYZ019-._~:/?#@+=&%";
  std::string text(1, static_cast<char>('a' + below(26, random)));
  const std::uint64_t length = below(5, random) == 0 ? kMaxFlakeRef : 1 + below(40, random);
  while (text.size() < length) text += kInner[below(kInner.size(), random)];
  return *FlakeRef::from(text);
}

Digest random_digest(Random& random) {
  Digest digest;
  for (std::uint8_t& byte : digest.bytes) byte = static_cast<std::uint8_t>(random());
  return digest;
}

Statement at_bound(Word word, Sign sign, Bound bound) {
  const bool max = bound == Bound::kMax;
  const Name name = max ? longest_name() : *Name::from("a");
  Statement s = bare(word, sign, subject_of(row(word).subject, name, name, InstanceId{max ? 0xffffffffu : 0u}));
  if (sign == Sign::kMove) {
    s.numbers[0] = s.numbers[1] = max ? moved_field(row(word)).max : moved_field(row(word)).words.empty();
    return s;
  }
  const auto number = [&](const Field& field) {
    const Subnet subnet = max ? Subnet{0xfffffffc, kMaxPrefix} : Subnet{0, kMinPrefix};
    if (field.kind == FieldKind::kSubnet) return subnet.packed();
    return max ? field.max : field.min;
  };
  fill_fields(s, number, [&] { return filled(max ? 0xff : 0x00); }, name);
  return s;
}

Statement random_statement(Word word, Sign sign, Random& random) {
  Statement s = bare(word, sign, subject_of(row(word).subject, random_name(random), random_name(random),
                                            InstanceId{static_cast<std::uint32_t>(random())}));
  if (sign == Sign::kMove) {
    const Field& field = moved_field(row(word));
    for (std::size_t i = 0; i < 2; ++i) s.numbers[i] = field.words.empty() ? 1 + below(field.max, random) : below(field.words.size(), random);
    return s;
  }
  const auto number = [&](const Field& field) {
    return field.kind == FieldKind::kSubnet ? random_subnet(random).packed() : random_number(field, random);
  };
  fill_fields(s, number, [&] { return random_digest(random); }, random_name(random));
  return s;
}

Document random_document(Kind kind, std::size_t size, Random& random) {
  Document document;
  document.kind = kind;
  if (kind == Kind::kManifest) document.header.flake = random_flake(random);
  else document.header.node = random_name(random);
  if (kind != Kind::kPolicy && kind != Kind::kManifest) document.header.generation = 1 + below(kMaxGeneration, random);
  if (kind == Kind::kState && below(4, random) == 0) document.header.generation = 0;
  document.header.has_desired = kind == Kind::kPlan || (kind == Kind::kState && below(2, random) == 0);
  if (document.header.has_desired) document.header.desired = random_digest(random);
  if (kind == Kind::kPlan) document.header.base = random_digest(random);
  std::vector<Word> words;
  for (const Row& r : table()) {
    if (r.in[static_cast<std::size_t>(kind)]) words.push_back(r.word);
  }
  while (document.statements.size() < size) {
    const Word word = words[below(words.size(), random)];
    Sign sign = Sign::kNone;
    while (kind == Kind::kPlan && !has_sign(row(word).signs, sign)) sign = static_cast<Sign>(below(4, random));
    document.statements.push_back(random_statement(word, sign, random));
  }
  if (kind == Kind::kPlan) return document;
  std::ranges::sort(document.statements, canonical_less);
  const auto repeated = std::ranges::unique(document.statements, says_the_same_thing);
  document.statements.erase(repeated.begin(), repeated.end());
  return document;
}

Document full_plan(std::size_t size) {
  const Name tenant = *Name::from("acme"), pool = *Name::from("workers");
  Document plan{.kind = Kind::kPlan,
                .header = {.node = *Name::from("node-7"), .generation = 42, .has_desired = true, .desired = filled(1), .base = filled(2)},
                .statements = {}};
  const auto add = [&](Word word, const Subject& subject, std::array<std::uint64_t, kMaxFields> numbers, const Digest& digest) {
    if (plan.statements.size() == size) return;
    Statement s = bare(word, Sign::kAdd, subject);
    s.numbers = numbers;
    s.digests[0] = digest;
    if (word == Word::kVolume || word == Word::kLuksOpen) s.key_tenant = tenant;
    plan.statements.push_back(s);
  };
  for (std::uint32_t i = 0; plan.statements.size() < size; ++i) {
    const Subject subject = instance_subject(tenant, pool, InstanceId{0x9e3779b9u * (i + 1)});
    add(Word::kCgroup, subject, {200, 1152, 64, 0}, {});
    add(Word::kVolume, subject, {2048, 1}, {});
    add(Word::kLuksOpen, subject, {1}, {});
    add(Word::kTap, subject, {3 + i % 250}, {});
    if (i % 8 == 0) add(Word::kJail, subject, {1, 2, 1024, kBootCold, kRunning, kAwake}, filled(0x5b));
  }
  return plan;
}

std::string with_end(std::string above) {
  const std::string end = "end " + to_string(sha256(above)) + "\n";
  return above += end;
}

}  // namespace mvm::lang::test
