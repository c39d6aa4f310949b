#include "cli/diff_view.h"

#include <algorithm>
#include <tuple>

#include "policy-lang/print.h"

namespace mvm::cli {
namespace {

using lang::Statement;

// Statements that are about the same thing; a plan may hold several (a removal, then an addition).
auto thing(const Statement& s) { return std::tie(s.subject, s.word, s.sign); }

std::vector<Statement> sorted(const lang::Document& document) {
  std::vector<Statement> statements = document.statements;
  std::ranges::stable_sort(statements, [](const Statement& a, const Statement& b) {
    return std::tie(a.subject, a.word, a.sign, a) < std::tie(b.subject, b.word, b.sign, b);
  });
  return statements;
}

void tokens_into(const Statement& statement, std::vector<std::string>& tokens) {
  const std::string line = lang::print(statement);
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    tokens.push_back(line.substr(at, end - at));
    at = end + 1;
  }
}

// The statement after, with "old->" before each field that changed.
std::string changed_line(const Output& output, const Statement& before, const Statement& after) {
  std::vector<std::string> old_tokens, new_tokens;
  tokens_into(before, old_tokens);
  tokens_into(after, new_tokens);
  std::string line;
  for (std::size_t i = 0; i < new_tokens.size(); ++i) {
    if (!line.empty()) line += ' ';
    const std::size_t equals = new_tokens[i].find('=');
    if (i >= old_tokens.size() || old_tokens[i] == new_tokens[i] || equals == std::string::npos) {
      line += new_tokens[i];
      continue;
    }
    line += new_tokens[i].substr(0, equals + 1);
    line += tint(output, Tint::kRemove, old_tokens[i].substr(equals + 1)) + " -> ";
    line += tint(output, Tint::kAdd, new_tokens[i].substr(equals + 1));
  }
  return line;
}

std::string title(const Subject& subject) { return subject.kind == SubjectKind::kNone ? "(the node)" : to_string(subject); }

}  // namespace

Comparison compare(const lang::Document& before, const lang::Document& after) {
  Comparison comparison;
  const std::vector<Statement> left = sorted(before), right = sorted(after);
  auto l = left.begin();
  auto r = right.begin();
  while (l != left.end() || r != right.end()) {
    if (l != left.end() && r != right.end() && *l == *r) {
      ++l, ++r;
    } else if (l != left.end() && r != right.end() && thing(*l) == thing(*r)) {
      comparison.changes.push_back({*l++, *r++});
    } else if (r == right.end() || (l != left.end() && thing(*l) < thing(*r))) {
      comparison.changes.push_back({*l++, std::nullopt});
    } else {
      comparison.changes.push_back({std::nullopt, *r++});
    }
  }
  comparison.reordered = comparison.changes.empty() && before.statements != after.statements;
  return comparison;
}

std::string to_text(const Output& output, const Comparison& comparison) {
  std::string text;
  const Subject* last = nullptr;
  for (const Change& change : comparison.changes) {
    const Statement& shown = change.after ? *change.after : *change.before;
    if (last == nullptr || *last != shown.subject) text += tint(output, Tint::kDim, title(shown.subject)) + '\n';
    last = &shown.subject;
    if (change.before && change.after) {
      text += "  " + tint(output, Tint::kMove, "!") + ' ' + changed_line(output, *change.before, *change.after) + '\n';
    } else if (change.after) {
      text += "  " + tint(output, Tint::kAdd, "> " + lang::print(shown)) + '\n';
    } else {
      text += "  " + tint(output, Tint::kRemove, "< " + lang::print(shown)) + '\n';
    }
  }
  if (comparison.reordered) text += "the same statements, in another order\n";
  return text;
}

Json to_json(const Comparison& comparison) {
  Json json{{"same", comparison.same()}, {"reordered", comparison.reordered}, {"changes", Json::array()}};
  for (const Change& change : comparison.changes) {
    Json entry;
    entry["change"] = change.before && change.after ? "changed" : change.after ? "added" : "removed";
    if (change.before) entry["before"] = to_json(*change.before);
    if (change.after) entry["after"] = to_json(*change.after);
    json["changes"].push_back(std::move(entry));
  }
  return json;
}

}  // namespace mvm::cli
