// What the parts of the generator share.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "tests/policy-lang/generate.h"
#include "tests/policy-lang/reference_verifier.h"

namespace mvm::lang::test {

[[nodiscard]] inline bool chance(std::uint64_t of_a_hundred, Random& random) { return below(100, random) < of_a_hundred; }
template <class List>
[[nodiscard]] const auto& any_of(const List& list, Random& random) {
  return list[below(list.size(), random)];
}
[[nodiscard]] inline Name name(const char* text) { return *Name::from(text); }
// One of two, so that digests agree now and then.
[[nodiscard]] Digest small_digest(Random& random);
[[nodiscard]] Statement line(Word word, const Subject& subject, std::array<std::uint64_t, kMaxFields> numbers = {});
inline void put(Statement& s, std::string_view field, std::uint64_t number) { s.numbers[field_index(s.word, field)] = number; }

[[nodiscard]] const Statement* tenant_line(const World& world, const Subject& subject);
[[nodiscard]] const Statement* pool_line(const World& world, const Subject& subject);
// The pools of the projection, and now and then one that it does not name.
[[nodiscard]] std::vector<Subject> pools_of(const World& world, Random& random);
// The line of `word` that the subject should have, given what stands; other values where the projection does not name it.
[[nodiscard]] Statement right_line(const World& world, const reference::Statements& now, Word word, const Subject& subject, Random& random);
// One value of the statement changed, inside its field's bounds.
void perturb(Statement& s, Random& random);
// The tenant's quotas are what its pools come to, and no more.
void make_quotas_exact(const Document& projection, Statement& tenant);
// The plan's header, such that it is fresh.
void set_headers(const World& world, const Document& state, Document& plan);

}  // namespace mvm::lang::test
