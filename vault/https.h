// One conversation with one server: HTTPS by TLS 1.3 alone, to an address that is given, whose certificate must be of the one authority and the
// name that are given, with a certificate of ours. No redirect, no proxy, no name looked up, no file read, no environment. Answers are bounded
// in size and time, and go into secret memory.
// Owns its connection, kept open between requests. Uses the network, by libcurl, on one thread. use_wiping_heaps() has been called.
// Proven by: tests/vault/source_test.cc; its system calls by tests/sandbox/vault_ablation_test.cc.
#pragma once

#include <curl/curl.h>

#include <array>
#include <string>
#include <string_view>

#include "base/owned.h"
#include "base/secret.h"
#include "vault/answer.h"
#include "vault/config.h"
#include "vault/problem.h"

namespace mvm::vault {

inline constexpr long kConnectMs = 5'000;
inline constexpr long kRequestMs = 10'000;         // connecting included
inline constexpr std::size_t kMaxHeaders = 32 * 1024;  // bytes of an answer's
inline constexpr std::size_t kMaxPem = 16 * 1024;

// PEM, as files hold them.
struct Certificates {
  std::string authority;  // that the server's must be signed by; no other is known
  std::string ours;
  Secret key;
};

struct Answer {
  long status = 0;
  std::size_t size = 0;
  Secret whole;  // longer than the body
  [[nodiscard]] Bytes body() const { return whole.bytes().first(size); }
};

struct Timeouts {
  long connect_ms = kConnectMs, request_ms = kRequestMs;
};

class Https {
 public:
  // `certificates` and `arena` must outlive it.
  [[nodiscard]] static Fetched<Https> to(const Config& config, const Certificates& certificates, const SecretArena& arena, const Timeouts& timeouts = {});

  // `path` is below /v1/. Without a body it is a GET, else a POST of JSON; `token` may be nullptr. Any status is an answer.
  [[nodiscard]] Fetched<Answer> ask(std::string_view path, const Secret* token, const std::string* body);

 private:
  using List = Owned<curl_slist, &curl_slist_free_all>;
  Https(const SecretArena& arena, std::string base) : arena_(&arena), base_(std::move(base)) {}
  [[nodiscard]] bool set_up(const Config& config, const Certificates& certificates, const Timeouts& timeouts);
  [[nodiscard]] Fetched<List> headers(const Secret* token) const;
  [[nodiscard]] Failure failure(CURLcode code, bool too_long) const;

  const SecretArena* arena_;
  std::string base_;  // "https://NAME:PORT/v1/"
  List resolved_;
  std::unique_ptr<std::array<char, CURL_ERROR_SIZE>> said_ = std::make_unique<std::array<char, CURL_ERROR_SIZE>>();
  Owned<CURL, &curl_easy_cleanup> curl_;
};

}  // namespace mvm::vault
