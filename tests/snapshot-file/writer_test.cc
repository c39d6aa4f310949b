// How a file comes to be: what the writer takes, frees, and leaves when it fails.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>

#include "tests/snapshot-file/image.h"

namespace mvm::snapshot_file {
namespace {

using test::Bytes;

constexpr std::uint32_t kChunk = 65'536;

Fd memory_file(const char* name = "memory") { return Fd(memfd_create(name, MFD_CLOEXEC)); }
std::uint64_t held(int fd) {
  struct stat status {};
  EXPECT_EQ(fstat(fd, &status), 0);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

TEST(Writer, GivesBackWhatItHasSealed) {
  const Bytes memory = test::random_bytes(160 * kChunk, 1);
  const Fd source = test::file_of(memory), state = test::file_of({1}), out = memory_file();
  ASSERT_GE(held(source.get()), memory.size());
  ASSERT_TRUE(seal(test::header_for(memory.size(), kChunk, 1), {.memory = source.get(), .state = state.get()}, test::kTenantKey, test::arena(), out.get()));
  EXPECT_EQ(held(source.get()), 0u);
  auto reader = test::open_file(test::bytes_of(out.get()));
  EXPECT_EQ(*test::memory_of(*reader), memory);
}

TEST(Writer, KeepsTheSourceWhereItIsTold) {
  const Bytes memory = test::random_bytes(80 * kChunk, 1);
  const Fd source = test::file_of(memory), state = test::file_of({1}), out = memory_file();
  const Source kept{.memory = source.get(), .state = state.get(), .consumed = Consumed::kKept};
  ASSERT_TRUE(seal(test::header_for(memory.size(), kChunk, 1), kept, test::kTenantKey, test::arena(), out.get()));
  EXPECT_EQ(test::bytes_of(source.get()), memory);
}

// Zeros over the base's data, and data over its zeros, are the diff's own; all else costs nothing.
TEST(Writer, LeavesToTheBaseWhatIsAsItIsThere) {
  const std::size_t pages = 64;
  Bytes base = test::random_bytes(pages * kPage, 1);
  std::fill_n(base.begin() + 20 * kPage, 2 * kPage, std::uint8_t{0});
  const auto under = test::write_base(test::write_file(test::header_for(base.size(), kChunk, 1), base, {1}).bytes);
  const auto nothing = test::try_diff(test::header_for(base.size(), kChunk, 1), under.bytes, base, {1});
  ASSERT_TRUE(nothing);
  EXPECT_LT(nothing->bytes.size(), kPage);
  Bytes own = base;
  for (const std::size_t page : {0u, 5u, 6u, 17u, 20u, 63u}) {
    const Bytes data = page == 6 ? Bytes(kPage) : test::random_bytes(kPage, static_cast<std::uint32_t>(100 + page));
    std::ranges::copy(data, own.begin() + static_cast<std::ptrdiff_t>(page * kPage));
  }
  const auto diff = test::try_diff(test::header_for(base.size(), kChunk, 1), under.bytes, own, {1});
  ASSERT_TRUE(diff) << diff.error().message();
  EXPECT_LT(diff->bytes.size(), 8 * kPage);
  auto reader = test::open_file(diff->bytes);
  EXPECT_EQ(*test::memory_of(*reader, base), own);
}

TEST(Writer, ReadsAHoleOfADiffAsZerosThatHideTheBase) {
  const Bytes base = test::random_bytes(2 * kChunk, 1);
  const auto under = test::write_base(test::write_file(test::header_for(base.size(), kChunk, 1), base, {1}).bytes);
  auto beneath = test::open_file(under.bytes);
  const Fd source = memory_file(), state = test::file_of({1}), out = memory_file();
  ASSERT_EQ(ftruncate(source.get(), static_cast<off_t>(base.size())), 0);
  Header header = test::header_for(base.size(), kChunk, 1);
  header.kind = Kind::kDiff;
  header.base = beneath->digest();
  ASSERT_TRUE(seal(header, {.memory = source.get(), .state = state.get(), .base = &*beneath}, test::kTenantKey, test::arena(), out.get()));
  auto reader = test::open_file(test::bytes_of(out.get()));
  EXPECT_EQ(*test::memory_of(*reader, base), Bytes(base.size()));
}

TEST(Writer, SealsADiffOnABaseAndABaseOfASnapshotAndNothingElseSo) {
  const Bytes memory = test::random_bytes(kChunk, 1);
  auto full = test::open_file(test::write_file(test::header_for(kChunk, kChunk, 1), memory, {1}).bytes);
  const Fd source = test::file_of(memory), state = test::file_of({1});
  const auto refused = [&](const Header& header, Source with) {
    const Fd out = memory_file();
    const auto sealed = seal(header, with, test::kTenantKey, test::arena(), out.get());
    return sealed ? Errc::kClosed : sealed.error().code;
  };
  Header diff = test::header_for(kChunk, kChunk, 1);
  diff.kind = Kind::kDiff, diff.base = full->digest();
  EXPECT_EQ(refused(diff, {.memory = source.get(), .state = state.get()}), Errc::kMalformed);
  EXPECT_EQ(refused(test::header_for(kChunk, kChunk, 1), {.memory = source.get(), .state = state.get(), .base = &*full}), Errc::kMalformed);
  EXPECT_EQ(refused(test::header_for(kChunk, kChunk, 1), {.memory = source.get(), .state = state.get(), .copied = &*full}), Errc::kMalformed);
  EXPECT_EQ(refused(test::base_header(full->header()), {.memory = source.get(), .state = state.get()}), Errc::kMalformed);
}

TEST(Writer, ReadsAHoleOfAFullOneAsZeros) {
  const Fd source = memory_file(), state = test::file_of({1}), out = memory_file();
  ASSERT_EQ(ftruncate(source.get(), 64 * kChunk), 0);
  ASSERT_EQ(pwrite(source.get(), "x", 1, 9 * kChunk + 12'345), 1);
  ASSERT_TRUE(seal(test::header_for(64 * kChunk, kChunk, 1), {.memory = source.get(), .state = state.get()}, test::kTenantKey, test::arena(), out.get()));
  Bytes expected(64 * kChunk);
  expected[9 * kChunk + 12'345] = 'x';
  auto reader = test::open_file(test::bytes_of(out.get()));
  EXPECT_EQ(*test::memory_of(*reader), expected);
}

TEST(Writer, RefusesSourcesOfAnotherSize) {
  const Fd memory = test::file_of(Bytes(kChunk - 1)), state = test::file_of({1}), out = memory_file();
  EXPECT_EQ(seal(test::header_for(kChunk, kChunk, 1), {.memory = memory.get(), .state = state.get()}, test::kTenantKey, test::arena(), out.get()).error().code, Errc::kMalformed);
  const Fd right = test::file_of(Bytes(kChunk));
  EXPECT_EQ(seal(test::header_for(kChunk, kChunk, 2), {.memory = right.get(), .state = state.get()}, test::kTenantKey, test::arena(), out.get()).error().code, Errc::kMalformed);
  EXPECT_EQ(held(out.get()), 0u);
}

TEST(Writer, RefusesToWriteOverAnything) {
  const Fd memory = test::file_of(Bytes(kChunk)), state = test::file_of({1}), out = test::file_of({1});
  EXPECT_EQ(seal(test::header_for(kChunk, kChunk, 1), {.memory = memory.get(), .state = state.get()}, test::kTenantKey, test::arena(), out.get()).error().code, Errc::kMalformed);
}

TEST(Writer, RefusesFirstChunksThatAreNone) {
  const Fd memory = test::file_of(Bytes(2 * kChunk)), state = test::file_of({1}), out = memory_file();
  const std::vector<std::uint32_t> first = {1, 2};
  EXPECT_EQ(seal(test::header_for(2 * kChunk, kChunk, 1), {.memory = memory.get(), .state = state.get(), .first = first}, test::kTenantKey, test::arena(), out.get()).error().code,
            Errc::kMalformed);
}

// No room on the disk, played by a limit on the size of files: the error is said, and nothing is called sealed.
TEST(Writer, SaysThatThereIsNoRoom) {
  const Bytes memory = test::random_bytes(64 * kChunk, 1);
  const Fd source = test::file_of(memory), state = test::file_of({1}), out = memory_file();
  signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto sealed = seal(test::header_for(memory.size(), kChunk, 1), {.memory = source.get(), .state = state.get()}, test::kTenantKey, test::arena(), out.get());
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().sys_errno, EFBIG);
}

// In a process of its own, whose memory is looked at when it has ended: a guest of 1 TiB, whose memory is a sparse file with some pages in it.
TEST(Writer, NeedsLittleMemoryWhateverTheGuestsSize) {
  const Fd source = memory_file(), state = test::file_of({1}), out = memory_file();
  ASSERT_EQ(ftruncate(source.get(), static_cast<off_t>(kMaxMemory)), 0);
  const Bytes page = test::random_bytes(kPage, 5);
  for (const std::uint64_t at : {std::uint64_t{0}, kMaxMemory / 2, kMaxMemory - kPage}) ASSERT_EQ(pwrite(source.get(), page.data(), kPage, static_cast<off_t>(at)), static_cast<ssize_t>(kPage));
  const auto peak_kib_of = [](const auto& work) {
    const pid_t child = fork();
    if (child == 0) _exit(work() ? 0 : 1);
    int status = 0;
    rusage used{};
    EXPECT_EQ(wait4(child, &status, 0, &used), child);
    EXPECT_EQ(status, 0);
    return used.ru_maxrss;
  };
  const long nothing = peak_kib_of([] { return true; });
  const long sealing = peak_kib_of([&] {
    const auto arena = SecretArena::make(1 << 16);  // a child has none of its parent's
    return arena && seal(test::header_for(kMaxMemory, chunk_for(kMaxMemory), 1), {.memory = source.get(), .state = state.get()}, test::kTenantKey, *arena, out.get()).has_value();
  });
  EXPECT_LT(sealing - nothing, 64 << 10) << "KiB";
  auto reader = test::open_file(test::bytes_of(out.get()));
  ASSERT_TRUE(reader);
  for (const std::uint32_t chunk : {0u, kMaxChunks / 2, kMaxChunks - 1}) EXPECT_TRUE(std::ranges::equal(reader->chunk(chunk)->data, page)) << chunk;
}

// The file never holds what went in, compressed or not.
TEST(Writer, LeavesNoPlaintext) {
  Bytes memory = test::mixed_memory(64);
  const std::string canary = "the canary that sat in the guest's memory";
  std::ranges::copy(canary, memory.begin() + 9 * kPage + 100);
  Header header = test::header_for(memory.size(), kChunk, canary.size());
  header.compression = Compression::kNone;
  const auto written = test::write_file(header, memory, Bytes(canary.begin(), canary.end()));
  EXPECT_EQ(std::search(written.bytes.begin(), written.bytes.end(), canary.begin(), canary.end()), written.bytes.end());
}

}  // namespace
}  // namespace mvm::snapshot_file
