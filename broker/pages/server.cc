#include "broker/pages/server.h"

#include <algorithm>
#include <utility>

namespace mvm::pages {
namespace {

using snapshot_file::kPage;
using snapshot_file::PageIs;

constexpr int kMostPauses = 10'000;  // milliseconds, about, that what removes memory at the very end is waited for

}  // namespace

Server::Server(snapshot_file::Image image, Mappings mappings, Uffd uffd)
    : image_(std::move(image)), mappings_(std::move(mappings)), uffd_(std::move(uffd)), memory_(image_->header().memory), chunk_(image_->header().chunk),
      removed_(memory_ / kPage), in_(memory_ / chunk_), known_(memory_ / chunk_), huge_(mappings_.page == kHugePage ? kHugePage : 0) {}

Result<Server> Server::make(snapshot_file::Image image, HandOver hand_over) {
  auto uffd = Uffd::take(std::move(hand_over.userfaultfd));
  if (!uffd) return forward(std::move(uffd.error()));
  return Server(std::move(image), std::move(hand_over.mappings), std::move(*uffd));
}

Result<Served> Server::run(const std::function<void()>& first_served) {
  bool told = false;
  for (bool more = true; more;) {
    if (auto ok = read_events(); !ok) return forward(std::move(ok.error()));
    more = !waiting_.empty() || next_chunk();
    if (!more) break;
    const auto went = step();
    if (!went) return forward(went.error());
    if (*went == Went::kGone) {
      served_.end = End::kGone;
      image_.reset();
      return std::move(served_);
    }
    if (!std::exchange(told, true)) first_served();
  }
  image_.reset();  // the keys' last copies
  if (auto ok = let_go(); !ok) return forward(std::move(ok.error()));
  return std::move(served_);
}

Status Server::read_events() {
  const auto events = uffd_.events();
  if (!events) return forward(events.error());
  for (const uffd_msg& event : *events) {
    Status ok;
    if (event.event == UFFD_EVENT_PAGEFAULT) ok = note_fault(event.arg.pagefault.address);
    else if (event.event == UFFD_EVENT_REMOVE) ok = note_removal(event.arg.remove.start, event.arg.remove.end);
    else ok = fail(Errc::kMalformed, "read a userfaultfd", "an event that was not asked for");
    if (!ok) return ok;
  }
  return {};
}

Status Server::note_fault(std::uint64_t address) {
  const auto offset = offset_of(address);
  if (!offset) return fail(Errc::kMalformed, "read a userfaultfd", "a fault outside the memory");
  if (waiting_.size() == kMaxWaiting) return fail(Errc::kLimit, "read a userfaultfd", "faults");
  waiting_.push_back(*offset / mappings_.page * mappings_.page);
  ++served_.faults;
  return {};
}

Status Server::note_removal(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return fail(Errc::kMalformed, "read a userfaultfd", "a range");
  for (const Region& region : mappings_.regions) {
    const std::uint64_t from = std::max(begin, region.base), to = std::min(end, region.base + region.size);
    if (from >= to) continue;
    const std::uint64_t first = (from - region.base + region.offset) / kPage, last = (to - region.base + region.offset + kPage - 1) / kPage;
    std::fill(removed_.begin() + static_cast<std::ptrdiff_t>(first), removed_.begin() + static_cast<std::ptrdiff_t>(last), true);
  }
  return {};
}

std::optional<std::uint64_t> Server::offset_of(std::uint64_t address) const {
  for (const Region& region : mappings_.regions) {
    if (address >= region.base && address - region.base < region.size) return address - region.base + region.offset;
  }
  return std::nullopt;
}

// Regions cover all of the memory, so there is one.
std::uint64_t Server::address_of(std::uint64_t offset) const {
  const auto region = std::ranges::find_if(mappings_.regions, [&](const Region& each) { return offset >= each.offset && offset - each.offset < each.size; });
  return region->base + (offset - region->offset);
}

// A fault where there is one, but a chunk of the rest now and then.
Result<Server::Went> Server::step() {
  const auto chunk = next_chunk();
  if (!waiting_.empty() && (!chunk || faults_in_a_row_ < kFaultsInARow)) {
    ++faults_in_a_row_;
    return serve_fault();
  }
  faults_in_a_row_ = 0;
  return fill(*chunk, For::kLater);
}

// Those of the last wake, then all, in order. A chunk stays the next until it is in.
std::optional<std::uint32_t> Server::next_chunk() {
  const auto first = image_->first();
  while (first_at_ < first.size() && in_[first[first_at_]]) ++first_at_;
  if (first_at_ < first.size()) return first[first_at_];
  while (rest_at_ < in_.size() && in_[rest_at_]) ++rest_at_;
  return rest_at_ < in_.size() ? std::optional(rest_at_) : std::nullopt;
}

Result<Server::Went> Server::serve_fault() {
  const std::uint64_t offset = waiting_.front(), page = offset / kPage;
  const auto chunk = static_cast<std::uint32_t>(offset / chunk_);
  Result<Went> went = Went::kDone;
  if (removed_[page] && mappings_.page == kSmallPage) {
    went = put_run(page, 1, nullptr);
  } else {
    if (!known_[chunk] && served_.touched.size() < kMaxTouched) served_.touched.push_back(chunk);
    known_[chunk] = true;
    went = fill(chunk, For::kFault);
  }
  if (went && *went == Went::kDone) waiting_.erase(waiting_.begin());
  return went;
}

Result<Server::Went> Server::fill(std::uint32_t chunk, For what) {
  auto went = mappings_.page == kSmallPage ? fill_small(chunk, what) : fill_huge(chunk, what);
  return went;
}

Result<Server::Went> Server::fill_small(std::uint32_t chunk, For what) {
  if (what == For::kLater && !image_->holds(chunk)) {
    in_[chunk] = true;
    return Went::kDone;
  }
  const auto unpacked = image_->chunk(chunk);
  if (!unpacked) return forward(unpacked.error());
  const std::uint64_t first = std::uint64_t{chunk} * (chunk_ / kPage);
  const std::uint8_t* data = unpacked->data.data();
  for (std::size_t i = 0; i < unpacked->pages.size();) {
    const PageIs kind = unpacked->pages[i];
    const bool gone = removed_[first + i];
    std::size_t run = 1;
    while (i + run < unpacked->pages.size() && unpacked->pages[i + run] == kind && removed_[first + i + run] == gone) ++run;
    const bool wanted = !gone && (kind == PageIs::kData || what == For::kFault);
    const auto went = wanted ? put_run(first + i, run, kind == PageIs::kData ? data : nullptr) : Result<Went>(Went::kDone);
    if (!went || *went != Went::kDone) return went;
    if (kind == PageIs::kData) data += run * kPage;
    i += run;
  }
  in_[chunk] = true;
  return Went::kDone;
}

// All chunks of the huge page that this one is in, put together first.
Result<Server::Went> Server::fill_huge(std::uint32_t chunk, For what) {
  const std::uint32_t many = kHugePage / chunk_, first = chunk / many * many;
  const std::uint64_t page = std::uint64_t{first} * chunk_ / kPage;
  const bool removed = removed_[page];
  bool holds = false;
  for (std::uint32_t i = 0; i < many; ++i) {
    const auto to = std::span(huge_).subspan(std::size_t{i} * chunk_, chunk_);
    if (removed || !image_->holds(first + i)) {
      std::ranges::fill(to, std::uint8_t{0});
      continue;
    }
    holds = true;
    const auto unpacked = image_->chunk(first + i);
    if (!unpacked) return forward(unpacked.error());
    snapshot_file::lay_out(*unpacked, to);
  }
  if (holds || what == For::kFault) {
    const auto went = put_run(page, kHugePage / kPage, huge_.data());
    if (!went || *went != Went::kDone) return went;
  }
  std::fill_n(in_.begin() + first, many, true);
  return Went::kDone;
}

// `data`: nothing for zeros. Pages that are there already stay as they are, and who waits for them is woken.
Result<Server::Went> Server::put_run(std::uint64_t page, std::uint64_t count, const std::uint8_t* data) {
  std::uint64_t at = address_of(page * kPage), left = count * kPage;
  while (left > 0) {
    const auto filled = data == nullptr ? uffd_.zeros(at, left) : uffd_.copy(at, data, left);
    if (!filled) return forward(filled.error());
    std::uint64_t passed = filled->bytes;
    if (filled->stop == Stop::kGone) return Went::kGone;
    if (filled->stop == Stop::kChanging) return Went::kChanging;
    if (filled->stop == Stop::kThere) {
      if (auto ok = uffd_.wake(at + passed, mappings_.page); !ok) return forward(std::move(ok.error()));
      passed += mappings_.page;
    }
    if (passed == 0 || passed > left) return fail(Errc::kCorrupt, "put a page", "length");
    at += passed;
    left -= passed;
    if (data != nullptr) data += passed;
  }
  return Went::kDone;
}

// A thread that began to remove memory before it was unregistered waits until its event is read. There is none left once the kernel says that
// nothing changes.
Status Server::let_go() {
  for (const Region& region : mappings_.regions) {
    if (auto ok = uffd_.unregister(region.base, region.size); !ok) return ok;
    // The kernel wakes who waits before it takes the memory out, and with locks for single mappings a fault can begin to wait in between.
    if (auto ok = uffd_.wake(region.base, region.size); !ok) return ok;
  }
  for (int i = 0; i < kMostPauses; ++i) {
    if (const auto events = uffd_.events(); !events) return forward(events.error());
    const auto changing = uffd_.changing(mappings_.regions.front().base);
    if (!changing) return forward(changing.error());
    if (!*changing) return {};
    if (auto ok = uffd_.pause(); !ok) return ok;
  }
  return fail(Errc::kTimeout, "let go of memory");
}

}  // namespace mvm::pages
