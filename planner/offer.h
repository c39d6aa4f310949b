// What who seals looks at before he does: whether an offer is that node's, from a start that is not over.
// Proven by: tests/planner/keys_test.cc.
#pragma once

#include "base/error.h"
#include "base/ids.h"
#include "planner/signing.h"
#include "sealing/offer.h"

namespace mvm::planner {

// kDenied, with the reason: another node's, or not signed by that identity. kMalformed: no offer.
[[nodiscard]] Result<sealing::Offer> check_offer(sealing::Bytes bytes, const PublicKey& identity, const Name& node);

// Holds the offer's start against the newest that was seen, which `file` keeps, and notes it there. kDenied where it is older: what is
// sealed to it nobody opens any more, but he who has stolen that start's key.
[[nodiscard]] Status note_start(const sealing::Offer& offer, const std::string& file);

}  // namespace mvm::planner
