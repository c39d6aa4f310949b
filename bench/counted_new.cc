#include "bench/counted_new.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {
// One thread allocates while it is measured.
std::size_t now = 0, peak = 0;
}  // namespace

void* operator new(std::size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  now += malloc_usable_size(memory);
  peak = std::max(peak, now);
  return memory;
}

void operator delete(void* memory) noexcept {
  now -= malloc_usable_size(memory);
  std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace mvm::bench {

std::size_t heap_now() { return now; }
std::size_t heap_peak() { return peak; }
void reset_heap_peak() { peak = now; }

}  // namespace mvm::bench
