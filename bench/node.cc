#include "bench/node.h"

#include <algorithm>
#include <initializer_list>
#include <random>

#include "policy-lang/print.h"

namespace mvm::bench {
namespace {

using lang::Document;
using lang::Kind;
using lang::Statement;
using lang::Word;

constexpr std::size_t kPools = 2, kInstancesAPool = 28;

Statement line(Word word, const Subject& subject, std::initializer_list<std::uint64_t> numbers) {
  Statement statement;
  statement.word = word;
  statement.subject = subject;
  std::ranges::copy(numbers, statement.numbers.begin());
  return statement;
}

Statement with_key(Statement statement) {
  statement.key_tenant = statement.subject.tenant;
  return statement;
}

Digest image() { return sha256("image"); }

Statement jail(const Subject& instance) {
  Statement jail = line(Word::kJail, instance, {1, 2, 1024, lang::kBootCold, lang::kRunning, lang::kAwake});
  jail.digests[0] = image();
  return jail;
}

Document text(Kind kind, std::vector<Statement> statements) {
  Document document{kind, {}, std::move(statements)};
  document.header.node = *Name::from("node-7");
  if (kind == Kind::kProjection) document.header.generation = 1;
  return document;
}

Document make_policy() {
  Statement coordinator = line(Word::kCoordinator, {}, {1});
  coordinator.digests[0] = sha256("key");
  const Subnet cidr{10u << 24 | 240u << 16, 12};
  return text(Kind::kPolicy, {line(Word::kCidr, {}, {cidr.packed()}), line(Word::kUids, {}, {100'000, 1 << 20}),
                              line(Word::kLimits, {}, {4096, lang::kMaxStatements, 1 << 16, 1 << 24, 1 << 26}),
                              line(Word::kPerInstance, {}, {64, 0}), line(Word::kEncrypt, {}, {lang::kYes, lang::kYes}), coordinator});
}

// Names of one length, so that number order is canonical order.
Subject tenant_at(std::size_t i) { return tenant_subject(*Name::from("t" + std::to_string(100 + i))); }
Subject pool_at(const Subject& tenant, std::size_t i) { return pool_subject(tenant.tenant, *Name::from("p" + std::to_string(i))); }

void add_instance(std::vector<Statement>& lines, const Subject& instance, std::uint64_t slot, std::size_t number) {
  lines.push_back(line(Word::kCgroup, instance, {200, 1024 + lang::kVmmOverheadMib, 64, 0}));
  lines.push_back(with_key(line(Word::kVolume, instance, {1024, 1})));
  lines.push_back(with_key(line(Word::kLuksOpen, instance, {1})));
  lines.push_back(line(Word::kTap, instance, {slot}));
  if (number % 9 < 5) lines.push_back(jail(instance));
}

void add_tenant(Node& node, std::size_t i) {
  const Subject tenant = tenant_at(i);
  const Subnet subnet{(10u << 24 | 240u << 16) + static_cast<std::uint32_t>(i << 8), 24};
  const Statement rule = line(Word::kRule, tenant, {lang::kEgressNat, 0, 0, 0});
  std::vector<Statement>&wanted = node.projection.statements, &lines = node.full.statements;
  wanted.push_back(line(Word::kTenant, tenant, {i, subnet.packed(), 400, 1 << 20, 200, 0, kPools, 100, 1 << 20, 0}));
  wanted.push_back(rule);
  lines.push_back(line(Word::kBridge, tenant, {i, subnet.packed()}));
  lines.push_back(rule);
  for (std::size_t p = 0; p < kPools; ++p) {
    const Subject pool = pool_at(tenant, p);
    Statement size = line(Word::kPool, pool, {1, 2, 1024, 1024, kInstancesAPool, 0, 0, 0, 0, 0, 0});
    size.digests[0] = image();
    wanted.push_back(size);
    for (std::size_t k = 0; k < kInstancesAPool; ++k) {
      const std::size_t number = (i * kPools + p) * kInstancesAPool + k;
      const Subject instance = instance_subject(pool.tenant, pool.pool, InstanceId{static_cast<std::uint32_t>(number)});
      add_instance(lines, instance, lang::kFirstSlot + p * kInstancesAPool + k, number);
    }
  }
}

// Runs of one instance, of which every eighth changes: its jail, or whether it is there, or its cgroup and all that needs it.
Document changed(const Document& full) {
  Document other = full;
  other.statements.clear();
  for (Statement statement : full.statements) {
    const std::uint32_t number = statement.subject.instance.value;
    const bool instance = statement.subject.kind == SubjectKind::kInstance;
    if (instance && number % 24 == 0) continue;
    if (instance && number % 24 == 8 && statement.word == Word::kJail) statement.digests[0] = sha256("another image");
    if (instance && number % 24 == 16 && statement.word == Word::kCgroup) statement.numbers[0] = 400;
    other.statements.push_back(statement);
  }
  return other;
}

}  // namespace

Node make_node(std::size_t lines) {
  Node node{make_policy(), text(Kind::kProjection, {line(Word::kPrune, {}, {lang::kYes, lang::kYes})}), text(Kind::kState, {}), text(Kind::kState, {}), {}};
  for (std::size_t i = 0; node.full.statements.size() < lines; ++i) add_tenant(node, i);
  node.full.statements.resize(lines);
  lang::Header& header = node.full.header;
  header.generation = 1;
  header.has_desired = true;
  header.desired = lang::text_digest(node.projection);
  node.other = changed(node.full);
  return node;
}

Document shuffled(Document plan) {
  std::vector<std::vector<Statement>> runs;
  for (const Statement& statement : plan.statements) {
    if (runs.empty() || runs.back().front().subject != statement.subject) runs.emplace_back();
    runs.back().push_back(statement);
  }
  const auto first_instance = std::ranges::find_if(runs, [](const auto& run) { return run.front().subject.kind == SubjectKind::kInstance; });
  std::shuffle(first_instance, runs.end(), std::mt19937(1));
  plan.statements.clear();
  for (const auto& run : runs) plan.statements.insert(plan.statements.end(), run.begin(), run.end());
  return plan;
}

}  // namespace mvm::bench
