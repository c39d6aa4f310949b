#include "tests/vault/vault_server.h"

#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/owned.h"

namespace mvm::test {
namespace {

using Json = nlohmann::json;
using Context = Owned<SSL_CTX, &SSL_CTX_free>;
using Ssl = Owned<SSL, &SSL_free>;
using Bio = Owned<BIO, &BIO_free_all>;

Bio bio_of(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// As a server does that speaks it: this one does not, so whoever offers it gets nothing.
int prefer_http_2(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered, unsigned offered_size, void*) {
  static constexpr unsigned char kWanted[] = "\x02h2\x08http/1.1";
  unsigned char* out = nullptr;
  if (SSL_select_next_proto(&out, size, kWanted, sizeof kWanted - 1, offered, offered_size) != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_NOACK;
  *chosen = out;
  return SSL_TLSEXT_ERR_OK;
}

Context context_of(const VaultServer::Ways& ways) {
  Context context(SSL_CTX_new(TLS_server_method()));
  const Owned<X509, &X509_free> certificate(PEM_read_bio_X509(bio_of(ways.identity.certificate).get(), nullptr, nullptr, nullptr));
  const Owned<EVP_PKEY, &EVP_PKEY_free> key(PEM_read_bio_PrivateKey(bio_of(ways.identity.key).get(), nullptr, nullptr, nullptr));
  const Owned<X509, &X509_free> clients(PEM_read_bio_X509(bio_of(ways.clients).get(), nullptr, nullptr, nullptr));
  const bool done = SSL_CTX_use_certificate(context.get(), certificate.get()) == 1 && SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1 &&
                    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), clients.get()) == 1;
  if (!done) std::abort();
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | (ways.strict ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  if (ways.way == VaultServer::Way::kOldTls) SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  constexpr std::string_view kSessions = "vault_server";
  if (SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>(kSessions.data()), kSessions.size()) != 1) std::abort();
  SSL_CTX_set_alpn_select_cb(context.get(), &prefer_http_2, nullptr);
  return context;
}

std::string part(const std::string& text, std::size_t from, const std::string& until) {
  const auto end = text.find(until, from);
  return text.substr(from, end == std::string::npos ? end : end - from);
}

std::string header(const std::string& head, const std::string& name) {
  const auto at = head.find("\r\n" + name + ": ");
  return at == std::string::npos ? "" : part(head, at + name.size() + 4, "\r\n");
}

}  // namespace

std::string base64_of(const std::string& bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

// With TLS or without.
class VaultServer::Stream {
 public:
  Stream(int fd, SSL_CTX* context) : fd_(fd), ssl_(context == nullptr ? nullptr : SSL_new(context)) {
    if (ssl_) SSL_set_fd(ssl_.get(), fd);
  }
  bool accept() { return !ssl_ || SSL_accept(ssl_.get()) == 1; }
  long read(char* bytes, std::size_t size) { return ssl_ ? SSL_read(ssl_.get(), bytes, static_cast<int>(size)) : recv(fd_, bytes, size, 0); }
  void write(const std::string& text) {
    if (ssl_) (void)SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
    else (void)send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
  }
  bool has_certificate() const { return ssl_ && SSL_get0_peer_certificate(ssl_.get()) != nullptr; }
  bool is_resumed() const { return ssl_ && SSL_session_reused(ssl_.get()) == 1; }
  // Until the other side has gone.
  void wait() {
    char byte = 0;
    while (recv(fd_, &byte, 1, 0) > 0) {
    }
  }
  // The alert has to arrive, so what the client has sent meanwhile is read.
  void refuse() {
    shutdown(fd_, SHUT_WR);
    wait();
  }
  void refuse_in_the_clear() {
    char bytes[4096];
    (void)recv(fd_, bytes, sizeof bytes, 0);
    write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    refuse();
  }
  std::string take_request() {
    std::string text;
    std::size_t wanted = std::string::npos;
    while (wanted == std::string::npos || text.size() < wanted) {
      char bytes[4096];
      const long got = read(bytes, sizeof bytes);
      if (got <= 0) return {};
      text.append(bytes, static_cast<std::size_t>(got));
      const auto end = text.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const std::string length = header(text.substr(0, end + 2), "Content-Length");
      wanted = end + 4 + (length.empty() ? 0 : std::stoul(length));
    }
    return text;
  }

 private:
  int fd_;
  Ssl ssl_;
};

VaultServer::VaultServer(Ways ways) : ways_(std::move(ways)), way_(ways_.way), listening_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  std::signal(SIGPIPE, SIG_IGN);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(ways_.port);
  socklen_t size = sizeof address;
  const int yes = 1;
  setsockopt(listening_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool listens = bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0 && listen(listening_.get(), 16) == 0 &&
                       getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (!listens) std::abort();
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { serve(); });
}

VaultServer::~VaultServer() {
  ends_ = true;
  shutdown(listening_.get(), SHUT_RDWR);
  if (const int fd = connection_; fd >= 0) shutdown(fd, SHUT_RDWR);
  thread_.join();
}

std::vector<std::string> VaultServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t VaultServer::tokens() const {
  const std::lock_guard lock(mutex_);
  return tokens_.size();
}

void VaultServer::serve() {
  const Context context = context_of(ways_);
  while (!ends_) {
    const Fd connection(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection.valid()) continue;
    connection_ = connection.get();
    Stream stream(connection.get(), way_ == Way::kNoTls ? nullptr : context.get());
    if (!ends_) talk(stream);
    connection_ = -1;
  }
}

void VaultServer::talk(Stream& stream) {
  if (way_ == Way::kSilent) return stream.wait();
  if (way_ == Way::kNoTls) return stream.refuse_in_the_clear();
  if (!stream.accept()) return stream.refuse();
  resumed_ += stream.is_resumed();
  while (true) {
    const std::string text = stream.take_request();
    if (text.empty() || way_ == Way::kHangsUp) return;
    const auto end = text.find("\r\n\r\n");
    Request request{part(text, 0, " "), part(text, text.find(" /v1/") + 5, " "), header(text.substr(0, end + 2), "X-Vault-Token"), header(text.substr(0, end + 2), "Authorization"), text.substr(end + 4)};
    Response response;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request.method + " " + request.path + (request.authorization.empty() ? "" : " " + request.authorization));
      const bool knows = stream.has_certificate() || !ways_.strict;
      response = request.path == "auth/cert/login" && !knows ? Response{400, R"({"errors":["client certificate must be supplied"]})", {}} : answer(request);
    }
    if (response.silent) return stream.wait();
    if (way_ == Way::kHeadless) return stream.write(response.body);
    std::string head = "HTTP/1.1 " + std::to_string(response.status) + " x\r\nContent-Type: application/json\r\n" + response.headers;
    if (response.headers.find("Content-Length") == std::string::npos) head += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
    stream.write(head + "\r\n" + response.body);
    if (response.hangs_up) return;
  }
}

