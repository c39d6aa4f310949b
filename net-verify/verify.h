// The whole question: what was read against what there should be. Pure.
#pragma once

#include <optional>

#include "net-verify/model/expected.h"
#include "net-verify/model/snapshot.h"
#include "net-verify/report.h"
#include "net-verify/walk/work.h"

namespace mvm::verify {

// Of one tenant where a net is given: what it is about, or its taps reach, or is found to reach it; and what cannot be told of its
// own packets. What cannot be told of another tenant's is left out.
// `most`: steps for the whole question; what costs more is an answer that we cannot tell.
[[nodiscard]] Report verify(const Snapshot& snapshot, const Expected& expected, std::optional<std::uint16_t> only = std::nullopt,
                            std::uint64_t most = kMaxWork);

}  // namespace mvm::verify
