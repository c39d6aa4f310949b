#include "schemas/needs.h"

#include <map>

namespace mvm::wire {
namespace {

using lang::Word;
using sealing::Label;
using sealing::Purpose;

bool is_key(const lang::Field& field) { return field.kind == lang::FieldKind::kKey || field.kind == lang::FieldKind::kKeyOrNone; }

}  // namespace

std::vector<Label> needs_of(const lang::Statement& statement, const Name& node, std::uint64_t generation, const lang::Statement* snapshot) {
  std::vector<Label> needs;
  if (statement.sign == lang::Sign::kMove && statement.word == Word::kVolume) {
    for (std::size_t i = 0; i < 2; ++i) {
      needs.push_back({node, Purpose::kTenantKey, statement.subject.tenant, static_cast<std::uint32_t>(statement.numbers[i]), {}, generation});
    }
  }
  if (statement.sign != lang::Sign::kAdd) return needs;
  const Label base{node, Purpose::kTenantKey, statement.subject.tenant, 0, {}, generation};
  const auto add_key = [&](const Name& tenant, std::uint64_t version) {
    needs.push_back(base);
    needs.back().tenant = tenant;
    needs.back().version = static_cast<std::uint32_t>(version);
  };
  const auto fields = lang::row(statement.word).fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (is_key(fields[i]) && statement.numbers[i] != 0) add_key(statement.key_tenant, statement.numbers[i]);
  }
  if (statement.word == Word::kJail && lang::jail_view(statement).boot == lang::kBootSnapshot && snapshot != nullptr) {
    const lang::SnapshotView view = lang::snapshot_view(*snapshot);
    if (view.key_version != 0) add_key(view.key_tenant, view.key_version);
  }
  if (statement.word == Word::kSecrets || statement.word == Word::kConfig) {
    needs.push_back(base);
    needs.back().purpose = statement.word == Word::kSecrets ? Purpose::kSecrets : Purpose::kConfig;
    needs.back().digest = statement.digests[0];
  }
  return needs;
}

std::vector<std::vector<Label>> needs_of_plan(const lang::Document& plan, const lang::Document& state) {
  std::map<Subject, const lang::Statement*> snapshots;
  for (const lang::Statement& line : state.statements) {
    if (line.word == Word::kSnapshot) snapshots[line.subject] = &line;
  }
  std::vector<std::vector<Label>> all;
  for (const lang::Statement& statement : plan.statements) {
    const auto found = snapshots.find(statement.subject);
    all.push_back(needs_of(statement, plan.header.node, plan.header.generation, found == snapshots.end() ? nullptr : found->second));
    if (statement.word == Word::kSnapshot && statement.sign == lang::Sign::kAdd) snapshots[statement.subject] = &statement;
  }
  return all;
}

}  // namespace mvm::wire
