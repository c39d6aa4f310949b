// An offer: one start of a node's hostd, by its fresh X25519 public key, signed by the node's identity (Ed25519). Who seals to a node checks
// the signature against the identity that it knows, and that the start is no older than the newest that it has seen.
// docs/keys.md has the format byte for byte. Pure bytes. Proven by: tests/sealing/envelope_test.cc, fuzz/offer_fuzz.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sealing/envelope.h"

namespace mvm::sealing {

inline constexpr std::size_t kOfferBytes = 144;
inline constexpr std::size_t kSignedOfferBytes = 80;

struct Offer {
  Name node;
  std::uint64_t start = 0;  // counts the starts of hostd on this node, from 1
  PublicKey key{};          // X25519
  bool operator==(const Offer&) const = default;
};
struct SignedOffer {
  Offer offer;
  Signature signature{};  // over the first kSignedOfferBytes
};

// What has to be signed; the 64 bytes of the signature come behind it, and that is the offer.
[[nodiscard]] std::vector<std::uint8_t> to_be_signed(const Offer& offer);
// kMalformed where it is not of the format. The signature is still to be checked, over the first kSignedOfferBytes of `bytes`.
[[nodiscard]] Result<SignedOffer> read_offer(Bytes bytes);

}  // namespace mvm::sealing
