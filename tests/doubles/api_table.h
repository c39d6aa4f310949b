// What Firecracker's API takes, as a table: every request, the body that it wants, and when it is allowed. Requests and
// bodies are facts of firecracker-v1.16.1.yaml, to which api_table_test.py holds them in both directions; when each is
// allowed is from rpc_interface.rs of v1.16.1 (handle_preboot_request, RuntimeApiController::handle_request).
// For tests only; never installed.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mvm::doubles {

enum class Type { kText, kWord, kNumber, kFlag, kObject, kList };
enum class Need { kOptional, kRequired };

struct FieldRule {
  std::string name;
  Type type = Type::kText;
  Need need = Need::kOptional;
  std::optional<long long> least, most;  // kNumber
  std::vector<std::string> words;        // kWord
  std::string of;                        // kObject: a body; kList: a body, or "string"
};

struct BodyRule {
  std::string name;
  std::vector<FieldRule> fields;
};

enum class When { kAlways, kBeforeStart, kAfterStart, kByAction };
enum class Doubled { kYes, kOnlyChecked };  // kOnlyChecked: the request is held to the table, then refused as not doubled

struct RequestRule {
  std::string method;
  std::string path;  // "{id}" stands for one name of [A-Za-z0-9_]+
  std::string body;  // empty: none
  When when = When::kAlways;
  Doubled doubled = Doubled::kYes;
};

[[nodiscard]] const std::vector<RequestRule>& request_rules();
[[nodiscard]] const std::vector<BodyRule>& body_rules();
[[nodiscard]] const BodyRule& body_rule(std::string_view name);
// The table, for api_table_test.py.
[[nodiscard]] nlohmann::json table_as_json();

// kPatch: every field may be missing, but not all (PATCH /machine-config).
enum class Form { kWhole, kPatch };
// What Firecracker would say is wrong with the body; nothing: it takes it.
[[nodiscard]] std::optional<std::string> fault_in(const nlohmann::json& body, const BodyRule& rule, Form form = Form::kWhole);
// Like serde: no field twice. Throws std::runtime_error with its words.
[[nodiscard]] nlohmann::json parse_json(const std::string& text);

}  // namespace mvm::doubles