VaultServer::Response VaultServer::answer(const Request& request) {
  const Response denied{403, R"({"errors":["permission denied"]})", {}};
  switch (way_.load()) {
    case Way::kSealed: return {503, R"({"errors":["Vault is sealed"]})", {}};
    case Way::kFails: return {500, R"({"errors":["internal error"]})", {}};
    case Way::kSendsElsewhere: return {307, "", "Location: https://127.0.0.1:1/v1/" + request.path + "\r\n"};
    default: break;
  }
  if (request.path == "auth/cert/login") {
    if (way_ == Way::kRefusesLogins) return {400, R"({"errors":["invalid certificate or no client certificate supplied"]})", {}};
    if (way_ == Way::kForbidsLogins || Json::parse(request.body).value("name", "") != "node-7") return denied;
    const std::string token = "hvs.CAESI-" + std::to_string(requests_.size()) + "-of_the_tests";
    tokens_.insert(token);
    return {200, Json{{"request_id", "1"}, {"auth", {{"client_token", token}, {"policies", {"default"}}, {"lease_duration", 60}, {"renewable", true}}}}.dump(), {}};
  }
  if (!tokens_.contains(request.token)) return denied;
  if (request.path == "auth/token/revoke-self") {
    if (way_ == Way::kKeepsTokens) return denied;
    tokens_.erase(request.token);
    return {204, "", {}};
  }
  const std::string secrets = "secret/data/mvm/", unwraps = "transit/decrypt/mvm-";
  const auto version = request.path.find("?version=");
  if (request.method == "GET" && request.path.starts_with(secrets) && version != std::string::npos) {
    return read_secret(request.path.substr(secrets.size(), version - secrets.size()), request.path.substr(version + 9));
  }
  if (request.method == "POST" && request.path.starts_with(unwraps)) return unwrap(request);
  return {404, R"({"errors":[]})", {}};
}

