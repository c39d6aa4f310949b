// Why a text or a plan was refused: rule, line, column, statement, reason, and what would make it pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace mvm::lang {

enum class Rule : std::uint8_t { kForm = 1, kOrder, kInvariant, kPolicy, kAuthority, kFreshness };
[[nodiscard]] std::string_view to_string(Rule rule);  // "V1 form" .. "V6 freshness"

struct Refusal {
  Rule rule = Rule::kForm;
  std::uint32_t line = 0;    // from 1, of the text; 0: the text as a whole
  std::uint32_t column = 0;  // from 1; 0: the line as a whole
  std::string statement;     // the line, at most kMaxLineBytes, unprintable bytes as \xNN
  std::string why;
  std::string remedy;        // what would make it pass
  [[nodiscard]] std::string message() const;  // "V3 invariant, line 7: ... (why). To pass: remedy"
};

// What of a text may be shown: at most kMaxLineBytes, every byte that is not printable ASCII as \xNN.
[[nodiscard]] std::string printable(std::string_view text);

template <class T>
using Checked = std::expected<T, Refusal>;

}  // namespace mvm::lang
