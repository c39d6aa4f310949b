// An HTTP/1.1 response (RFC 9112) from a VMM that may be hostile. Takes what Firecracker sends and little more: a status
// line, at most kMaxHead bytes of head, a Content-Length of at most kMaxBody, that many bytes, and nothing after them. No
// chunks, no 1xx, no obs-fold, no bare LF. Pure. Owns what it was fed.
// Proven by: tests/jail/http_response_test.cc, fuzz/http_response_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace mvm::jail {

inline constexpr std::size_t kMaxHead = 8 * 1024;
inline constexpr std::size_t kMaxBody = 64 * 1024;

struct Response {
  int status = 0;
  std::string body;
  bool operator==(const Response&) const = default;
};

class ResponseParser {
 public:
  enum class Progress : std::uint8_t { kMore, kDone };

  // The next bytes that came, however they were cut. kMalformed, kLimit: the connection is of no more use, nor is the parser.
  [[nodiscard]] Result<Progress> feed(std::string_view bytes);
  // After kDone.
  [[nodiscard]] Response take();

 private:
  enum class At : std::uint8_t { kHead, kBody, kDone, kFailed };
  [[nodiscard]] Result<Progress> advance(std::string_view bytes);

  At at_ = At::kHead;
  std::string received_;        // of the head, then of the body
  int status_ = 0;
  std::size_t content_length_ = 0;
};

// The value of the first "name":"value" in a body as Firecracker prints it: no white space, no escape, at most 64 printable
// characters. kMalformed: there is none.
[[nodiscard]] Result<std::string> string_field(std::string_view body, std::string_view name);

// The value of the first "name":N in such a body, a decimal number of 64 bits that a comma or a brace ends. kNotFound: there is none of that name. kMalformed:
// it is something else.
[[nodiscard]] Result<std::uint64_t> number_field(std::string_view body, std::string_view name);

// For an error's text: the first kMaxQuote bytes, what is not printable ASCII replaced.
inline constexpr std::size_t kMaxQuote = 160;
[[nodiscard]] std::string quote(std::string_view bytes);

}  // namespace mvm::jail
