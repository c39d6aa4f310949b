// Texts of the language from files: which kind one is, reading it, and putting one that people wrote into canonical form.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::cli {

// What went wrong with a text: the file, or what it says.
using TextError = std::variant<Error, lang::Refusal>;
template <class T>
using TextResult = std::expected<T, TextError>;

// By the first line that is not a comment.
[[nodiscard]] std::optional<lang::Kind> kind_of(std::string_view text);
// "-" is standard input. At most lang::kMaxTextBytes.
[[nodiscard]] Result<std::string> read_text(const std::string& path);
[[nodiscard]] TextResult<lang::Document> load(lang::Kind kind, const std::string& path);
[[nodiscard]] TextResult<lang::Document> load_any(const std::string& path);
// Comments and blank lines go, statements of sorted kinds are sorted, the `end` line gets its digest. Values are not touched.
[[nodiscard]] TextResult<std::string> format(std::string_view text);

}  // namespace mvm::cli
