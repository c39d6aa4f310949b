// A vault of the tests, and what a node needs to ask it.
#pragma once

#include <optional>
#include <string>

#include "tests/vault/vault_server.h"
#include "vault/source.h"

namespace mvm::test {

inline std::string config_text(std::uint16_t port, bool transit = false, const std::string& identity = std::string(64, 'a'), const std::string& server = kServerName) {
  return "mvm-vault 1\nnode node-7\nidentity ed25519:" + identity + "\nserver name=" + server + " address=127.0.0.1 port=" + std::to_string(port) +
         "\nlogin mount=cert role=node-7\nkv mount=secret prefix=mvm field=key\n" + (transit ? "transit mount=transit prefix=mvm\n" : "") + "end\n";
}

// Each tenant's version has a key of its own; no tenant has a version above 3, and there is no `nobody`.
inline std::optional<std::string> key_in_vault(const std::string& tenant, const std::string& version) {
  if (tenant == "nobody" || version.size() != 1 || version > "3") return std::nullopt;
  const std::string key = tenant + "/" + version + " ";
  return key + std::string((tenant == "short" ? 31 : tenant == "long" ? 33 : 32) - key.size(), '#');
}

inline Secret secret_of(const SecretArena& arena, const std::string& text) {
  Secret secret = arena.take(text.size()).value();
  std::ranges::copy(text, secret.bytes().begin());
  return secret;
}

inline vault::Certificates certificates_of(const SecretArena& arena, const std::string& authority, const Identity& ours) {
  return {authority, ours.certificate, secret_of(arena, ours.key)};
}

}  // namespace mvm::test
