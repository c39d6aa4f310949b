#include "base/secret.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>

#include "base/fd.h"

namespace mvm {
namespace {

using Memory = SecretArena::Memory;

constexpr std::size_t kSmall = 16 * 4096;

class SecretMemory : public testing::TestWithParam<Memory> {
 protected:
  SecretArena arena = SecretArena::make(kSmall, GetParam()).value();
};

// The lines of /proc/self/smaps of the mapping that `at` lies in.
std::string mapping_of(const std::uint8_t* at) {
  std::ifstream smaps("/proc/self/smaps");
  std::string line, found;
  bool within = false;
  while (std::getline(smaps, line)) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) within = begin <= reinterpret_cast<std::uintptr_t>(at) && reinterpret_cast<std::uintptr_t>(at) < end;
    if (within) found += line + "\n";
  }
  return found;
}

std::string flags_of(const std::uint8_t* at) {
  const std::string mapping = mapping_of(at);
  const auto from = mapping.find("VmFlags:");
  return from == std::string::npos ? "" : mapping.substr(from) + " ";
}

TEST_P(SecretMemory, IsZeroWhenItIsTaken) {
  const Secret secret = arena.take(100).value();
  EXPECT_EQ(secret.size(), 100u);
  EXPECT_TRUE(std::ranges::all_of(secret.bytes(), [](std::uint8_t byte) { return byte == 0; }));
}

TEST_P(SecretMemory, IsWipedWhenItIsGivenBack) {
  std::uint8_t* was = nullptr;
  {
    Secret secret = arena.take(5000).value();
    std::ranges::fill(secret.bytes(), 0x5a);
    was = secret.bytes().data();
  }
  EXPECT_TRUE(std::all_of(was, was + 5000, [](std::uint8_t byte) { return byte == 0; }));
}

TEST_P(SecretMemory, IsWipedWhenAnotherTakesItsPlace) {
  Secret secret = arena.take(32).value();
  std::ranges::fill(secret.bytes(), 0x5a);
  std::uint8_t* const was = secret.bytes().data();
  secret = arena.take(32).value();
  EXPECT_NE(secret.bytes().data(), was);
  EXPECT_EQ(was[0], 0);
}

TEST_P(SecretMemory, MovesAndDoesNotCopy) {
  Secret secret = arena.take(32).value();
  secret.bytes()[0] = 7;
  const std::uint8_t* const at = secret.bytes().data();
  const Secret moved = std::move(secret);
  EXPECT_EQ(moved.bytes().data(), at);
  EXPECT_EQ(moved.bytes()[0], 7);
  EXPECT_EQ(secret.size(), 0u) << "nothing is left where it was";
  static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>);
}

TEST_P(SecretMemory, IsNeverSharedByTwo) {
  std::vector<Secret> taken;
  for (std::size_t i = 0; i < 16; ++i) taken.push_back(arena.take(4096).value());
  EXPECT_EQ(arena.take(1).error().code, Errc::kLimit);
  std::vector<const std::uint8_t*> places;
  for (const Secret& secret : taken) places.push_back(secret.bytes().data());
  std::ranges::sort(places);
  EXPECT_EQ(std::ranges::adjacent_find(places), places.end());
  taken.pop_back();
  EXPECT_TRUE(arena.take(1));
}

TEST_P(SecretMemory, HasALimit) {
  EXPECT_TRUE(arena.take(kSmall));
  EXPECT_EQ(arena.take(kSmall + 1).error().code, Errc::kLimit);
  EXPECT_EQ(arena.take(0).error().code, Errc::kLimit);
}

TEST_P(SecretMemory, OutlivesItsArena) {
  Secret secret = SecretArena::make(kSmall, GetParam()).value().take(32).value();
  secret.bytes()[31] = 1;
  EXPECT_EQ(secret.bytes()[31], 1);
}

TEST_P(SecretMemory, IsGoneWithTheLastOfIt) {
  std::optional<Secret> secret = SecretArena::make(kSmall, GetParam()).value().take(32).value();
  const std::uint8_t* const at = secret->bytes().data();
  EXPECT_NE(mapping_of(at), "");
  secret.reset();
  EXPECT_EQ(mapping_of(at), "");
}

TEST_P(SecretMemory, IsOverwrittenWhereItStaysAndIsWiped) {
  Secret secret = arena.take(5000).value();
  std::ranges::fill(secret.bytes(), std::uint8_t{0x5a});
  secret.wipe();
  EXPECT_EQ(secret.size(), 5000u);
  EXPECT_TRUE(std::ranges::all_of(secret.bytes(), [](std::uint8_t byte) { return byte == 0; }));
}

TEST_P(SecretMemory, IsNotLostToItself) {
  Secret secret = arena.take(32).value();
  secret.bytes()[0] = 7;
  Secret& same = secret;
  secret = std::move(same);
  ASSERT_EQ(secret.size(), 32u);
  EXPECT_EQ(secret.bytes()[0], 7);
}

TEST_P(SecretMemory, IsLockedAndNotDumpedAndNotInherited) {
  const Secret secret = arena.take(32).value();
  const std::string flags = flags_of(secret.bytes().data());
  EXPECT_NE(flags.find(" lo "), std::string::npos) << "locked: " << flags;
  EXPECT_NE(flags.find(" dd "), std::string::npos) << "not dumped: " << flags;
  EXPECT_NE(flags.find(" dc "), std::string::npos) << "not copied by fork: " << flags;
}

TEST_P(SecretMemory, IsNotThereInAChild) {
  Secret secret = arena.take(32).value();
  secret.bytes()[0] = 7;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(*static_cast<volatile std::uint8_t*>(secret.bytes().data()));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

TEST_P(SecretMemory, HasPagesAroundItThatNobodyMayTouch) {
  const Secret all = arena.take(kSmall).value();
  const std::uint8_t* const begin = all.bytes().data();
  EXPECT_NE(mapping_of(begin - 1).find("---p"), std::string::npos);
  EXPECT_NE(mapping_of(begin + kSmall).find("---p"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Both, SecretMemory, testing::Values(Memory::kAuto, Memory::kLocked),
                         [](const auto& at) { return at.param == Memory::kAuto ? "AsTheKernelHasIt" : "Locked"; });

TEST(HiddenMemory, IsHadWhereTheKernelHasIt) {
  const Fd one(static_cast<int>(syscall(SYS_memfd_secret, O_CLOEXEC)));
  EXPECT_EQ(SecretArena::make(kSmall)->is_hidden(), one.valid());
  EXPECT_FALSE(SecretArena::make(kSmall, Memory::kLocked)->is_hidden());
}

TEST(HiddenMemory, IsReadByNobodyElse) {
  const SecretArena arena = SecretArena::make(kSmall).value();
  if (!arena.is_hidden()) GTEST_SKIP() << "this kernel has no memfd_secret";
  const Secret secret = arena.take(32).value();
  const Fd memory(open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  char byte = 0;
  EXPECT_LT(pread(memory.get(), &byte, 1, static_cast<off_t>(reinterpret_cast<std::uintptr_t>(secret.bytes().data()))), 0);
}

TEST(LockedMemory, IsNotHadWhereNothingMayBeLocked) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit none{0, 0};
    // Root may lock all the same, so it becomes nobody.
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setuid(65534) != 0)) _exit(2);
    _exit(SecretArena::make(kSmall, Memory::kLocked) ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace mvm
