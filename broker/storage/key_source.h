// Where a statement's key, or what its drive carries, comes from. It is had for one task, used, and gone with the Secret that holds it.
// Proven by: tests/storage/key_source_test.cc.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/secret.h"
#include "schemas/worker.h"
#include "sealing/seal.h"

namespace mvm::storage {

class KeySource {
 public:
  virtual ~KeySource() = default;
  // The keys that the task's statement names, in its order. kDenied: one is not with the task.
  [[nodiscard]] virtual Result<std::vector<Secret>> keys_of(const wire::Task& task) = 0;
  // What the drive of a secrets or config statement carries; it has the statement's digest. kDenied likewise.
  [[nodiscard]] virtual Result<Secret> content_of(const wire::Task& task) = 0;
};

// From the envelope that came with the task, opened with this start's own key. What it has to be an envelope of, the statement and its
// place say: a key of another tenant, version, generation or node is none. Nothing of it is kept.
class SealedKeys : public KeySource {
 public:
  explicit SealedKeys(const sealing::Session& session) : session_(session) {}
  [[nodiscard]] Result<std::vector<Secret>> keys_of(const wire::Task& task) override;
  [[nodiscard]] Result<Secret> content_of(const wire::Task& task) override;

 private:
  const sealing::Session& session_;
};

}  // namespace mvm::storage
