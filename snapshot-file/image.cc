#include "snapshot-file/image.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace mvm::snapshot_file {
namespace {

std::unexpected<Error> denied(const char* what) { return fail(Errc::kDenied, "open a snapshot's memory", what); }

Status write_at(int fd, std::span<const std::uint8_t> bytes, std::uint64_t at) {
  while (!bytes.empty()) {
    const ssize_t wrote = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    const int saved = errno;
    if (wrote < 0 && saved == EINTR) continue;
    if (wrote < 0) return fail_errno(saved, "write", "memory");
    bytes = bytes.subspan(static_cast<std::size_t>(wrote));
    at += static_cast<std::uint64_t>(wrote);
  }
  return {};
}

}  // namespace

Image::Image(Reader own, std::optional<Reader> base)
    : own_(std::move(own)), base_(std::move(base)), pages_(base_ ? own_.header().chunk / kPage : 0), data_(base_ ? own_.header().chunk : 0) {}

Result<Image> Image::make(Reader own, std::optional<Reader> base) {
  if (own.header().kind == Kind::kBase) return denied("a base, which is nobody's");
  const bool wanted = own.header().kind == Kind::kDiff;
  if (wanted != base.has_value()) return denied(wanted ? "a diff without its base" : "a base that nothing stands on");
  if (base) {
    if (auto ok = check_base(own.header(), *base); !ok) return forward(std::move(ok.error()));
  }
  return Image(std::move(own), std::move(base));
}

Result<Unpacked> Image::chunk(std::uint32_t number) {
  if (!base_) return own_.chunk(number);
  if (!own_.holds(number)) return base_->chunk(number);
  const auto own = own_.chunk(number);
  if (!own || std::ranges::find(own->pages, PageIs::kInBase) == own->pages.end()) return own;
  return merged(number, *own);
}

Result<Unpacked> Image::merged(std::uint32_t number, const Unpacked& own) {
  const auto under = base_->chunk(number);
  if (!under) return under;
  const std::uint8_t *own_at = own.data.data(), *under_at = under->data.data();
  std::uint8_t* to = data_.data();
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    const bool from_base = own.pages[i] == PageIs::kInBase;
    pages_[i] = from_base ? under->pages[i] : own.pages[i];
    if (pages_[i] == PageIs::kData) to = std::copy_n(from_base ? under_at : own_at, kPage, to);
    if (own.pages[i] == PageIs::kData) own_at += kPage;
    if (under->pages[i] == PageIs::kData) under_at += kPage;
  }
  return Unpacked{pages_, std::span<const std::uint8_t>(data_).first(static_cast<std::size_t>(to - data_.data()))};
}

Status write_memory(Image& image, int out) {
  const Header& header = image.header();
  if (ftruncate(out, static_cast<off_t>(header.memory)) != 0) return fail_errno(errno, "make room", "memory");
  for (std::uint32_t i = 0; i < header.memory_chunks(); ++i) {
    if (!image.holds(i)) continue;
    const auto chunk = image.chunk(i);
    if (!chunk) return forward(chunk.error());
    const std::uint8_t* data = chunk->data.data();
    for (std::size_t page = 0; page < chunk->pages.size();) {
      const auto same = std::find_if(chunk->pages.begin() + static_cast<std::ptrdiff_t>(page), chunk->pages.end(), [&](PageIs other) { return other != chunk->pages[page]; });
      const std::size_t run = static_cast<std::size_t>(same - chunk->pages.begin()) - page;
      if (chunk->pages[page] == PageIs::kData) {
        if (auto ok = write_at(out, {data, run * kPage}, std::uint64_t{i} * header.chunk + page * kPage); !ok) return ok;
        data += run * kPage;
      }
      page += run;
    }
  }
  return {};
}

}  // namespace mvm::snapshot_file
