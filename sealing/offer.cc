#include "sealing/offer.h"

#include "sealing/bytes.h"

namespace mvm::sealing {
namespace {

constexpr std::string_view kMagic = "mvmoffr1";

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read an offer", what); }

}  // namespace

std::vector<std::uint8_t> to_be_signed(const Offer& offer) {
  Writer writer;
  writer.text(kMagic);
  writer.number(offer.start);
  writer.name(offer.node);
  writer.bytes(offer.key);
  return std::move(writer).done();
}

Result<SignedOffer> read_offer(Bytes bytes) {
  if (bytes.size() != kOfferBytes) return malformed("not 144 bytes");
  Reader reader(bytes);
  if (!reader.takes(kMagic)) return malformed("it does not begin as one");
  SignedOffer out;
  out.offer.start = reader.number<std::uint64_t>();
  if (out.offer.start == 0) return malformed("a start that is none");
  const auto node = reader.name();
  if (!node) return malformed("a name that is none");
  out.offer.node = *node;
  out.offer.key = reader.array<32>();
  out.signature = reader.array<64>();
  return out;
}

}  // namespace mvm::sealing
