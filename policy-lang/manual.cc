#include "policy-lang/manual.h"

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "policy-lang/actions.h"
#include "policy-lang/describe.h"

namespace mvm::lang {
namespace {

std::string padded(std::string_view text, std::size_t width) {
  std::string out(text);
  out.resize(std::max(width, out.size() + 1), ' ');
  return out;
}

std::string subject_of(const Row& row) {
  switch (row.subject) {
    case SubjectKind::kNone: return "";
    case SubjectKind::kTenant: return " TENANT";
    case SubjectKind::kPool: return row.word == Word::kDevice ? " DIRECTORY/NAME" : " TENANT/POOL";
    case SubjectKind::kInstance: return " TENANT/POOL/INSTANCE";
  }
  return "";
}

template <class Includes>
std::string listed(Includes includes, std::string_view separator = ", ") {
  std::string text;
  for (const Row& row : table()) {
    if (!includes(row)) continue;
    if (!text.empty()) text += separator;
    text += row.name;
  }
  return text;
}

std::string names_of(WordSet words) {
  return listed([&](const Row& row) { return (words & bit(row.word)) != 0; });
}

std::string kinds_of(const Row& row) {
  std::string text;
  for (const Kind kind : kKinds) {
    if (!row.in[static_cast<std::size_t>(kind)]) continue;
    if (!text.empty()) text += ", ";
    text += to_string(kind);
  }
  return text;
}

std::string signs_of(const Row& row) {
  std::string text;
  for (const auto& [sign, spelled] : {std::pair(Sign::kAdd, '+'), std::pair(Sign::kRemove, '-'), std::pair(Sign::kMove, '~')}) {
    if (!has_sign(row.signs, sign)) continue;
    if (!text.empty()) text += ' ';
    text += spelled;
  }
  return text;
}

std::string move_of(const Row& row) {
  if (row.moves.empty()) return {};
  const auto words = moved_field(row).words;
  if (words.empty()) return "V>W, versions of its " + std::string(row.moves);
  return std::string(words[0]) + ">" + std::string(words[1]) + " or " + std::string(words[1]) + ">" + std::string(words[0]);
}

// Name and value of what is said of a row beside its fields; an empty value is left out.
std::vector<std::pair<std::string_view, std::string>> notes_of(const Row& row) {
  if (row.signs == kNoSign) return {};
  return {{"moves", move_of(row)},
          {"needs", names_of(row.needs)},
          {"uses", names_of(row.uses)},
          {"makes", std::string(row.makes)},
          {"unmakes", row.unmakes == "-" ? std::string() : std::string(row.unmakes)},
          {"worker", std::string(to_string(row.worker))},
          {"costs", std::string(row.costs)},
          {"durable", row.durable ? "yes: outlives a power cut" : ""},
          {"final", row.irreversible ? "yes: what '-' removes, '+' cannot bring back" : ""}};
}

std::string head_of(const Row& row) {
  std::string text = std::string(row.name) + subject_of(row) + "  (" + kinds_of(row);
  if (row.signs != kNoSign) text += "; " + signs_of(row);
  if (row.many) text += "; may stand several times";
  return text + ")\n";
}

std::string fields_text(const Row& row) {
  std::string text;
  for (const Field& field : row.fields) {
    text += "    " + padded(std::string(field.name) + "=", 13) + describe(field) + "\n";
    text += std::string(17, ' ') + std::string(field.help) + "\n";
  }
  return text;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '\n') out += "\\n";
    else if (c == '"' || c == '\\') out += {'\\', c};
    else out += c;
  }
  return out + '"';
}

template <class Items, class Write>
std::string json_list(const Items& items, Write write) {
  std::string text = "[";
  for (const auto& item : items) text += (&item == &*std::begin(items) ? "" : ", ") + write(item);
  return text + "]";
}

std::string json_of(const Field& field) {
  std::string text = "{\"name\": " + quoted(field.name) + ", \"value\": " + quoted(describe(field)) + ", \"help\": " + quoted(field.help);
  if (field.kind == FieldKind::kNumber) {
    text += ", \"min\": " + std::to_string(field.min) + ", \"max\": " + std::to_string(field.max);
  }
  if (field.kind == FieldKind::kWord) text += ", \"words\": " + json_list(field.words, quoted);
  return text + "}";
}

std::string json_of(const Row& row) {
  std::string text = "    {\"word\": " + quoted(row.name) + ", \"subject\": ";
  const std::string subject = subject_of(row);
  text += subject.empty() ? "null" : quoted(subject.substr(1));
  std::vector<std::string_view> kinds;
  for (const Kind kind : kKinds) {
    if (row.in[static_cast<std::size_t>(kind)]) kinds.push_back(to_string(kind));
  }
  text += ", \"in\": " + json_list(kinds, quoted) + ", \"signs\": " + quoted(signs_of(row));
  text += ", \"many\": " + std::string(row.many ? "true" : "false");
  text += ", \"fields\": " + json_list(row.fields, [](const Field& field) { return json_of(field); });
  for (const auto& [name, value] : notes_of(row)) {
    if (!value.empty()) text += ", " + quoted(name) + ": " + quoted(value);
  }
  return text + "}";
}

std::string code(std::string_view text) { return text.empty() ? std::string("-") : "`" + std::string(text) + "`"; }

