#include "base/secret.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace mvm {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kSecureHeapBytes = 64 * 1024, kSecureHeapLeast = 32;

std::size_t pages_for(std::size_t bytes) { return (bytes + kPage - 1) / kPage; }

}  // namespace

Status use_secure_heap() {
  if (CRYPTO_secure_malloc_initialized() == 1) return {};
  // 2: there, but not locked, or without its guards.
  if (CRYPTO_secure_malloc_init(kSecureHeapBytes, kSecureHeapLeast) != 1) {
    return fail(Errc::kSystem, "lock memory for private keys (RLIMIT_MEMLOCK)");
  }
  return {};
}

// The pages and which of them are taken. Lives as long as the arena or any Secret of it.
class SecretPages {
 public:
  static Result<std::shared_ptr<SecretPages>> make(std::size_t bytes, SecretArena::Memory memory);
  SecretPages(const SecretPages&) = delete;
  SecretPages& operator=(const SecretPages&) = delete;
  ~SecretPages() { munmap(begin_ - kPage, size() + 2 * kPage); }  // all that was taken has been overwritten as it was given back

  Result<std::span<std::uint8_t>> take(std::size_t bytes);
  void give_back(std::span<std::uint8_t> bytes);
  [[nodiscard]] bool is_hidden() const { return hidden_; }

 private:
  SecretPages(std::uint8_t* begin, std::size_t pages, bool hidden) : begin_(begin), taken_(pages, false), hidden_(hidden) {}
  [[nodiscard]] std::size_t size() const { return taken_.size() * kPage; }
  std::uint8_t* begin_;
  std::mutex mutex_;
  std::vector<bool> taken_;
  bool hidden_;
};

Result<std::shared_ptr<SecretPages>> SecretPages::make(std::size_t bytes, SecretArena::Memory memory) {
  const std::size_t pages = pages_for(bytes), size = pages * kPage, with_guards = size + 2 * kPage;
  Fd hidden(memory == SecretArena::Memory::kAuto ? static_cast<int>(syscall(SYS_memfd_secret, O_CLOEXEC)) : -1);
  void* const around = mmap(nullptr, with_guards, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (around == MAP_FAILED) return fail_errno(errno, "get memory for secrets");
  auto* const begin = static_cast<std::uint8_t*>(around) + kPage;
  const auto failed = [&](int saved, const char* tried) {
    munmap(around, with_guards);
    return fail_errno(saved, tried);
  };
  bool is_hidden = hidden.valid() && ftruncate(hidden.get(), static_cast<off_t>(size)) == 0;
  is_hidden = is_hidden && mmap(begin, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, hidden.get(), 0) != MAP_FAILED;
  if (!is_hidden) {
    // A mapping that failed half-way may have taken the reserved pages away, so they are laid down anew.
    if (mmap(begin, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
      return failed(errno, "get memory for secrets");
    }
    if (mlock(begin, size) != 0) return failed(errno, "lock memory for secrets (RLIMIT_MEMLOCK)");
  }
  if (madvise(begin, size, MADV_DONTDUMP) != 0) return failed(errno, "keep secrets out of core dumps");
  if (madvise(begin, size, MADV_DONTFORK) != 0) return failed(errno, "keep secrets from children");
  std::memset(begin, 0, size);  // every page is there from now on
  return std::shared_ptr<SecretPages>(new SecretPages(begin, pages, is_hidden));
}

Result<std::span<std::uint8_t>> SecretPages::take(std::size_t bytes) {
  const std::size_t wanted = pages_for(bytes);
  const std::lock_guard lock(mutex_);
  if (wanted == 0) return fail(Errc::kLimit, "take memory for a secret");
  const auto free = std::search_n(taken_.begin(), taken_.end(), static_cast<std::ptrdiff_t>(wanted), false);
  if (free == taken_.end()) return fail(Errc::kLimit, "take memory for a secret");
  std::fill_n(free, wanted, true);
  return std::span(begin_ + static_cast<std::size_t>(free - taken_.begin()) * kPage, bytes);
}

void SecretPages::give_back(std::span<std::uint8_t> bytes) {
  OPENSSL_cleanse(bytes.data(), bytes.size());
  const std::lock_guard lock(mutex_);
  const auto first = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(bytes.data() - begin_) / kPage);
  std::fill_n(taken_.begin() + first, pages_for(bytes.size()), false);
}

Secret::Secret(std::shared_ptr<SecretPages> pages, std::span<std::uint8_t> bytes) : pages_(std::move(pages)), bytes_(bytes) {}

Secret::Secret(Secret&& other) noexcept : pages_(std::move(other.pages_)), bytes_(std::exchange(other.bytes_, {})) {}

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  pages_ = std::move(other.pages_);
  bytes_ = std::exchange(other.bytes_, {});
  return *this;
}

Secret::~Secret() { give_back(); }

void Secret::wipe() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

void Secret::give_back() {
  if (pages_ != nullptr) pages_->give_back(bytes_);
  pages_.reset();
  bytes_ = {};
}

Result<SecretArena> SecretArena::make(std::size_t bytes, Memory memory) {
  auto pages = SecretPages::make(bytes, memory);
  if (!pages) return forward(pages.error());
  return SecretArena(*std::move(pages));
}

Result<Secret> SecretArena::take(std::size_t size) const {
  auto bytes = pages_->take(size);
  if (!bytes) return forward(bytes.error());
  return Secret(pages_, *bytes);
}

bool SecretArena::is_hidden() const { return pages_->is_hidden(); }

}  // namespace mvm
