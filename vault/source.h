// A vault as a source of tenants' keys: HashiCorp Vault's HTTP API, as OpenBao speaks it, too. Logs in by our certificate (auth method
// `cert`), reads a version of a tenant's secret (KV version 2), has it unwrapped where it is wrapped (Transit), and gives its token back.
// Owns the token, in secret memory. Proven by: tests/vault/source_test.cc.
#pragma once

#include "vault/https.h"

namespace mvm::vault {

class Source {
 public:
  // Connected and logged in. What `Https::to` wants to outlive it must.
  [[nodiscard]] static Fetched<Source> log_in(const Config& config, const Certificates& certificates, const SecretArena& arena,
                                              const Timeouts& timeouts = {});
  // The 32 bytes of that version of that tenant's key.
  [[nodiscard]] Fetched<Secret> key(const Name& tenant, std::uint32_t version);
  // The token is of no use afterwards, to anyone.
  [[nodiscard]] Fetched<void> log_out() &&;

 private:
  Source(const Config& config, const SecretArena& arena, Https https, Secret token)
      : config_(&config), arena_(&arena), https_(std::move(https)), token_(std::move(token)) {}

  const Config* config_;
  const SecretArena* arena_;
  Https https_;
  Secret token_;
};

}  // namespace mvm::vault
