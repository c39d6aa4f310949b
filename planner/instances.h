// A state, read as instances: the lines of each, and which of the states of an instance that makes.
// Pure. Proven by: tests/planner/target_test.cc.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <vector>

#include "policy-lang/statement.h"

namespace mvm::planner {

enum class Phase : std::uint8_t { kRunning, kWarm, kSleeping, kStopped };

struct Instance {
  Subject subject;
  std::array<std::optional<lang::Statement>, lang::kWords> lines;

  [[nodiscard]] const lang::Statement* line(lang::Word word) const {
    const auto& found = lines[static_cast<std::size_t>(word)];
    return found ? &*found : nullptr;
  }
  void set(const lang::Statement& statement) { lines[static_cast<std::size_t>(statement.word)] = statement; }
  void drop(lang::Word word) { lines[static_cast<std::size_t>(word)].reset(); }
  [[nodiscard]] Phase phase() const;
  [[nodiscard]] bool empty() const;
  // The slot that its tap or its snapshot holds; 0: none.
  [[nodiscard]] std::uint32_t slot() const;
};

struct Fleet {
  std::map<Subject, Instance> instances;  // by subject, so that a pool's stand together, oldest id first
  std::map<Subject, lang::Statement> bridges, rules;  // by tenant
  std::map<Subject, lang::Statement> bases;           // by pool
};

[[nodiscard]] Fleet read_fleet(const lang::Document& state);
// Back to a state's statements, in canonical order.
[[nodiscard]] std::vector<lang::Statement> write_fleet(const Fleet& fleet);

}  // namespace mvm::planner
