// Writes the audit log: every start, plan, verdict and statement, one line each (base/audit_chain.h).
// Owns the directory `audit`: `log`, append-only, and `head`. A line that cannot be written is fatal: nothing happens here
// that is not in the log. Proven by: tests/supervisor/audit_test.cc.
#pragma once

#include <string_view>

#include "base/audit_chain.h"
#include "base/error.h"
#include "base/fd.h"

namespace mvm::supervisor {

class Audit {
 public:
  // Follows the chain from the head to the end. A part of a line at the end, left by a crash, is cut off. kCorrupt: the log
  // is shorter than its head knows, or does not follow from it.
  [[nodiscard]] static Result<Audit> open(Fd directory);

  [[nodiscard]] Status append(std::string_view what);
  // Makes what was appended outlive a power cut, and moves the head up to it.
  [[nodiscard]] Status sync();

 private:
  Audit(Fd directory, Fd log, AuditHead head) : directory_(std::move(directory)), log_(std::move(log)), head_(head) {}
  Fd directory_;
  Fd log_;
  AuditHead head_;
};

// 2026-01-31T23:59:59Z
[[nodiscard]] std::string utc_time(std::int64_t seconds_since_epoch);

}  // namespace mvm::supervisor
