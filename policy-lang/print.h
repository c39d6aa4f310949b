// Values to text: the inverse of parse(), and the only spelling there is. Needs no parser.
// Proven by: tests/policy-lang/print_test.cc, and the supervisor's comparison at every submission.
#pragma once

#include <string>
#include <string_view>

#include "policy-lang/statement.h"

namespace mvm::lang {

// The whole text, `end` line and its digest included.
[[nodiscard]] std::string print(const Document& document);
// One statement, without a line feed.
[[nodiscard]] std::string print(const Statement& statement);
// The bytes of print(document).
[[nodiscard]] std::size_t text_size(const Document& document);
// The digest on the `end` line: SHA-256 of all bytes above it. It is what `desired`, `base` and the audit log name.
// A policy's `end` line has no digest (people write it); this is still the digest of all above it.
[[nodiscard]] Digest text_digest(const Document& document);
// What `boot=snapshot:` names, and of a base's line a diff's `base`: SHA-256 of the line as it stands in a state, without a line feed.
[[nodiscard]] Digest snapshot_digest(const Statement& snapshot);
// A policy as people wrote it, without its comment lines ('#' first) and blank lines; nothing else is touched.
[[nodiscard]] std::string strip_comments(std::string_view policy_text);

}  // namespace mvm::lang