VaultServer::Response VaultServer::read_secret(const std::string& tenant, const std::string& version) const {
  if (tenant == "denied") return {403, R"({"errors":["1 error occurred:\n\t* permission denied\n\n"]})", {}};
  if (tenant == "stranger") return {401, R"({"errors":["missing client token"]})", {}};
  if (tenant == "broken") return {500, R"({"errors":["internal error"]})", {}};
  if (tenant == "busy") return {429, "", {}};
  if (tenant == "teapot") return {418, "", {}};
  if (tenant == "moved") return {302, "", "Location: http://127.0.0.1:1/\r\n"};
  if (tenant == "huge") return {200, std::string(1 << 20, ' '), {}};
  if (tenant == "headers") return {200, "{}", "X-Long: " + std::string(40'000, 'x') + "\r\n"};
  if (tenant == "garbage") return {200, "<html>it works</html>", {}};
  if (tenant == "half") return {200, R"({"data":{"data":{"key":"QUFB)", {}};
  if (tenant == "deep") return {200, std::string(100, '['), {}};
  if (tenant == "first") return {200, R"({"data":{"key":"QUFB"}})", {}};  // KV version 1
  if (tenant == "cut") return {200, R"({"data":)", "Content-Length: 1000\r\n", true};
  if (tenant == "slow") return {200, "", {}, false, true};
  const auto key = ways_.key(tenant, version);
  if (!key) return {404, R"({"data":{"data":null,"metadata":{"deletion_time":"2024-01-01T00:00:00Z","destroyed":false,"version":)" + version + "}}}", {}};
  const std::string value = ways_.transit ? "vault:v1:" + base64_of(tenant + "/" + version) : base64_of(*key);
  const Json metadata = {{"created_time", "2024-01-01T00:00:00Z"}, {"custom_metadata", nullptr}, {"deletion_time", ""}, {"destroyed", false},
                         {"version", std::stoi(version) + (tenant == "other" ? 1 : 0)}};
  return {200, Json{{"request_id", "2"}, {"lease_id", ""}, {"data", {{"data", {{"key", value}}}, {"metadata", metadata}}}, {"warnings", nullptr}}.dump(), {}};
}

// A ciphertext of one tenant's key is none under another's.
VaultServer::Response VaultServer::unwrap(const Request& request) const {
  const std::string tenant = request.path.substr(std::string("transit/decrypt/mvm-").size());
  const std::string ciphertext = Json::parse(request.body).value("ciphertext", "");
  for (int version = 1; version <= 9; ++version) {
    if (ciphertext != "vault:v1:" + base64_of(tenant + "/" + std::to_string(version))) continue;
    return {200, Json{{"data", {{"plaintext", base64_of(ways_.key(tenant, std::to_string(version)).value_or(""))}}}}.dump(), {}};
  }
  return {400, R"({"errors":["cipher: message authentication failed"]})", {}};
}

}  // namespace mvm::test
