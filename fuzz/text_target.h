// What holds for a text of any kind, whatever its bytes: parse() returns; what it takes prints as the same bytes (a policy:
// without comments and empty lines), and nothing else prints as those. The digest on the `end` line is mended first, or no
// mutation would ever be read beyond it; the bytes as they came are tried too.
#pragma once

#include <string>
#include <string_view>

#include "fuzz/check.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"

namespace mvm::fuzz {

inline void check_text(lang::Kind kind, std::string_view text) {
  const auto parsed = lang::parse(kind, text);
  if (!parsed) {
    must(!parsed.error().why.empty() && !parsed.error().remedy.empty(), "a refusal says why, and what would make it pass");
    must(parsed.error().statement.size() <= lang::kMaxLineBytes, "a refusal shows at most one line");
    return;
  }
  must(parsed->statements.size() <= lang::kMaxStatements, "no more statements than the limit are taken");
  const std::string canonical = kind == lang::Kind::kPolicy ? lang::strip_comments(text) : std::string(text);
  must(lang::print(*parsed) == canonical, "what is taken prints as the same bytes");
  const auto again = lang::parse(kind, canonical);
  must(again && *again == *parsed, "the same bytes mean the same document");
}

inline std::string with_digest_mended(std::string text) {
  const std::size_t end = text.rfind("\nend ");
  if (end == std::string::npos) return text;
  text.resize(end + 1);
  const std::string line = "end " + to_string(sha256(text)) + "\n";
  return text += line;
}

inline int run_text_target(lang::Kind kind, const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_text(kind, text);
  if (kind != lang::Kind::kPolicy) check_text(kind, with_digest_mended(text));
  return 0;
}

}  // namespace mvm::fuzz
