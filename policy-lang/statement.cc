#include "policy-lang/statement.h"

#include <tuple>

namespace mvm::lang {

bool canonical_less(const Statement& left, const Statement& right) {
  return std::tie(left.subject, left.word, left) < std::tie(right.subject, right.word, right);
}

}  // namespace mvm::lang
