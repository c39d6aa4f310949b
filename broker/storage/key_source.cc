#include "broker/storage/key_source.h"

#include "schemas/needs.h"

namespace mvm::storage {

Result<std::vector<Secret>> SealedKeys::keys_of(const wire::Task& task) {
  const auto needs = wire::needs_of(task.statement, task.place.node, task.place.generation);
  if (needs.empty() || task.sealed.size() != needs.size()) {
    return fail(Errc::kDenied, "use a key that did not come with its statement", to_string(task.statement.subject));
  }
  std::vector<Secret> keys;
  for (std::size_t i = 0; i < needs.size(); ++i) {
    if (needs[i].purpose != sealing::Purpose::kTenantKey) return fail(Errc::kDenied, "use a key that the statement does not name");
    if (needs[i].tenant != task.statement.subject.tenant) return fail(Errc::kDenied, "use the key of another tenant", to_string(task.statement.subject));
    auto key = session_.open(needs[i], task.sealed[i]);
    if (!key) return forward(key.error());
    keys.push_back(*std::move(key));
  }
  return keys;
}

Result<Secret> SealedKeys::content_of(const wire::Task& task) {
  const auto needs = wire::needs_of(task.statement, task.place.node, task.place.generation);
  if (needs.size() != 1 || task.sealed.size() != 1) {
    return fail(Errc::kDenied, "make a drive of what did not come with its statement", to_string(task.statement.subject));
  }
  if (needs[0].purpose == sealing::Purpose::kTenantKey) return fail(Errc::kDenied, "make a drive of a key");
  return session_.open(needs[0], task.sealed[0]);
}

}  // namespace mvm::storage
