#include "broker/net/closed.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "broker/net/elements.h"

namespace mvm::net {
namespace {

constexpr std::uint32_t address(std::uint32_t a, std::uint32_t b) { return a << 24 | b << 16; }
constexpr std::array kNobodys = {Subnet{address(0, 0), 8}, Subnet{address(127, 0), 8}, Subnet{address(169, 254), 16}, Subnet{address(224, 0), 3}};
constexpr std::array kPrivate = {Subnet{address(10, 0), 8}, Subnet{address(100, 64), 10}, Subnet{address(172, 16), 12}, Subnet{address(192, 168), 16}};
constexpr std::array kSets = {&kClosed, &kClosedAtTaps};

void take_out(std::vector<Range>& ranges, const Range& hole) {
  std::vector<Range> left;
  for (const Range& range : ranges) {
    if (hole.last < range.first || hole.first > range.last) {
      left.push_back(range);
      continue;
    }
    if (range.first < hole.first) left.push_back({range.first, hole.first - 1});
    if (range.last > hole.last) left.push_back({hole.last + 1, range.last});
  }
  ranges = std::move(left);
}

std::vector<Range> joined(std::vector<Range> ranges) {
  std::ranges::sort(ranges);
  std::vector<Range> made;
  for (const Range& range : ranges) {
    if (made.empty() || (made.back().last != ~std::uint32_t{0} && range.first > made.back().last + 1)) made.push_back(range);
    else made.back().last = std::max(made.back().last, range.last);
  }
  return made;
}

using Ends = std::vector<RangeEnd>;

Ends ends_of(const std::vector<Range>& ranges) {
  Ends ends;
  for (const Range& range : ranges) {
    ends.push_back({range.first, false});
    if (range.last != ~std::uint32_t{0}) ends.push_back({range.last + 1, true});  // up to the last address: a range without an end
  }
  return ends;
}

Result<Ends> read_ends(Socket& nft, const SetShape& set) {
  const Result<std::vector<Element>> elements = read_set(nft, set);
  if (!elements) return forward(elements.error());
  Ends ends;
  for (const Element& element : *elements) {
    std::uint32_t key = 0;
    if (element.key.size() != sizeof key) return fail(Errc::kMalformed, "read the set", set.name);
    std::memcpy(&key, element.key.data(), sizeof key);
    ends.push_back({ntohl(key), element.interval_end});
  }
  std::ranges::sort(ends);
  return ends;
}

}  // namespace

Range range_of(const Subnet& subnet) { return {subnet.base, static_cast<std::uint32_t>(subnet.base + subnet.size() - 1)}; }

std::vector<Range> closed_ranges(const wire::Task& task) {
  std::vector<Range> ranges;
  for (const Subnet& subnet : kPrivate) ranges.push_back(range_of(subnet));
  for (const Subnet& subnet : task.egress) take_out(ranges, range_of(subnet));
  for (const Subnet& subnet : kNobodys) ranges.push_back(range_of(subnet));
  for (const Subnet& subnet : task.closed) ranges.push_back(range_of(subnet));
  ranges.push_back(range_of(task.place.cidr));
  return joined(std::move(ranges));
}

void put_closed(Batch& batch, const std::vector<Range>& ranges) {
  for (const SetShape* set : kSets) {
    put_flush(batch, *set);
    put_range_ends(batch, *set, ends_of(ranges));
  }
}

Result<bool> are_closed(Socket& nft, const std::vector<Range>& ranges) {
  const Ends wanted = ends_of(ranges);
  for (const SetShape* set : kSets) {
    const Result<Ends> found = read_ends(nft, *set);
    if (!found) return forward(found.error());
    if (*found != wanted) return false;
  }
  return true;
}

}  // namespace mvm::net
