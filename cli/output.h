// How commands answer: text or JSON, colour on a terminal only, and the exit codes that all of them share.
#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::cli {

using Json = nlohmann::ordered_json;

// As diff(1) has them.
inline constexpr int kOk = 0;       // done; same; sound
inline constexpr int kRefused = 1;  // refused; different; a finding
inline constexpr int kError = 2;    // could not be tried: usage, files, no hostd

struct Output {
  bool json = false;
  bool colour = false;
};

enum class Tint { kAdd, kRemove, kMove, kBad, kGood, kDim };
[[nodiscard]] std::string tint(const Output& output, Tint tint, std::string_view text);

// {"sign": "+", "word": "tap", "subject": "acme/web/i-00000001", "fields": {"slot": "5"}}
[[nodiscard]] Json to_json(const lang::Statement& statement);
[[nodiscard]] Json to_json(const lang::Refusal& refusal);

// Says why on stderr (or as JSON on stdout) and gives the exit code.
int refuse(const Output& output, std::string_view what, const lang::Refusal& refusal);
int error(const Output& output, const std::string& message);

}  // namespace mvm::cli
