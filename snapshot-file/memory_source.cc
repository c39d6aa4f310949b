#include "snapshot-file/memory_source.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "snapshot-file/header.h"

namespace mvm::snapshot_file {
namespace {

// Documentation/admin-guide/mm/pagemap.rst: 64 bits a page.
constexpr std::uint64_t kPresent = 1ULL << 63, kSwapped = 1ULL << 62;
constexpr std::size_t kPagesAtOnce = 8192;

}  // namespace

Status read_at(int fd, std::span<std::uint8_t> into, std::uint64_t at, const char* what) {
  while (!into.empty()) {
    const ssize_t got = pread(fd, into.data(), into.size(), static_cast<off_t>(at));
    const int saved = errno;
    if (got < 0 && saved == EINTR) continue;
    if (got < 0) return fail_errno(saved, "read", what);
    if (got == 0) return fail(Errc::kMalformed, "seal a snapshot", what);
    into = into.subspan(static_cast<std::size_t>(got));
    at += static_cast<std::uint64_t>(got);
  }
  return {};
}

Status MemorySource::check(std::uint32_t chunk) const {
  const auto malformed = [] { return fail(Errc::kMalformed, "seal a snapshot", "memory"); };
  if (live_ == nullptr) {
    struct stat status {};
    if (fstat(file_, &status) != 0) return fail_errno(errno, "measure", "memory");
    return static_cast<std::uint64_t>(status.st_size) == size_ ? Status{} : malformed();
  }
  std::uint64_t left = size_;
  for (const Stretch& each : live_->stretches) {
    if (each.bytes > left || each.bytes % chunk != 0 || each.at % kPage != 0) return malformed();
    left -= each.bytes;
  }
  return left == 0 ? Status{} : malformed();
}

Result<bool> MemorySource::hole(std::uint64_t at, std::uint64_t length) {
  if (live_ == nullptr) {
    if (auto found = find_data(at); !found) return forward(std::move(found.error()));
    return begin_ >= at + length;
  }
  if (live_->pagemap < 0) return false;
  if (auto found = look_up_pages(at); !found) return forward(std::move(found.error()));
  const auto there = std::span(pages_).subspan(at / kPage - first_page_, length / kPage);
  return std::ranges::none_of(there, [](std::uint64_t entry) { return (entry & (kPresent | kSwapped)) != 0; });
}

Status MemorySource::read(std::span<std::uint8_t> into, std::uint64_t at) const {
  return live_ == nullptr ? read_at(file_, into, at, "memory") : read_at(live_->memory, into, address_of(at).at, "memory");
}

Status MemorySource::give_back(std::uint64_t from, std::uint64_t to) const {
  if (live_ != nullptr) return {};
  if (fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(from), static_cast<off_t>(to - from)) == 0) return {};
  return fail_errno(errno, "free what is sealed", "memory");
}

// lseek(2), SEEK_DATA: one extent after the other, as the image is gone through.
Status MemorySource::find_data(std::uint64_t at) {
  while (end_ <= at) {
    const off_t begin = lseek(file_, static_cast<off_t>(at), SEEK_DATA);
    const int saved = errno;
    if (begin < 0 && saved != ENXIO) return fail_errno(saved, "find data", "memory");
    if (begin < 0) {
      begin_ = end_ = size_;  // no data from here on
      return {};
    }
    const off_t end = lseek(file_, begin, SEEK_HOLE);
    if (end < 0) return fail_errno(errno, "find a hole", "memory");
    begin_ = static_cast<std::uint64_t>(begin);
    end_ = static_cast<std::uint64_t>(end);
  }
  return {};
}

Status MemorySource::look_up_pages(std::uint64_t at) {
  const std::uint64_t page = at / kPage;
  if (page - first_page_ < pages_.size()) return {};
  const Stretch from = address_of(at);
  pages_.resize(std::min<std::uint64_t>(kPagesAtOnce, from.bytes / kPage));
  first_page_ = page;
  const std::span<std::uint8_t> raw(reinterpret_cast<std::uint8_t*>(pages_.data()), pages_.size() * sizeof pages_[0]);
  return read_at(live_->pagemap, raw, from.at / kPage * sizeof pages_[0], "memory's pages");
}

Stretch MemorySource::address_of(std::uint64_t at) const {
  for (const Stretch& each : live_->stretches) {
    if (at < each.bytes) return {each.at + at, each.bytes - at};
    at -= each.bytes;
  }
  return {};
}

}  // namespace mvm::snapshot_file
