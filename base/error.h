// Errors as values: what failed, the errno if there was one, what was tried, and on what.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace mvm {

enum class Errc : std::uint8_t {
  kSystem,     // a system call failed; sys_errno says how
  kMalformed,  // bytes that are not of the agreed form
  kDenied,     // understood and refused
  kLimit,      // a named limit was passed
  kNotFound,
  kExists,
  kBusy,
  kTimeout,
  kUnsupported,
  kCorrupt,  // something of our own does not match its checksum or its twin
  kClosed,   // the other side went away
};

[[nodiscard]] std::string_view to_string(Errc code);

struct Error {
  Errc code = Errc::kSystem;
  int sys_errno = 0;
  std::string tried;  // "create the tap", "openat2"
  std::string on;     // "tn3i5", a path below a directory we hold; never a secret

  [[nodiscard]] std::string message() const;
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string tried, std::string on = {}) {
  return std::unexpected(Error{code, 0, std::move(tried), std::move(on)});
}

// `saved_errno` is errno as it was on the line after the call.
[[nodiscard]] inline std::unexpected<Error> fail_errno(int saved_errno, std::string tried, std::string on = {}) {
  return std::unexpected(Error{Errc::kSystem, saved_errno, std::move(tried), std::move(on)});
}

[[nodiscard]] inline std::unexpected<Error> forward(Error error) { return std::unexpected(std::move(error)); }

}  // namespace mvm
