// Why there is no key: what the status file and the log say, and what mvm-vault does about it. Pure.
// Proven by: tests/vault/source_test.cc, which brings about each.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace mvm::vault {

enum class Problem : std::uint8_t {
  kUnreachable,    // nobody listens there
  kTimeout,
  kCut,            // the connection ended before the answer did
  kNotTrusted,     // the server's certificate: another authority's, another name's, or out of its time; or no TLS 1.3
  kNotTrustedByIt, // it does not take our certificate
  kSealed,         // the vault is sealed (503)
  kServerError,    // another 5xx
  kBusy,           // 429: it asks for fewer requests
  kDenied,         // 400 of a login, 401, 403
  kNotFound,       // 404; a version that was deleted, too
  kRedirected,     // 3xx: no redirect is followed
  kOtherStatus,
  kTooLong,        // more than an answer may be
  kGarbage,        // not the JSON that such an answer is
  kWrongVersion,   // of another version than was asked for
  kNotAKey,        // not 32 bytes in base64
  kHere,           // nothing of the server's: this machine has no memory, or no file
};
[[nodiscard]] std::string_view to_string(Problem problem);  // "not-found"

// Whether asking for something else makes no sense just now.
[[nodiscard]] constexpr bool is_of_the_server(Problem problem) {
  return problem <= Problem::kBusy || problem == Problem::kHere;
}

struct Failure {
  Problem problem = Problem::kHere;
  std::string detail;  // for people; never a secret
  [[nodiscard]] std::string message() const { return std::string(to_string(problem)) + (detail.empty() ? "" : ": " + detail); }
};
template <class T>
using Fetched = std::expected<T, Failure>;

[[nodiscard]] inline std::unexpected<Failure> failed(Problem problem, std::string detail = {}) {
  return std::unexpected(Failure{problem, std::move(detail)});
}

}  // namespace mvm::vault
