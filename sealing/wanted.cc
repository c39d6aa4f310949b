#include "sealing/wanted.h"

#include "sealing/bytes.h"

namespace mvm::sealing {
namespace {

constexpr std::string_view kMagic = "mvmwant1";

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read what is wanted", what); }

}  // namespace

Result<std::vector<std::uint8_t>> write_wanted(Bytes offer, std::uint64_t generation, std::span<const Label> labels) {
  const auto read = read_offer(offer);
  if (!read) return forward(read.error());
  if (labels.size() > kMaxWantedLabels) return fail(Errc::kLimit, "write what is wanted");
  if (generation == 0 || generation > kMaxGeneration) return fail(Errc::kMalformed, "write what is wanted", "a generation out of range");
  std::vector<Label> sorted(labels.begin(), labels.end());
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) return fail(Errc::kExists, "want one thing twice");
  Writer writer;
  writer.text(kMagic);
  writer.bytes(offer);
  writer.number(generation);
  writer.number(static_cast<std::uint32_t>(sorted.size()));
  for (const Label& label : sorted) {
    if (auto sound = check_label(label); !sound) return forward(sound.error());
    if (label.node != read->offer.node || label.generation != generation) return fail(Errc::kMalformed, "write what is wanted", "a label of another node or generation");
    writer.number(static_cast<std::uint8_t>(label.purpose));
    writer.number(std::uint8_t{0});
    writer.number(std::uint16_t{0});
    writer.number(label.version);
    writer.name(label.tenant);
    writer.bytes(label.digest.bytes);
  }
  return std::move(writer).done();
}

Result<Wanted> read_wanted(Bytes bytes) {
  if (bytes.size() > kMaxWanted) return fail(Errc::kLimit, "read what is wanted");
  if (bytes.size() < kWantedHeadBytes) return malformed("too short");
  Reader reader(bytes);
  if (!reader.takes(kMagic)) return malformed("it does not begin as that");
  Wanted out;
  out.offer = reader.take(kOfferBytes);
  const auto offer = read_offer(out.offer);
  if (!offer) return forward(offer.error());
  out.generation = reader.number<std::uint64_t>();
  const std::size_t count = reader.number<std::uint32_t>();
  if (count * kWantedLabelBytes != reader.left()) return malformed("a number of labels that is not its own");
  if (out.generation == 0 || out.generation > kMaxGeneration) return malformed("a generation out of range");
  for (std::size_t i = 0; i < count; ++i) {
    Label label;
    label.node = offer->offer.node;
    label.generation = out.generation;
    label.purpose = static_cast<Purpose>(reader.number<std::uint8_t>());
    if (reader.number<std::uint8_t>() != 0 || reader.number<std::uint16_t>() != 0) return malformed("bytes that must be zero");
    label.version = reader.number<std::uint32_t>();
    const auto tenant = reader.name();
    if (!tenant) return malformed("a name that is none");
    label.tenant = *tenant;
    label.digest.bytes = reader.array<32>();
    if (auto sound = check_label(label); !sound) return forward(sound.error());
    if (!out.labels.empty() && !(out.labels.back() < label)) return malformed("labels out of order, or twice");
    out.labels.push_back(label);
  }
  return out;
}

}  // namespace mvm::sealing
