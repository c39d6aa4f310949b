// A key in the kernel's keyring for as long as a device's table is loaded (keyrings(7), type logon: the kernel alone reads it).
// Owns it: gone with the object. Proven by: tests/storage/open_volumes_node_test.cc, tests/sandbox/storage_ablation_node_test.cc.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/secret.h"

namespace mvm::storage {

class KernelKey {
 public:
  [[nodiscard]] static Result<KernelKey> add(const std::string& description, const Secret& key);
  KernelKey(KernelKey&& other) noexcept : serial_(std::exchange(other.serial_, 0)) {}
  KernelKey& operator=(KernelKey&&) = delete;
  KernelKey(const KernelKey&) = delete;
  ~KernelKey();

 private:
  explicit KernelKey(std::int32_t serial) : serial_(serial) {}
  std::int32_t serial_ = 0;
};

}  // namespace mvm::storage
