#include "net-verify/verify.h"

#include <algorithm>

#include "net-verify/check/structure.h"
#include "net-verify/walk/walker.h"

namespace mvm::verify {

Report verify(const Snapshot& snapshot, const Expected& expected, std::optional<std::uint16_t> only, std::uint64_t most) {
  Report report;
  check_structure(snapshot, expected, report);
  Walker(snapshot, expected, most).run(report);
  if (!only) return report;
  const auto of_another = [&](const auto& one) { return !one.nets.empty() && std::ranges::find(one.nets, *only) == one.nets.end(); };
  std::erase_if(report.findings, of_another);
  std::erase_if(report.cannot_tell, of_another);
  return report;
}

}  // namespace mvm::verify
