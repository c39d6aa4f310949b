// operator new and delete of this executable: what is freed is overwritten (vault/wiping.h).
#include <cstdlib>
#include <new>

#include "vault/wiping.h"

void* operator new(std::size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { mvm::vault::wiping_free(memory); }
void operator delete(void* memory, std::size_t) noexcept { mvm::vault::wiping_free(memory); }
