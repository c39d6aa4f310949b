// What is: the lines that hold on this host, in memory. Pure. The records (records.h) are its copy on disk.
// Changed only by a statement that a worker has confirmed. Proven by: tests/supervisor/records_test.cc.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "policy-lang/statement.h"

namespace mvm::supervisor {

class HostState {
 public:
  using Key = std::pair<Subject, lang::Word>;

  lang::Header header;  // node, generation and desired of the last plan; `base` unused

  [[nodiscard]] lang::Document document() const;
  [[nodiscard]] Digest digest() const;
  [[nodiscard]] const lang::Statement* find(const Subject& subject, lang::Word word) const;
  [[nodiscard]] std::vector<lang::Statement> lines_of(const Subject& subject) const;
  [[nodiscard]] const std::map<Key, lang::Statement>& lines() const { return lines_; }

  // Carries a plan's statement out: '+' puts its line, '-' takes it away, '~' sets the state that it moves to.
  void carry_out(const lang::Statement& statement);
  void put(const lang::Statement& line);
  void drop(const Subject& subject, lang::Word word);

  // Whether the statement could be carried out now, as V2 says it of `needs` and `uses`, and of a base. For going back, and for going on
  // after a crash, where no verified plan says so.
  [[nodiscard]] bool has_what_it_needs(const lang::Statement& make) const;
  // Of all jails.
  [[nodiscard]] std::set<Digest> images() const;
  [[nodiscard]] bool nothing_stands_on(const Subject& subject, lang::Word word) const;

 private:
  [[nodiscard]] bool tenant_has(const Name& tenant, lang::Word word) const;
  [[nodiscard]] bool pool_has_diff(const Subject& pool) const;
  std::map<Key, lang::Statement> lines_;  // in canonical order
};

}  // namespace mvm::supervisor
