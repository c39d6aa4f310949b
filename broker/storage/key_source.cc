#include "broker/storage/key_source.h"

#include "schemas/needs.h"

namespace mvm::storage {

Result<Secret> SealedKeys::key_of(const wire::Task& task) {
  const auto needs = wire::needs_of(task.statement, task.place.node, task.place.generation);
  if (needs.size() != 1 || needs[0].purpose != sealing::Purpose::kTenantKey) return fail(Errc::kDenied, "use a key that the statement does not name");
  if (needs[0].tenant != task.statement.subject.tenant) return fail(Errc::kDenied, "use the key of another tenant", to_string(task.statement.subject));
  if (task.sealed.size() != 1) return fail(Errc::kDenied, "use a key that did not come with its statement", to_string(task.statement.subject));
  return session_.open(needs[0], task.sealed[0]);
}

}  // namespace mvm::storage
