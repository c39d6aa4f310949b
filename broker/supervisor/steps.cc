#include "broker/supervisor/steps.h"

namespace mvm::supervisor {

using lang::Worker;
using wire::Op;

std::vector<Step> steps_of(const lang::Statement& statement) {
  if (makes_snapshot(statement)) return {{Worker::kJail, Op::kDump}, {Worker::kSnapshot, Op::kMake}, {Worker::kJail, Op::kClear}};
  if (boots_from_snapshot(statement)) {
    return {{Worker::kStorage, Op::kOpenImage}, {Worker::kSnapshot, Op::kHandOver}, {Worker::kJail, Op::kMake}, {Worker::kSnapshot, Op::kSpend}, {Worker::kJail, Op::kRelease}};
  }
  if (statement.word == lang::Word::kJail && statement.sign == lang::Sign::kAdd) return {{Worker::kStorage, Op::kOpenImage}, {Worker::kJail, Op::kMake}};
  if (parks_guest(statement)) return {{Worker::kJail, Op::kConnect}, {Worker::kGuest, Op::kMove}, {Worker::kJail, Op::kInflate}};
  if (statement.word == lang::Word::kGuest) return {{Worker::kJail, Op::kDeflate}, {Worker::kJail, Op::kConnect}, {Worker::kGuest, Op::kMove}};
  return {{lang::row(statement.word).worker, wire::op_of(statement.sign)}};
}

}  // namespace mvm::supervisor
