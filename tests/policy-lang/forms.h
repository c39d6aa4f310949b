// Documents that are right in form and nothing more: every field somewhere in its bounds, drawn from the table. What the
// tests of parse and print feed them with; whether such a plan makes sense is not asked (generate.h does).
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "policy-lang/statement.h"

namespace mvm::lang::test {

using Random = std::mt19937_64;

// MVM_TEST_SEED, or a seed from the clock; printed, so that a failure can be run again.
[[nodiscard]] std::uint64_t test_seed();

enum class Bound : std::uint8_t { kMin, kMax };

// The statement of `word` with each field at that bound; at the upper one also with the longest names there can be.
[[nodiscard]] Statement at_bound(Word word, Sign sign, Bound bound);
// A statement of `word` with each field anywhere in its bounds.
[[nodiscard]] Statement random_statement(Word word, Sign sign, Random& random);
// A document of `kind` with about `size` statements, sorted and without repetitions where the kind asks for it.
[[nodiscard]] Document random_document(Kind kind, std::size_t size, Random& random);
// A plan of exactly `size` statements that fits kMaxTextBytes at 16,384: what a plan that makes small instances looks like.
[[nodiscard]] Document full_plan(std::size_t size);

[[nodiscard]] std::uint64_t below(std::uint64_t bound, Random& random);  // 0 .. bound - 1
[[nodiscard]] Name random_name(Random& random);
[[nodiscard]] FlakeRef random_flake(Random& random);
[[nodiscard]] Digest random_digest(Random& random);
// The text above an `end` line, with the `end` line that belongs to it.
[[nodiscard]] std::string with_end(std::string above);

}  // namespace mvm::lang::test