// What Markdown would take for a tag, escaped.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<' || c == '|') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string manual_text() {
  std::string text = "The words of the language. docs/language.md says what is verified, GRAMMAR.abnf how each is spelled.\n";
  for (const Row& row : table()) {
    text += "\n" + head_of(row) + fields_text(row);
    for (const auto& [name, value] : notes_of(row)) {
      if (!value.empty()) text += "  " + padded(name, 15) + value + "\n";
    }
  }
  text += "\nThe actions of a node, as the lines of a plan\n";
  for (const Action& action : actions()) {
    text += "\n" + std::string(action.name) + ": " + std::string(action.says) + "\n" + std::string(action.lines);
  }
  return text;
}

std::string manual_json() {
  std::string text = "{\n  \"limits\": {\"text_bytes\": " + std::to_string(kMaxTextBytes) + ", \"statements\": " + std::to_string(kMaxStatements) +
                     ", \"line_bytes\": " + std::to_string(kMaxLineBytes) + ", \"name_bytes\": " + std::to_string(kMaxName) +
                     ", \"generation\": " + std::to_string(kMaxGeneration) + "},\n  \"words\": [\n";
  for (const Row& row : table()) text += json_of(row) + (&row == &table().back() ? "\n" : ",\n");
  text += "  ],\n  \"actions\": [\n";
  for (const Action& action : actions()) {
    text += "    {\"name\": " + quoted(action.name) + ", \"says\": " + quoted(action.says) + ", \"lines\": " + quoted(action.lines) + "}" +
            (&action == &actions().back() ? "\n" : ",\n");
  }
  return text + "  ]\n}\n";
}

std::string primitives_table() {
  std::string text = "| primitive | signs | needs | uses | worker | `+` makes | `-` | costs |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const Row& row : table()) {
    if (row.word < kFirstPrimitive) continue;
    const std::string needs = names_of(row.needs), uses = names_of(row.uses);
    text += "| " + code(row.name) + " | " + code(signs_of(row)) + " | " + (needs.empty() ? "-" : needs) + " | " + (uses.empty() ? "-" : uses) + " | " +
            std::string(to_string(row.worker)) + " | " + plain(row.makes) + " | " + plain(row.unmakes) + " | " + plain(row.costs) + " |\n";
  }
  return text;
}

std::string manual_markdown() {
  std::string text =
      "# The words of the language\n\nMade from [policy-lang/table.cc](../policy-lang/table.cc); `mvm primitives` prints the same, with `--json` for machines. What is\n"
      "verified stands in [language.md](language.md), the grammar in [GRAMMAR.abnf](../policy-lang/GRAMMAR.abnf).\n\n## Primitives\n\n" +
      primitives_table() + "\n## Fields\n\n";
  for (const Row& row : table()) {
    if (row.fields.empty()) continue;
    text += "### " + code(std::string(row.name) + subject_of(row)) + "\n\nStands in: " + kinds_of(row) +
            (row.many ? "; several times" : "") + ".\n\n| field | value | meaning |\n| --- | --- | --- |\n";
    for (const Field& field : row.fields) {
      text += "| " + code(field.name) + " | " + plain(describe(field)) + " | " + plain(field.help) + " |\n";
    }
    text += "\n";
  }
  text += "## The actions of a node, as the lines of a plan\n";
  for (const Action& action : actions()) {
    text += "\n### " + std::string(action.name) + "\n\n" + std::string(action.says) + "\n\n```\n" + std::string(action.lines) + "```\n";
  }
  return text;
}

std::string fuzz_dictionary(Kind kind) {
  std::vector<std::string> entries = {"mvm-" + std::string(to_string(kind)) + (kind == Kind::kManifest ? " 1\\x0aflake " : " 1\\x0anode "), "\\x0aend"};
  const auto add = [&](std::string_view entry) { entries.emplace_back(entry); };
  if (kind != Kind::kPolicy && kind != Kind::kManifest) add("\\x0ageneration ");
  if (kind == Kind::kManifest) add("github:acme/images/4f2c#worker");
  if (kind == Kind::kState || kind == Kind::kPlan) add("\\x0adesired ");
  if (kind == Kind::kPlan) add("\\x0abase ");
  for (const Row& row : table()) {
    if (!row.in[static_cast<std::size_t>(kind)]) continue;
    const std::string before = kind == Kind::kPlan ? signs_of(row).substr(0, 1) + " " : "";
    add("\\x0a" + before + std::string(row.name) + " ");
    for (const Field& field : row.fields) {
      add(" " + std::string(field.name) + "=");
      for (const std::string_view word : field.words) add(word);
      if (field.kind == FieldKind::kNumber) add(std::to_string(field.max));
    }
    if (kind == Kind::kPlan && !row.moves.empty()) {
      add("\\x0a~ " + std::string(row.name) + " ");
      for (const std::string_view word : moved_field(row).words) add(std::string(word) + ">");
      if (moved_field(row).words.empty()) add("1>2");
    }
  }
  for (const std::string_view spelled : {kNoneText, kColdText, kSnapshotPrefix, kPublicKeyPrefix, kDigestPrefix}) add(spelled);
  for (const char* each : {"acme/workers/i-a3f7b2c1", "10.240.3.0/24", "acme/1", "-", "~", "#"}) add(each);
  std::ranges::sort(entries);
  const auto repeated = std::ranges::unique(entries);
  entries.erase(repeated.begin(), repeated.end());
  std::string text = "# Made from the table (policy-lang/manual.cc); held to it by tests/policy-lang/manual_test.cc.\n";
  for (const std::string& entry : entries) text += "\"" + entry + "\"\n";
  return text;
}

}  // namespace mvm::lang
