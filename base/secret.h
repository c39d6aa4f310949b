// Memory for keys: locked, never dumped, not inherited over fork, wiped when it is given back. Nothing here prints.
// An arena is had once, before a process closes itself in, so that taking a Secret from it costs no system call. It is
// memfd_secret(2) where the kernel has it (nobody else can read that, not root by /proc/PID/mem, not the kernel by its own map),
// else mmap and mlock(2); both with MADV_DONTDUMP and MADV_DONTFORK, between two pages that nobody may touch.
// What making one costs: memfd_secret and ftruncate, or mlock; and mmap, mprotect, madvise, and munmap when it ends.
// Proven by: tests/base/secret_test.cc, tests/sealing/secure_heap_test.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"

namespace mvm {

inline constexpr std::size_t kSecretArenaBytes = 1 << 20;  // below the 8 MiB that systemd lets any service lock

class SecretPages;

// Once a process, before its first private key and before its sandbox closes: OpenSSL keeps private keys in locked memory that is not
// dumped, from then on. kSystem where that cannot be had.
[[nodiscard]] Status use_secure_heap();

// Some bytes of an arena, zero at first. Moves; its size never changes. Gone, they are overwritten before anyone else has them.
class Secret {
 public:
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  [[nodiscard]] std::span<std::uint8_t> bytes() { return bytes_; }
  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  // Overwrites it now; it stays as long as it is.
  void wipe();

 private:
  friend class SecretArena;
  Secret(std::shared_ptr<SecretPages> pages, std::span<std::uint8_t> bytes);
  void give_back();
  std::shared_ptr<SecretPages> pages_;
  std::span<std::uint8_t> bytes_;
};

class SecretArena {
 public:
  enum class Memory : std::uint8_t { kAuto, kLocked };  // kLocked: as where there is no memfd_secret; for the tests

  // kSystem where the memory cannot be locked: then there are no secrets in this process.
  [[nodiscard]] static Result<SecretArena> make(std::size_t bytes = kSecretArenaBytes, Memory memory = Memory::kAuto);
  // kLimit where less than `size` in one piece is left, or `size` is 0. From any thread.
  [[nodiscard]] Result<Secret> take(std::size_t size) const;
  // Whether it is memfd_secret's.
  [[nodiscard]] bool is_hidden() const;

 private:
  explicit SecretArena(std::shared_ptr<SecretPages> pages) : pages_(std::move(pages)) {}
  std::shared_ptr<SecretPages> pages_;
};

}  // namespace mvm
