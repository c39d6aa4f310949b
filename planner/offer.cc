#include "planner/offer.h"

#include <fcntl.h>

#include <cerrno>
#include <charconv>

#include "planner/files.h"

namespace mvm::planner {
namespace {

constexpr std::size_t kMaxStartText = 21;  // 2^64 - 1 in decimal, and a line's end
constexpr unsigned kStartsMode = 0600;

std::string_view text_of(sealing::Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Result<std::uint64_t> newest_seen(const std::string& file) {
  const auto text = read_file(AT_FDCWD, file, kMaxStartText);
  if (!text && text.error().sys_errno == ENOENT) return 0;
  if (!text) return forward(text.error());
  std::uint64_t seen = 0;
  const auto [end, wrong] = std::from_chars(text->data(), text->data() + text->size(), seen);
  if (wrong != std::errc() || std::string_view(end, text->data() + text->size()) != "\n") {
    return fail(Errc::kMalformed, "read the newest start that was seen", file);
  }
  return seen;
}

}  // namespace

Result<sealing::Offer> check_offer(sealing::Bytes bytes, const PublicKey& identity, const Name& node) {
  const auto read = sealing::read_offer(bytes);
  if (!read) return forward(read.error());
  if (!signed_by(identity, text_of(bytes.first(sealing::kSignedOfferBytes)), read->signature)) {
    return fail(Errc::kDenied, "trust an offer that this identity has not signed");
  }
  if (read->offer.node != node) return fail(Errc::kDenied, "seal to another node", std::string(read->offer.node.view()));
  return read->offer;
}

Status note_start(const sealing::Offer& offer, const std::string& file) {
  const auto seen = newest_seen(file);
  if (!seen) return forward(seen.error());
  if (offer.start < *seen) {
    return fail(Errc::kDenied, "seal to start " + std::to_string(offer.start) + " of hostd, for start " + std::to_string(*seen) + " was seen");
  }
  if (offer.start == *seen) return {};
  return replace_file(file, std::to_string(offer.start) + "\n", kStartsMode);
}

}  // namespace mvm::planner
