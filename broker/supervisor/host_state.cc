#include "broker/supervisor/host_state.h"

#include <algorithm>

#include "policy-lang/print.h"

namespace mvm::supervisor {

using lang::Row;
using lang::Sign;
using lang::Statement;
using lang::Word;

lang::Document HostState::document() const {
  lang::Document document{lang::Kind::kState, header, {}};
  document.header.base = {};
  document.statements.reserve(lines_.size());
  for (const auto& [key, line] : lines_) document.statements.push_back(line);
  return document;
}

Digest HostState::digest() const { return lang::text_digest(document()); }

const Statement* HostState::find(const Subject& subject, Word word) const {
  const auto found = lines_.find({subject, word});
  return found == lines_.end() ? nullptr : &found->second;
}

std::vector<Statement> HostState::lines_of(const Subject& subject) const {
  std::vector<Statement> lines;
  for (auto at = lines_.lower_bound({subject, Word{}}); at != lines_.end() && at->first.first == subject; ++at) {
    lines.push_back(at->second);
  }
  return lines;
}

void HostState::carry_out(const Statement& statement) {
  if (statement.sign == Sign::kAdd) return put(statement);
  if (statement.sign == Sign::kRemove) return drop(statement.subject, statement.word);
  const Row& moving = lang::row(statement.word);
  const auto moved = lines_.find({statement.subject, lang::moved_word(moving)});
  if (moved == lines_.end()) return;
  moved->second.numbers[lang::field_index(lang::moved_word(moving), moving.moves)] = statement.numbers[1];
}

void HostState::put(const Statement& line) {
  Statement unsigned_line = line;
  unsigned_line.sign = Sign::kNone;
  lines_.insert_or_assign({line.subject, line.word}, unsigned_line);
}

void HostState::drop(const Subject& subject, Word word) { lines_.erase({subject, word}); }

// Whether the tenant or any of its instances has a line of that word.
bool HostState::tenant_has(const Name& tenant, Word word) const {
  for (auto at = lines_.lower_bound({tenant_subject(tenant), Word{}}); at != lines_.end() && at->first.first.tenant == tenant; ++at) {
    if (at->first.second == word) return true;
  }
  return false;
}

bool HostState::has_what_it_needs(const Statement& make) const {
  return std::ranges::all_of(lang::table(), [&](const Row& row) {
    if ((lang::row(make.word).needs & bit(row.word)) == 0) return true;
    const Subject holder = row.subject == SubjectKind::kTenant ? tenant_subject(make.subject.tenant) : make.subject;
    return find(holder, row.word) != nullptr;
  });
}

std::set<Digest> HostState::images() const {
  std::set<Digest> images;
  for (const auto& [key, line] : lines_) {
    if (line.word == Word::kJail) images.insert(lang::jail_view(line).image);
  }
  return images;
}

// A pool's base stays for its diffs.
bool HostState::pool_has_diff(const Subject& pool) const {
  for (auto at = lines_.lower_bound({pool, Word{}}); at != lines_.end() && at->first.first.tenant == pool.tenant && at->first.first.pool == pool.pool; ++at) {
    if (lang::is_diff(at->second)) return true;
  }
  return false;
}

bool HostState::nothing_stands_on(const Subject& subject, Word word) const {
  if (word == Word::kBase) return !pool_has_diff(subject);
  return std::ranges::none_of(lang::table(), [&](const Row& row) {
    if (((row.needs | row.uses) & bit(word)) == 0) return false;
    return subject.kind == SubjectKind::kTenant ? tenant_has(subject.tenant, row.word) : find(subject, row.word) != nullptr;
  });
}

}  // namespace mvm::supervisor
