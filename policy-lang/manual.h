// The table, as people and machines read it: what `mvm primitives` prints, docs/primitives.md, the table in SECURITY.md, and
// the dictionaries of the fuzz targets. All of it is made from the table; tests/policy-lang/manual_test.cc holds the files in
// the tree to it. Pure.
#pragma once

#include <string>

#include "policy-lang/table.h"

namespace mvm::lang {

// Every word, its fields, what it stands on and what it costs; then the actions as lines. 100 columns where it can.
[[nodiscard]] std::string manual_text();
// The same, for machines: {"limits": {...}, "words": [...], "actions": [...]}; numbers are exact in any reader.
[[nodiscard]] std::string manual_json();
// docs/primitives.md, whole.
[[nodiscard]] std::string manual_markdown();
// The table of primitives: which worker runs each, what it changes, and at what cost. Markdown, for SECURITY.md too.
[[nodiscard]] std::string primitives_table();
// A dictionary for libFuzzer: the words, fields and spellings of that kind of text.
[[nodiscard]] std::string fuzz_dictionary(Kind kind);

}  // namespace mvm::lang
