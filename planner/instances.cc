#include "planner/instances.h"

#include <algorithm>

namespace mvm::planner {

using lang::Statement;
using lang::Word;

Phase Instance::phase() const {
  if (const Statement* jail = line(Word::kJail)) {
    return lang::jail_view(*jail).state == lang::kRunning ? Phase::kRunning : Phase::kWarm;
  }
  return line(Word::kSnapshot) != nullptr ? Phase::kSleeping : Phase::kStopped;
}

bool Instance::empty() const {
  return std::ranges::none_of(lines, [](const auto& line) { return line.has_value(); });
}

std::uint32_t Instance::slot() const {
  if (const Statement* tap = line(Word::kTap)) return lang::tap_view(*tap).slot;
  if (const Statement* snapshot = line(Word::kSnapshot)) return lang::snapshot_view(*snapshot).slot;
  return 0;
}

Fleet read_fleet(const lang::Document& state) {
  Fleet fleet;
  for (const Statement& statement : state.statements) {
    if (statement.word == Word::kBridge) {
      fleet.bridges.emplace(statement.subject, statement);
    } else if (statement.word == Word::kRule) {
      fleet.rules.emplace(statement.subject, statement);
    } else if (statement.word == Word::kBase) {
      fleet.bases.emplace(statement.subject, statement);
    } else {
      Instance& instance = fleet.instances[statement.subject];
      instance.subject = statement.subject;
      instance.set(statement);
    }
  }
  return fleet;
}

std::vector<Statement> write_fleet(const Fleet& fleet) {
  std::vector<Statement> statements;
  for (const auto& [subject, bridge] : fleet.bridges) statements.push_back(bridge);
  for (const auto& [subject, rule] : fleet.rules) statements.push_back(rule);
  for (const auto& [subject, base] : fleet.bases) statements.push_back(base);
  for (const auto& [subject, instance] : fleet.instances) {
    for (const auto& line : instance.lines) {
      if (line) statements.push_back(*line);
    }
  }
  std::ranges::sort(statements, lang::canonical_less);
  return statements;
}

}  // namespace mvm::planner
