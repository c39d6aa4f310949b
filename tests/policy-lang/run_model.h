// A host that has names and nothing else: what the kernel and the file system would say to each statement of a plan. It knows
// no rule of the verifier; it refuses what a real host could not do: a link, a uid or a directory that is there already,
// a thing taken away under another, a microVM without what it is started on. Used to show that no plan that verifies fails so.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "policy-lang/statement.h"

namespace mvm::lang::test {

class RunModel {
 public:
  explicit RunModel(const Document& policy);
  // Puts there what stands in a state. Why no host can be in it, or "".
  [[nodiscard]] std::string stand(const Document& state);
  // Why it cannot be done, or "" where it was done.
  [[nodiscard]] std::string run(const Statement& statement);

 private:
  using Thing = std::pair<Word, Subject>;
  [[nodiscard]] const Statement* find(Word word, const Subject& subject) const;
  [[nodiscard]] std::string make(const Statement& statement);
  [[nodiscard]] std::string make_tap(const Statement& tap);
  [[nodiscard]] std::string make_jail(const Statement& jail) const;
  [[nodiscard]] bool has_snapshot(const Statement& base) const;
  [[nodiscard]] std::string remove(const Statement& statement);
  [[nodiscard]] std::string move(const Statement& statement);
  [[nodiscard]] std::string in_use(const Statement& statement) const;
  [[nodiscard]] std::string link_of(const Statement& statement) const;
  [[nodiscard]] std::uint64_t uid_of(const Statement& tap) const;

  std::uint64_t first_uid_ = 0;
  Subnet cidr_ = {};
  std::map<Thing, Statement> things_;
  std::set<std::string> links_;
  std::set<std::uint64_t> uids_;
};

}  // namespace mvm::lang::test
