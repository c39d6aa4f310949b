#include "vault/wiping.h"

#include <curl/curl.h>
#include <malloc.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace mvm::vault {
namespace {

void* crypto_malloc(std::size_t size, const char*, int) { return std::malloc(size); }
void* crypto_realloc(void* memory, std::size_t size, const char*, int) { return wiping_realloc(memory, size); }
void crypto_free(void* memory, const char*, int) { wiping_free(memory); }

}  // namespace

void wiping_free(void* memory) {
  if (memory == nullptr) return;
  explicit_bzero(memory, malloc_usable_size(memory));
  std::free(memory);
}

void* wiping_realloc(void* memory, std::size_t size) {
  if (memory == nullptr) return std::malloc(size);
  if (size == 0) {
    wiping_free(memory);
    return nullptr;
  }
  void* const fresh = std::malloc(size);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, memory, std::min(size, malloc_usable_size(memory)));
  wiping_free(memory);
  return fresh;
}

Status use_wiping_heaps() {
  if (CRYPTO_set_mem_functions(&crypto_malloc, &crypto_realloc, &crypto_free) != 1) {
    return fail(Errc::kSystem, "have libcrypto overwrite what it frees");
  }
  if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, &std::malloc, &wiping_free, &wiping_realloc, &strdup, &std::calloc) != CURLE_OK) {
    return fail(Errc::kSystem, "set up libcurl");
  }
  return {};
}

}  // namespace mvm::vault
