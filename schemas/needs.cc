#include "schemas/needs.h"

namespace mvm::wire {
namespace {

using lang::Word;
using sealing::Label;
using sealing::Purpose;

bool is_key(const lang::Field& field) { return field.kind == lang::FieldKind::kKey || field.kind == lang::FieldKind::kKeyOrNone; }

}  // namespace

std::vector<Label> needs_of(const lang::Statement& statement, const Name& node, std::uint64_t generation) {
  std::vector<Label> needs;
  if (statement.sign != lang::Sign::kAdd) return needs;
  const Label base{node, Purpose::kTenantKey, statement.subject.tenant, 0, {}, generation};
  const auto fields = lang::row(statement.word).fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!is_key(fields[i]) || statement.numbers[i] == 0) continue;
    needs.push_back(base);
    needs.back().tenant = statement.key_tenant;
    needs.back().version = static_cast<std::uint32_t>(statement.numbers[i]);
  }
  if (statement.word == Word::kSecrets || statement.word == Word::kConfig) {
    needs.push_back(base);
    needs.back().purpose = statement.word == Word::kSecrets ? Purpose::kSecrets : Purpose::kConfig;
    needs.back().digest = statement.digests[0];
  }
  return needs;
}

}  // namespace mvm::wire
