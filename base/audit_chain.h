// The audit log's form: lines that are chained by hash, and a head that says where the chain ended.
// A line is `SEQ TIME WHAT chain=HEX` with HEX = SHA-256(hash of the line before, as 32 bytes; all of this line before
// ` chain=`). The first line's predecessor is 32 zero bytes. SEQ counts from 1. All is printable ASCII.
// The head (kHeadBytes) is written after the lines that it speaks of, so lines may follow it; none may be missing.
// Pure. What it proves: no line that the head covers was changed, cut, put in or moved without changing the head as well. Whoever can
// rewrite both can rewrite history: keep heads elsewhere (`mvm audit verify --json` prints the last hash).
// Proven by: tests/base/audit_chain_test.cc, fuzz/audit_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/error.h"

namespace mvm {

inline constexpr std::size_t kMaxAuditLine = 2048;  // bytes, LF not counted
inline constexpr std::size_t kAuditHeadBytes = 88;

struct AuditHead {
  std::uint64_t lines = 0;
  std::uint64_t bytes = 0;  // of the log up to and with the last line
  Digest hash;              // of the last line; zero where there is none
  bool operator==(const AuditHead&) const = default;
};

// The next line, with its line feed, and the head after it. `what` is cut to fit, and what is not printable becomes '?'.
struct AuditLine {
  std::string text;
  AuditHead head;
};
[[nodiscard]] AuditLine next_audit_line(const AuditHead& head, std::string_view time, std::string_view what);

[[nodiscard]] std::string print_audit_head(const AuditHead& head);
// kCorrupt where the sum is wrong.
[[nodiscard]] Result<AuditHead> read_audit_head(std::string_view bytes);

// Follows the chain from `from` through `lines`, which may end in a part of a line (a crash while writing).
struct AuditTail {
  AuditHead head;
  std::size_t torn_bytes = 0;  // after the last line feed
};
// Which line (from 1) breaks the chain, and how.
struct AuditFault {
  std::uint64_t line = 0;
  std::string why;
};
[[nodiscard]] std::expected<AuditTail, AuditFault> follow_audit(const AuditHead& from, std::string_view lines);

// The whole log against its head: what `mvm audit verify` does. `head`: the bytes of the head file.
[[nodiscard]] std::expected<AuditTail, AuditFault> verify_audit(std::string_view log, std::string_view head);

}  // namespace mvm
