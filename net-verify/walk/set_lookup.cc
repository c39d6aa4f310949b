#include "net-verify/walk/set_lookup.h"

#include <linux/netfilter/nf_tables.h>

#include <algorithm>

#include "net-verify/walk/evaluate.h"

namespace mvm::verify {
namespace {

struct Range {
  Data low, high;
  const Element* element;
};

Data one_less(Data value) {
  for (auto byte = value.rbegin(); byte != value.rend(); ++byte)
    if ((*byte)-- != 0) break;
  return value;
}

// Starts and ends of ranges, each an element: an end is the first key behind its range.
std::vector<Range> ranges_of(const Set& set) {
  std::vector<const Element*> sorted;
  for (const Element& element : set.elements)
    if (!element.catch_all) sorted.push_back(&element);
  std::ranges::stable_sort(sorted, [](const Element* a, const Element* b) {
    if (a->key != b->key) return a->key < b->key;
    return a->interval_end && !b->interval_end;
  });
  std::vector<Range> ranges;
  const Element* open = nullptr;
  const auto close = [&](Data last) {
    if (open != nullptr) ranges.push_back({open->key, std::move(last), open});
    open = nullptr;
  };
  for (const Element* element : sorted) {
    close(one_less(element->key));
    if (!element->interval_end) open = element;
  }
  close(Data(set.key_length, 0xff));
  return ranges;
}

// Each part of the key in its own range; parts begin at whole registers.
Condition within_parts(const Set& set, const Element& element, const Box& box, std::span<const Byte> key) {
  Condition all{{box}, Certainty::kExact};
  const Data& high = element.key_end.empty() ? element.key : element.key_end;
  std::size_t at = 0;
  for (const std::uint32_t length : set.parts) {
    if (at + length > key.size() || at + length > element.key.size() || at + length > high.size()) return {{box}, Certainty::kUnknown};
    std::vector<Box> holds;
    for (const Box& one : all.holds) {
      const auto part = [&](const Data& data) { return Constant(data).subspan(at, length); };
      const bool point = std::ranges::equal(part(element.key), part(high));
      const Condition met = point ? equals(one, key.subspan(at, length), part(high))
                                  : between(one, key.subspan(at, length), part(element.key), part(high));
      holds.insert(holds.end(), met.holds.begin(), met.holds.end());
      all.certainty = std::max(all.certainty, met.certainty);
    }
    if (holds.empty()) return {};
    all.holds = std::move(holds);
    at += (length + 3) / 4 * 4;
  }
  return all;
}

// Whether the key can be the element's: what is constant in it (a link's name) tells most of a great set at once.
bool possible(std::span<const Byte> key, const Data& element) {
  for (std::size_t i = 0; i < key.size(); ++i)
    if (key[i].kind == ByteKind::kConstant && key[i].value != element[i]) return false;
  return true;
}

class Search {
 public:
  Search(const Box& box, Work& work) : work_(work) { found_.missed = {{box, Certainty::kExact}}; }

  template <class Meet>
  void element(const Element& element, Meet meet) {
    if (found_.too_many) return;
    std::vector<Miss> left;
    for (const Miss& miss : found_.missed) {
      work_.spend(1);
      const Condition met = meet(miss.box);
      for (const Box& inside : met.holds) {
        // After an element that may have met it, another's meeting it is no surer.
        found_.hits.push_back({inside, &element, std::max(miss.certainty, met.certainty)});
        if (met.certainty != Certainty::kExact) left.push_back({inside, std::max(miss.certainty, met.certainty)});
      }
      const std::vector<Box> others = without(miss.box, met.holds);
      work_.spend_comparisons(met.holds.size() * others.size());
      for (const Box& outside : others) left.push_back({outside, miss.certainty});
    }
    found_.missed = std::move(left);
    found_.too_many = found_.missed.size() > kMaxBoxes || found_.hits.size() > kMaxBoxes || work_.spent();
  }

  void catch_all(const Element& element) {
    for (const Miss& miss : found_.missed) found_.hits.push_back({miss.box, &element, miss.certainty});
    found_.missed.clear();
  }

  [[nodiscard]] Found take() { return std::move(found_); }

 private:
  Found found_;
  Work& work_;
};

}  // namespace

Found find_in(const Set& set, const Box& box, std::span<const Byte> key, Work& work) {
  Search search(box, work);
  const bool intervals = (set.flags & NFT_SET_INTERVAL) != 0;
  if (intervals && set.parts.size() < 2) {
    for (const Range& range : ranges_of(set))
      if (range.low.size() == key.size() && range.high.size() == key.size())
        search.element(*range.element, [&](const Box& one) { return between(one, key, range.low, range.high); });
  } else {
    for (const Element& element : set.elements) {
      if (element.catch_all || element.key.size() != key.size()) continue;
      if (!intervals && !possible(key, element.key)) continue;
      search.element(element, [&](const Box& one) {
        return intervals ? within_parts(set, element, one, key) : equals(one, key, element.key);
      });
    }
  }
  for (const Element& element : set.elements)
    if (element.catch_all) search.catch_all(element);
  return search.take();
}

}  // namespace mvm::verify
