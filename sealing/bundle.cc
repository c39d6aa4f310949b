#include "sealing/bundle.h"

#include "sealing/bytes.h"

namespace mvm::sealing {
namespace {

constexpr std::string_view kMagic = "mvmkeys1";
constexpr std::size_t kHeadBytes = kMagic.size() + sizeof(std::uint32_t);

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read a bundle of envelopes", what); }

}  // namespace

Result<std::vector<std::uint8_t>> write_bundle(std::span<const std::vector<std::uint8_t>> envelopes) {
  if (envelopes.empty()) return std::vector<std::uint8_t>{};
  std::vector<Envelope> sorted;
  std::size_t size = kHeadBytes;
  for (const auto& bytes : envelopes) {
    auto envelope = read_envelope(bytes);
    if (!envelope) return forward(envelope.error());
    sorted.push_back(*envelope);
    size += sizeof(std::uint32_t) + bytes.size();
  }
  if (envelopes.size() > kMaxBundledEnvelopes || size > kMaxBundle) return fail(Errc::kLimit, "bundle envelopes");
  std::ranges::sort(sorted, {}, &Envelope::label);
  if (std::ranges::adjacent_find(sorted, {}, &Envelope::label) != sorted.end()) return fail(Errc::kExists, "bundle two envelopes with one label");
  Writer writer;
  writer.text(kMagic);
  writer.number(static_cast<std::uint32_t>(sorted.size()));
  for (const Envelope& envelope : sorted) {
    writer.number(static_cast<std::uint32_t>(envelope.whole.size()));
    writer.bytes(envelope.whole);
  }
  return std::move(writer).done();
}

Result<std::vector<Envelope>> read_bundle(Bytes bytes) {
  std::vector<Envelope> out;
  if (bytes.empty()) return out;
  if (bytes.size() > kMaxBundle) return fail(Errc::kLimit, "read a bundle of envelopes");
  if (bytes.size() < kHeadBytes) return malformed("too short");
  Reader reader(bytes);
  if (!reader.takes(kMagic)) return malformed("it does not begin as one");
  const std::size_t count = reader.number<std::uint32_t>();
  if (count == 0) return malformed("a bundle of nothing");
  if (count > kMaxBundledEnvelopes) return fail(Errc::kLimit, "read a bundle of envelopes");
  for (std::size_t i = 0; i < count; ++i) {
    if (reader.left() < sizeof(std::uint32_t)) return malformed("too short");
    const std::size_t length = reader.number<std::uint32_t>();
    if (length > reader.left()) return malformed("a length beyond its end");
    auto envelope = read_envelope(reader.take(length));
    if (!envelope) return forward(envelope.error());
    if (!out.empty() && !(out.back().label < envelope->label)) return malformed("envelopes out of order, or twice");
    out.push_back(*envelope);
  }
  if (reader.left() != 0) return malformed("bytes behind its end");
  return out;
}

}  // namespace mvm::sealing
