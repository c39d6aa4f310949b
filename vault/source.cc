#include "vault/source.h"

#include <string>

namespace mvm::vault {
namespace {

constexpr std::string_view kLogOut = "auth/token/revoke-self";

// Whether a status is that of a request that was served. Bodies of others are not looked at: what they say is written by others.
Fetched<void> served(long status, const std::string& what) {
  const std::string said = what + ": status " + std::to_string(status);
  if (status == 200 || status == 204) return {};
  if (status >= 300 && status < 400) return failed(Problem::kRedirected, said + "; name the node that answers itself");
  if (status == 401 || status == 403) return failed(Problem::kDenied, said);
  if (status == 404) return failed(Problem::kNotFound, said);
  if (status == 429) return failed(Problem::kBusy, said);
  if (status == 503) return failed(Problem::kSealed, said);
  if (status >= 500) return failed(Problem::kServerError, said);
  return failed(Problem::kOtherStatus, said);
}

// The body of an answer that was served with status 200.
Fetched<Answer> good(Fetched<Answer> answer, const std::string& what) {
  if (!answer) return failed(answer.error().problem, what + ": " + answer.error().detail);
  if (auto ok = served(answer->status, what); !ok) return std::unexpected(ok.error());
  return answer;
}

}  // namespace

Fetched<Source> Source::log_in(const Config& config, const Certificates& certificates, const SecretArena& arena, const Timeouts& timeouts) {
  auto https = Https::to(config, certificates, arena, timeouts);
  if (!https) return std::unexpected(https.error());
  const std::string body = R"({"name":")" + std::string(config.role.view()) + R"("})";
  auto raw = https->ask(login_path(config), nullptr, &body);
  // How Vault says that it does not know the certificate, or has no such role for it.
  if (raw && raw->status == 400) return failed(Problem::kDenied, "log in: status 400");
  const auto answer = good(std::move(raw), "log in");
  if (!answer) return std::unexpected(answer.error());
  auto token = read_token(arena, answer->body());
  if (!token) return failed(token.error().problem, "log in: " + token.error().detail);
  return Source(config, arena, *std::move(https), *std::move(token));
}

Fetched<Secret> Source::key(const Name& tenant, std::uint32_t version) {
  const auto answer = good(https_.ask(kv_path(*config_, tenant, version), &token_, nullptr), "read it");
  if (!answer) return std::unexpected(answer.error());
  auto stored = read_stored(*arena_, answer->body(), config_->field, version);
  if (!stored) return stored;
  if (!config_->transit) return read_key(*arena_, stored->bytes());
  if (!is_ciphertext(stored->bytes())) return failed(Problem::kNotAKey, "it is not wrapped by Transit");
  // Ciphertext, so it may lie where it likes; of its characters none needs an escape.
  const std::string body = R"({"ciphertext":")" + std::string(stored->bytes().begin(), stored->bytes().end()) + R"("})";
  const auto unwrapped = good(https_.ask(transit_path(*config_->transit, tenant), &token_, &body), "unwrap it");
  if (!unwrapped) return std::unexpected(unwrapped.error());
  const auto plaintext = read_plaintext(*arena_, unwrapped->body());
  if (!plaintext) return failed(plaintext.error().problem, "unwrap it: " + plaintext.error().detail);
  return read_key(*arena_, plaintext->bytes());
}

Fetched<void> Source::log_out() && {
  const std::string nothing;
  const auto answer = good(https_.ask(kLogOut, &token_, &nothing), "log out");
  token_.wipe();
  if (!answer) return std::unexpected(answer.error());
  return {};
}

}  // namespace mvm::vault
