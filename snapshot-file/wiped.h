// Buffers that held a guest's memory, wiped before they are given back to the heap. Pure.
// Proven by: tests/snapshot-file/crypto_test.cc.
#pragma once

#include <openssl/crypto.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace mvm::snapshot_file {

template <class T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class U>
  WipingAllocator(const WipingAllocator<U>&) {}
  T* allocate(std::size_t n) { return std::allocator<T>().allocate(n); }
  void deallocate(T* at, std::size_t n) {
    OPENSSL_cleanse(at, n * sizeof(T));
    std::allocator<T>().deallocate(at, n);
  }
  bool operator==(const WipingAllocator&) const = default;
};

using WipedBytes = std::vector<std::uint8_t, WipingAllocator<std::uint8_t>>;

}  // namespace mvm::snapshot_file
