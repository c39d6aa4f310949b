#include "bench/memory_image.h"

#include <cstring>
#include <random>
#include <string_view>

namespace mvm::bench {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::string_view kWords[] = {"request ", "handler ", "user=", "GET /index.html ", "0x7f", "warning: ", "select * from ", "true, ",
                                       "mov ",     "rax, ",    "\n\t",  "\"id\": ",        "null ", "sha256:",   "timeout ",      "tenant "};

using Random = std::mt19937_64;

void noise(std::uint8_t* page, Random& random) {
  for (std::size_t i = 0; i < kPage; i += 8) {
    const std::uint64_t value = random();
    std::memcpy(page + i, &value, 8);
  }
}

void text(std::uint8_t* page, Random& random) {
  for (std::size_t at = 0; at < kPage;) {
    const std::string_view word = kWords[random() % std::size(kWords)];
    const std::size_t length = std::min(word.size(), kPage - at);
    std::memcpy(page + at, word.data(), length);
    at += length;
    if (random() % 4 == 0 && at < kPage) page[at++] = static_cast<std::uint8_t>('0' + random() % 75);
  }
}

// Heap: pointers into one region, small numbers, and holes.
void pointers(std::uint8_t* page, Random& random) {
  for (std::size_t i = 0; i < kPage; i += 8) {
    std::uint64_t value = 0;
    switch (random() % 4) {
      case 0: value = 0x00007f3a'00000000 | (random() & 0xfff'fff8); break;
      case 1: value = random() % 256; break;
      case 2: value = (random() % 65'536) << 32 | random() % 16; break;
      default: break;
    }
    std::memcpy(page + i, &value, 8);
  }
}

}  // namespace

std::vector<std::uint8_t> memory_image(std::size_t bytes) {
  std::vector<std::uint8_t> image(bytes);
  Random random(42);
  // Runs of like pages, as memory has them.
  for (std::size_t page = 0; page < bytes / kPage;) {
    const std::uint64_t kind = random() % 100, run = 1 + random() % 64;
    for (std::uint64_t i = 0; i < run && page < bytes / kPage; ++i, ++page) {
      std::uint8_t* const at = image.data() + page * kPage;
      if (kind < 33) continue;
      if (kind < 43) noise(at, random);
      else if (kind < 70) text(at, random);
      else pointers(at, random);
    }
  }
  return image;
}

}  // namespace mvm::bench
