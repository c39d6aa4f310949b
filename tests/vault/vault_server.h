// A small server that speaks what mvm-vault asks of a vault: login by certificate, KV version 2, Transit, revoke-self; by TLS, on a port of
// 127.0.0.1, one connection at a time. Some tenants' names, and some of its ways, make it answer as a broken or hostile server would.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "tests/vault/certificates.h"

namespace mvm::test {

inline const std::string kServerName = "vault.test";

class VaultServer {
 public:
  enum class Way : std::uint8_t {
    kVault,
    kSealed,          // 503 to everything
    kFails,           // 500 to everything
    kRefusesLogins,   // 400, as Vault does where it knows no such certificate
    kForbidsLogins,   // 403
    kSendsElsewhere,  // 307 to everything
    kSilent,          // takes connections and says nothing
    kOldTls,          // TLS 1.2 at most
    kNoTls,           // answers in the clear
    kHangsUp,         // ends each connection where the request has come
    kHeadless,        // answers with a body and nothing before it, as HTTP/0.9 did
    kKeepsTokens,     // 403 to revoke-self
  };
  struct Ways {
    Identity identity;         // the server's
    std::string clients;       // the authority of clients' certificates
    bool strict = true;        // the handshake fails without a client's certificate
    Way way = Way::kVault;
    bool transit = false;      // keys in KV are wrapped
    std::uint16_t port = 0;    // 0: any
    // The 32 bytes of a tenant's key; none: 404.
    std::function<std::optional<std::string>(const std::string& tenant, const std::string& version)> key;
  };

  explicit VaultServer(Ways ways);
  ~VaultServer();
  VaultServer(const VaultServer&) = delete;
  VaultServer& operator=(const VaultServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  // "POST auth/cert/login", in their order; with what an Authorization header says behind it, where there is one.
  [[nodiscard]] std::vector<std::string> requests() const;
  // Connections that took up a session of before.
  [[nodiscard]] std::size_t resumed() const { return resumed_; }
  // Given out and not given back.
  [[nodiscard]] std::size_t tokens() const;
  void change(Way way) { way_ = way; }

 private:
  struct Request {
    std::string method, path, token, authorization, body;
  };
  struct Response {
    int status = 200;
    std::string body, headers;
    bool hangs_up = false, silent = false;
  };
  class Stream;
  void serve();
  void talk(Stream& stream);
  [[nodiscard]] Response answer(const Request& request);
  [[nodiscard]] Response read_secret(const std::string& tenant, const std::string& version) const;
  [[nodiscard]] Response unwrap(const Request& request) const;

  Ways ways_;
  std::atomic<Way> way_;
  Fd listening_;
  std::uint16_t port_ = 0;
  std::atomic<int> connection_ = -1;
  std::atomic<bool> ends_ = false;
  std::atomic<std::size_t> resumed_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::set<std::string> tokens_;
  std::thread thread_;
};

[[nodiscard]] std::string base64_of(const std::string& bytes);

}  // namespace mvm::test
