// The one checked decoder of a statement and of a subject from FlatBuffers, for every message that carries them.
// What comes out can be printed: the word may stand in that kind of text with that sign, the subject is of the row's kind and
// its names are names, every number is inside its field's bounds, and what the row does not use is zero.
// Proven by: tests/schemas/statement_test.cc.
#pragma once

#include "base/error.h"
#include "policy-lang/statement.h"
#include "schemas/statement_generated.h"

namespace mvm::wire {

[[nodiscard]] fbs::Subject to_fbs(const Subject& subject);
[[nodiscard]] fbs::Statement to_fbs(const lang::Statement& statement);

// Any kind of subject, kNone (all zero) included.
[[nodiscard]] Result<Subject> decode_subject(const fbs::Subject& from);
[[nodiscard]] Result<lang::Statement> decode_statement(const fbs::Statement& from, lang::Kind kind);
// The same values without any check of fields against their row; the word, sign and names are checked still. For what a
// worker is asked to remove, which may be a leak that nobody knows the fields of.
[[nodiscard]] Result<lang::Statement> decode_bare_statement(const fbs::Statement& from);

}  // namespace mvm::wire
