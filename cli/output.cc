#include "cli/output.h"

#include <algorithm>
#include <iostream>

#include "policy-lang/print.h"

namespace mvm::cli {

std::string tint(const Output& output, Tint tint, std::string_view text) {
  if (!output.colour) return std::string(text);
  constexpr const char* kCodes[] = {"32", "31", "33", "1;31", "1;32", "2"};
  return "\033[" + std::string(kCodes[static_cast<int>(tint)]) + "m" + std::string(text) + "\033[0m";
}

Json to_json(const lang::Statement& statement) {
  constexpr const char* kSigns[] = {"", "+", "-", "~"};
  Json json;
  if (statement.sign != lang::Sign::kNone) json["sign"] = kSigns[static_cast<int>(statement.sign)];
  json["word"] = std::string(lang::row(statement.word).name);
  if (statement.subject.kind != SubjectKind::kNone) json["subject"] = to_string(statement.subject);
  json["fields"] = Json::object();
  const std::string line = lang::print(statement);
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    const std::string_view token = std::string_view(line).substr(at, end - at);
    if (const std::size_t equals = token.find('='); equals != std::string_view::npos) {
      json["fields"][std::string(token.substr(0, equals))] = std::string(token.substr(equals + 1));
    } else if (token.find('>') != std::string_view::npos) {
      json["move"] = std::string(token);
    }
    at = end + 1;
  }
  return json;
}

Json to_json(const lang::Refusal& refusal) {
  return {{"rule", std::string(lang::to_string(refusal.rule))},
          {"line", refusal.line},
          {"column", refusal.column},
          {"statement", refusal.statement},
          {"why", refusal.why},
          {"remedy", refusal.remedy}};
}

int refuse(const Output& output, std::string_view what, const lang::Refusal& refusal) {
  if (output.json) {
    Json json = to_json(refusal);
    json["refused"] = std::string(what);
    std::cout << json.dump(2) << '\n';
    return kRefused;
  }
  std::cerr << tint(output, Tint::kBad, "refused") << ": " << what << ": " << refusal.message() << '\n';
  return kRefused;
}

int error(const Output& output, const std::string& message) {
  if (output.json) std::cout << Json{{"error", message}}.dump(2) << '\n';
  else std::cerr << "mvm: " << message << '\n';
  return kError;
}

}  // namespace mvm::cli
