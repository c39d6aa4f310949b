// Near misses.
#include "policy-lang/print.h"
#include "tests/policy-lang/generate_lines.h"

namespace mvm::lang::test {
namespace {

Sign other_sign(Word word, Random& random) {
  Sign sign = Sign::kNone;
  while (!has_sign(row(word).signs, sign)) sign = static_cast<Sign>(1 + below(3, random));
  return sign;
}

void mutate_statement(Statement& s, Random& random) {
  switch (below(6, random)) {
    case 0:
      if (s.sign == Sign::kMove) return perturb(s, random);
      if (const Sign sign = other_sign(s.word, random); sign != Sign::kMove) s.sign = sign;
      return;
    case 1: s.subject.tenant = name(chance(50, random) ? "acme" : "beta"); return;
    case 2:
      if (s.subject.kind >= SubjectKind::kPool) s.subject.pool = name(chance(50, random) ? "w" : "web");
      return;
    case 3:
      if (s.subject.kind == SubjectKind::kInstance) s.subject.instance.value = static_cast<std::uint32_t>(0x10 + below(12, random));
      return;
    default:
      if (!row(s.word).fields.empty()) perturb(s, random);
  }
}

void erase_any(std::vector<Statement>& lines, Random& random) {
  if (!lines.empty()) lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(below(lines.size(), random)));
}

// What stands around the statements: headers, and lines that may not be missing.
void mutate_header(Case& one, Random& random) {
  Header& plan = one.plan.header;
  switch (below(7, random)) {
    case 0: plan.node = name("node-8"); return;
    case 1: plan.generation += 1; return;
    case 2: plan.desired = small_digest(random); return;
    case 3: plan.base = small_digest(random); return;
    case 4:
      one.state.header.generation = plan.generation + 1;
      return set_headers(one.world, one.state, one.plan);
    case 5:
      erase_any(one.world.projection.statements, random);
      return set_headers(one.world, one.state, one.plan);
    default: erase_any(one.world.policy.statements, random);
  }
}

// No quota has any room, and one pool may want nothing any more.
void make_room_scarce(Case& one, Random& random) {
  auto& lines = one.world.projection.statements;
  Statement& line = lines[below(lines.size(), random)];
  if (line.word == Word::kPool) put(line, "running", 0), put(line, "warm", 0), put(line, "sleeping", 0);
  for (Statement& tenant : lines) {
    if (tenant.word == Word::kTenant) make_quotas_exact(one.world.projection, tenant);
  }
  set_headers(one.world, one.state, one.plan);
}

// A statement of the plan; jails and snapshots, of which most is asked, more often.
std::size_t any_statement(const std::vector<Statement>& lines, Random& random) {
  const std::size_t start = below(lines.size(), random);
  if (chance(60, random)) return start;
  for (std::size_t i = start; i < lines.size(); ++i) {
    if (lines[i].sign != Sign::kMove && (lines[i].word == Word::kJail || lines[i].word == Word::kSnapshot)) return i;
  }
  return start;
}

// A microVM is woken from a snapshot that differs from what it was in one field; its jail names that one.
void perturb_what_is_woken(Case& one, Random& random) {
  for (Statement& jail : one.plan.statements) {
    if (jail.word != Word::kJail || jail.sign != Sign::kAdd || jail.number("boot") != kBootSnapshot) continue;
    for (Statement& snapshot : one.state.statements) {
      if (snapshot.word != Word::kSnapshot || snapshot.subject != jail.subject) continue;
      perturb(snapshot, random);
      jail.digests[1] = snapshot_digest(snapshot);
    }
  }
  set_headers(one.world, one.state, one.plan);
}

}  // namespace

void mutate(Case& one, Random& random) {
  auto& lines = one.plan.statements;
  if (lines.empty() || chance(5, random)) return mutate_header(one, random);
  const std::size_t at = any_statement(lines, random), other = below(lines.size(), random);
  if (!one.world.projection.statements.empty() && chance(12, random)) return make_room_scarce(one, random);
  switch (below(10, random)) {
    case 0: std::swap(lines[at], lines[other]); return;
    case 1: lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(at)); return;
    case 2: lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(other), Statement(lines[at])); return;
    case 3: {
      auto& desired = one.world.projection.statements;
      if (desired.empty()) return mutate_header(one, random);
      perturb(desired[below(desired.size(), random)], random);
      set_headers(one.world, one.state, one.plan);
      return;
    }
    case 4: {
      perturb(one.world.policy.statements[below(one.world.policy.statements.size(), random)], random);
      return;
    }
    case 5: {
      auto& now = one.state.statements;
      if (now.empty()) return mutate_header(one, random);
      perturb(now[below(now.size(), random)], random);
      set_headers(one.world, one.state, one.plan);
      return;
    }
    case 6: return perturb_what_is_woken(one, random);
    default: mutate_statement(lines[at], random);
  }
}

}  // namespace mvm::lang::test
