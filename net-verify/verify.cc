#include "net-verify/verify.h"

#include <algorithm>

#include "net-verify/check/structure.h"
#include "net-verify/walk/walker.h"

namespace mvm::verify {

Report verify(const Snapshot& snapshot, const Expected& expected, std::optional<std::uint16_t> only, std::uint64_t most) {
  Report report;
  check_structure(snapshot, expected, report);
  Walker(snapshot, expected, most).run(report);
  if (only)
    std::erase_if(report.findings, [&](const Finding& finding) { return !finding.nets.empty() && std::ranges::find(finding.nets, *only) == finding.nets.end(); });
  return report;
}

}  // namespace mvm::verify
