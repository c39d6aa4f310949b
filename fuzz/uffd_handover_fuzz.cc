// A hand-over of a hostile VMM. Whatever it says, what is taken of it describes all of the memory, each byte once, at addresses that do not
// overlap: so every page that is put somewhere is put where that page of the image belongs.
#include <cstdint>
#include <string_view>

#include "broker/pages/handover.h"
#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using fuzz::must;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const pages::Shape shape{.memory = 512ULL << 20, .chunk = 65'536};
  const auto mappings = pages::parse_mappings(text, shape);
  if (!mappings) return 0;
  must(size <= pages::kMaxHandOver && mappings->regions.size() <= pages::kMaxRegions, "a hand-over is within its limits");
  must(mappings->page == pages::kSmallPage || mappings->page == pages::kHugePage, "pages are of one of two sizes");
  std::uint64_t at = 0;
  for (const auto& region : mappings->regions) {
    must(region.offset == at && region.size > 0 && region.size % shape.chunk == 0 && region.size % mappings->page == 0, "regions follow each other");
    must(region.base != 0 && region.base % mappings->page == 0 && region.base + region.size > region.base, "addresses are such");
    at += region.size;
    for (const auto& other : mappings->regions) {
      must(&other == &region || region.base + region.size <= other.base || other.base + other.size <= region.base, "regions do not overlap");
    }
  }
  must(at == shape.memory, "regions are all of the memory");
  return 0;
}
