#include "vault/https.h"

#include <algorithm>
#include <cstring>

namespace mvm::vault {
namespace {

constexpr std::string_view kTokenHeader = "X-Vault-Token: ";

constexpr long kTls13 = CURL_SSLVERSION_TLSv1_3;  // as the least; shifted, as the most (CURL_SSLVERSION_MAX_TLSv1_3)

struct Sink {
  std::span<std::uint8_t> room;
  std::size_t used = 0, headers = 0;
  bool too_long = false;
};

// Fewer bytes than came: libcurl ends the transfer.
std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* sink_) {
  Sink& sink = *static_cast<Sink*>(sink_);
  if (size > sink.room.size() - sink.used) {
    sink.too_long = true;
    return 0;
  }
  std::memcpy(sink.room.data() + sink.used, bytes, size);
  sink.used += size;
  return size;
}

std::size_t count_header(char*, std::size_t, std::size_t size, void* sink_) {
  Sink& sink = *static_cast<Sink*>(sink_);
  sink.headers += size;
  sink.too_long = sink.too_long || sink.headers > kMaxHeaders;
  return sink.too_long ? 0 : size;
}

curl_blob blob(const void* data, std::size_t size) { return {const_cast<void*>(data), size, CURL_BLOB_NOCOPY}; }

}  // namespace

Fetched<Https> Https::to(const Config& config, const Certificates& certificates, const SecretArena& arena, const Timeouts& timeouts) {
  Https out(arena, "https://" + config.server + ":" + std::to_string(config.port) + "/v1/");
  out.curl_.reset(curl_easy_init());
  const std::string where = config.server + ":" + std::to_string(config.port) + ":" + config.address;
  out.resolved_.reset(curl_slist_append(nullptr, where.c_str()));
  if (!out.curl_ || !out.resolved_ || !out.set_up(config, certificates, timeouts)) return failed(Problem::kHere, "libcurl cannot be set up");
  return out;
}

// What is not set here, a server could make use of. A libcurl that does not know one of these is none to go on with.
bool Https::set_up(const Config&, const Certificates& certificates, const Timeouts& timeouts) {
  bool done = true;
  const auto set = [&](CURLoption option, auto value) { done = curl_easy_setopt(curl_.get(), option, value) == CURLE_OK && done; };
  set(CURLOPT_ERRORBUFFER, said_->data());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_PROTOCOLS_STR, "https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_PROXY, "");
  set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(CURLOPT_RESOLVE, resolved_.get());
  set(CURLOPT_IPRESOLVE, static_cast<long>(CURL_IPRESOLVE_V4));
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_HTTP09_ALLOWED, 0L);
  set(CURLOPT_SSLVERSION, kTls13 | kTls13 << 16);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_SSL_SESSIONID_CACHE, 0L);
  set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
  curl_blob authority = blob(certificates.authority.data(), certificates.authority.size());
  curl_blob ours = blob(certificates.ours.data(), certificates.ours.size());
  curl_blob key = blob(certificates.key.bytes().data(), certificates.key.size());
  set(CURLOPT_CAINFO_BLOB, &authority);
  set(CURLOPT_SSLCERT_BLOB, &ours);
  set(CURLOPT_SSLKEY_BLOB, &key);
  set(CURLOPT_CONNECTTIMEOUT_MS, timeouts.connect_ms);
  set(CURLOPT_TIMEOUT_MS, timeouts.request_ms);
  set(CURLOPT_WRITEFUNCTION, &take_body);
  set(CURLOPT_HEADERFUNCTION, &count_header);
  return done;
}

Fetched<Https::List> Https::headers(const Secret* token) const {
  List list(curl_slist_append(nullptr, "Content-Type: application/json"));
  if (!list) return failed(Problem::kHere, "no memory");
  if (token == nullptr) return list;
  auto line = arena_->take(kTokenHeader.size() + token->size() + 1);  // ends with the zero that it begins as
  if (!line) return failed(Problem::kHere, line.error().message());
  std::ranges::copy(kTokenHeader, line->bytes().begin());
  std::ranges::copy(token->bytes(), line->bytes().begin() + kTokenHeader.size());
  if (curl_slist_append(list.get(), reinterpret_cast<const char*>(line->bytes().data())) == nullptr) return failed(Problem::kHere, "no memory");
  return list;
}

Fetched<Answer> Https::ask(std::string_view path, const Secret* token, const std::string* body) {
  auto room = arena_->take(kMaxAnswer);
  if (!room) return failed(Problem::kHere, room.error().message());
  const auto list = headers(token);
  if (!list) return std::unexpected(list.error());
  Sink sink{room->bytes()};
  bool done = true;
  const auto set = [&](CURLoption option, auto value) { done = curl_easy_setopt(curl_.get(), option, value) == CURLE_OK && done; };
  const std::string url = base_ + std::string(path);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_HTTPHEADER, list->get());
  set(CURLOPT_WRITEDATA, &sink);
  set(CURLOPT_HEADERDATA, &sink);
  if (body == nullptr) {
    set(CURLOPT_HTTPGET, 1L);
  } else {
    set(CURLOPT_POSTFIELDS, body->c_str());
    set(CURLOPT_POSTFIELDSIZE, static_cast<long>(body->size()));
  }
  if (!done) return failed(Problem::kHere, "libcurl cannot be set up");
  said_->front() = '\0';
  const CURLcode code = curl_easy_perform(curl_.get());
  // Nothing of this request is left in the handle.
  set(CURLOPT_HTTPHEADER, static_cast<curl_slist*>(nullptr));
  if (code != CURLE_OK) return std::unexpected(failure(code, sink.too_long));
  Answer answer{0, sink.used, *std::move(room)};
  if (curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &answer.status) != CURLE_OK) return failed(Problem::kHere, "libcurl lost the status");
  return answer;
}

Failure Https::failure(CURLcode code, bool too_long) const {
  const std::string said = said_->front() != '\0' ? said_->data() : curl_easy_strerror(code);
  if (too_long) return {Problem::kTooLong, "an answer is longer than " + std::to_string(kMaxAnswer) + " bytes"};
  switch (code) {
    case CURLE_COULDNT_CONNECT: return {Problem::kUnreachable, said};
    case CURLE_OPERATION_TIMEDOUT: return {Problem::kTimeout, said};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR: return {Problem::kNotTrusted, said};
    case CURLE_SSL_CERTPROBLEM: return {Problem::kHere, said};
    // With TLS 1.3 a server says what it thinks of our certificate when we have begun to ask: by an alert.
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR: return {said.find("alert") != std::string::npos ? Problem::kNotTrustedByIt : Problem::kCut, said};
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE: return {Problem::kCut, said};
    case CURLE_OUT_OF_MEMORY: return {Problem::kHere, said};
    default: return {Problem::kGarbage, said};
  }
}

}  // namespace mvm::vault
