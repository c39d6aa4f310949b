// That what is freed is overwritten. Looking at memory after it was freed is what this test is for, so it is no test for a sanitizer.
#include "vault/wiping.h"

#include <curl/curl.h>
#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "tests/sandbox/child.h"

namespace mvm::vault {
namespace {

constexpr std::size_t kSize = 3000;
constexpr std::size_t kOfTheHeap = 32;  // bytes at the beginning that malloc uses for itself

// Through a number, so that the compiler does not know that it looks at what is gone.
bool holds_mark(std::uintptr_t at) {
  const volatile char* const bytes = reinterpret_cast<const volatile char*>(at);
  for (std::size_t i = kOfTheHeap; i < kSize; ++i) {
    if (bytes[i] == 'm') return true;
  }
  return false;
}

std::uintptr_t marked(void* memory) {
  std::memset(memory, 'm', kSize);
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  EXPECT_TRUE(holds_mark(at));
  return at;
}

TEST(Wiping, IsRefusedWhereLibcryptoHasMemoryAlready) {
  EXPECT_TRUE(test::worked(test::in_child([] {
    OPENSSL_free(OPENSSL_malloc(8));
    MUST(!use_wiping_heaps());
  })));
}

TEST(Wiping, OverwritesWhatLibcryptoAndCppFree) {
  ASSERT_TRUE(use_wiping_heaps());
  void* memory = OPENSSL_malloc(kSize);
  std::uintptr_t at = marked(memory);
  OPENSSL_free(memory);
  EXPECT_FALSE(holds_mark(at)) << "libcrypto";
  memory = OPENSSL_malloc(kSize);
  at = marked(memory);
  memory = OPENSSL_realloc(memory, 100 * kSize);
  EXPECT_FALSE(holds_mark(at)) << "libcrypto, to another place";
  EXPECT_TRUE(holds_mark(reinterpret_cast<std::uintptr_t>(memory))) << "which has it";
  OPENSSL_free(memory);
  char* const text = new char[kSize];
  at = marked(text);
  delete[] text;
  EXPECT_FALSE(holds_mark(at)) << "operator delete";
  memory = ::operator new(kSize);
  at = marked(memory);
  ::operator delete(memory, kSize);
  EXPECT_FALSE(holds_mark(at)) << "operator delete that is told the size";
}

TEST(Wiping, OverwritesWhatLibcurlFrees) {
  (void)use_wiping_heaps();
  CURL* const curl = curl_easy_init();
  char* const escaped = curl_easy_escape(curl, std::string(kSize, 'm').c_str(), kSize);
  ASSERT_NE(escaped, nullptr);
  const auto at = reinterpret_cast<std::uintptr_t>(escaped);
  EXPECT_TRUE(holds_mark(at));
  curl_free(escaped);
  EXPECT_FALSE(holds_mark(at));
  curl_easy_cleanup(curl);
}

TEST(Wiping, IsARealloc) {
  void* const gone = std::malloc(kSize);
  const std::uintptr_t at = marked(gone);
  EXPECT_EQ(wiping_realloc(gone, 0), nullptr);
  EXPECT_FALSE(holds_mark(at));
  void* const fresh = wiping_realloc(nullptr, 8);
  EXPECT_NE(fresh, nullptr);
  std::memcpy(fresh, "marked!", 8);
  void* const shorter = wiping_realloc(fresh, 4);
  EXPECT_EQ(std::memcmp(shorter, "mark", 4), 0);
  wiping_free(shorter);
  wiping_free(nullptr);
}

}  // namespace
}  // namespace mvm::vault
