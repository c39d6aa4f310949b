// Memory that is sealed out of a process: this one.
#include "snapshot-file/memory_source.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "tests/snapshot-file/image.h"

namespace mvm::snapshot_file {
namespace {

using test::Bytes;

constexpr std::uint32_t kChunk = 65'536;

// Pages that were never written are not there.
class Mapped {
 public:
  explicit Mapped(std::size_t bytes) : bytes_(bytes), at_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    EXPECT_EQ(madvise(at_, bytes_, MADV_NOHUGEPAGE), 0);
  }
  ~Mapped() { munmap(at_, bytes_); }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  void write(const Bytes& memory) {
    const Bytes zeros(kPage);
    for (std::size_t at = 0; at < memory.size(); at += kPage) {
      if (std::memcmp(memory.data() + at, zeros.data(), kPage) != 0) std::memcpy(static_cast<std::uint8_t*>(at_) + at, memory.data() + at, kPage);
    }
  }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(at_); }
  [[nodiscard]] std::size_t pages_there() const {
    std::vector<std::uint64_t> entries(bytes_ / kPage);
    const Fd pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
    const auto size = entries.size() * 8;
    EXPECT_EQ(pread(pagemap.get(), entries.data(), size, static_cast<off_t>(address() / kPage * 8)), static_cast<ssize_t>(size));
    return static_cast<std::size_t>(std::ranges::count_if(entries, [](std::uint64_t entry) { return entry >> 63 != 0; }));
  }

 private:
  std::size_t bytes_;
  void* at_;
};

class Live : public testing::Test {
 protected:
  Result<Sealed> seal_live(std::uint64_t bytes, const LiveMemory& live, int out) const {
    return seal(test::header_for(bytes, kChunk, 1), {.live = &live, .state = state_.get()}, test::kTenantKey, test::arena(), out);
  }
  [[nodiscard]] LiveMemory of_this(std::array<Stretch, 2> stretches) const { return {memory_.get(), pagemap_.get(), stretches}; }
  Fd memory_{open("/proc/self/mem", O_RDONLY | O_CLOEXEC)}, pagemap_{open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)};
  Fd state_ = test::file_of({1});
};

TEST_F(Live, IsSealedAsItStandsAndStays) {
  const Bytes memory = test::mixed_memory(1024);
  Mapped mapped(memory.size());
  mapped.write(memory);
  const Fd out(memfd_create("out", MFD_CLOEXEC));
  const auto sealed = seal_live(memory.size(), of_this({{{mapped.address(), memory.size()}, {}}}), out.get());
  ASSERT_TRUE(sealed) << sealed.error().message();
  auto reader = test::open_file(test::bytes_of(out.get()));
  EXPECT_EQ(*test::memory_of(*reader), memory);
  EXPECT_EQ(std::memcmp(reinterpret_cast<const void*>(mapped.address()), memory.data(), memory.size()), 0);
}

// More pages than are asked about at once; the second stretch before the first.
TEST_F(Live, IsSealedInTheGuestsOrder) {
  const std::size_t bytes = 160ULL << 20, low = 96ULL << 20;
  Bytes memory(bytes);
  for (const std::size_t page : {0UL, 8191UL, 8192UL, low / kPage - 1, low / kPage, low / kPage + 9000, bytes / kPage - 1}) memory[page * kPage + 7] = static_cast<std::uint8_t>(page % 251 + 1);
  Mapped mapped(bytes);
  const std::uint64_t high_at = mapped.address(), low_at = mapped.address() + bytes - low;
  Bytes laid(memory.begin() + low, memory.end());
  laid.insert(laid.end(), memory.begin(), memory.begin() + low);
  mapped.write(laid);
  const Fd out(memfd_create("out", MFD_CLOEXEC));
  const auto sealed = seal_live(bytes, of_this({{{low_at, low}, {high_at, bytes - low}}}), out.get());
  ASSERT_TRUE(sealed) << sealed.error().message();
  auto reader = test::open_file(test::bytes_of(out.get()));
  EXPECT_EQ(*test::memory_of(*reader), memory);
  EXPECT_LE(mapped.pages_there(), 7 * kChunk / kPage) << "where no page of a chunk is there, none is read: the kernel would put zeros there";
}

// As where it is mapped from a file, whose pages come when they are read.
TEST_F(Live, IsReadWhetherItIsThereOrNotWhereThatSaysNothing) {
  const Bytes memory = test::mixed_memory(64);
  const Fd file = test::file_of(memory);
  void* const at = mmap(nullptr, memory.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0);
  ASSERT_NE(at, MAP_FAILED);
  LiveMemory live = of_this({{{reinterpret_cast<std::uint64_t>(at), memory.size()}, {}}});
  live.pagemap = -1;
  const Fd out(memfd_create("out", MFD_CLOEXEC));
  ASSERT_TRUE(seal_live(memory.size(), live, out.get()));
  munmap(at, memory.size());
  auto reader = test::open_file(test::bytes_of(out.get()));
  EXPECT_EQ(*test::memory_of(*reader), memory);
}

TEST_F(Live, IsRefusedWhereItsStretchesAreNotOfItsSize) {
  const Mapped mapped(4 * kChunk);
  const std::uint64_t at = mapped.address();
  const auto refused = [&](std::array<Stretch, 2> stretches) {
    const Fd out(memfd_create("out", MFD_CLOEXEC));
    const auto sealed = seal_live(4 * kChunk, of_this(stretches), out.get());
    return !sealed && sealed.error().code == Errc::kMalformed;
  };
  EXPECT_FALSE(refused({{{at, 4 * kChunk}, {}}}));
  EXPECT_FALSE(refused({{{at + kChunk, 3 * kChunk}, {at, kChunk}}}));
  EXPECT_TRUE(refused({{{at, 3 * kChunk}, {}}}));
  EXPECT_TRUE(refused({{{at, 4 * kChunk}, {at, kChunk}}}));
  EXPECT_TRUE(refused({{{at, 4 * kChunk - kPage}, {at, kPage}}})) << "no whole chunks";
  EXPECT_TRUE(refused({{{at + 1, 4 * kChunk}, {}}})) << "no whole pages";
  EXPECT_TRUE(refused({{{at, UINT64_MAX - kChunk + 1}, {at, 5 * kChunk}}})) << "a sum that wraps around";
}

TEST_F(Live, OfAProcessThatHasEndedIsNotSealed) {
  Mapped mapped(4 * kChunk);
  mapped.write(test::random_bytes(4 * kChunk, 1));
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  const std::string proc = "/proc/" + std::to_string(child);
  const Fd memory(open((proc + "/mem").c_str(), O_RDONLY | O_CLOEXEC)), pagemap(open((proc + "/pagemap").c_str(), O_RDONLY | O_CLOEXEC));
  const std::array<Stretch, 2> stretches = {{{mapped.address(), 4 * kChunk}, {}}};
  const LiveMemory live{memory.get(), pagemap.get(), stretches}, unmapped{memory.get(), -1, stretches};
  const Fd out(memfd_create("out", MFD_CLOEXEC));
  EXPECT_TRUE(seal_live(4 * kChunk, live, out.get()));
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  for (const LiveMemory* each : {&live, &unmapped}) {
    const Fd nothing(memfd_create("out", MFD_CLOEXEC));
    EXPECT_FALSE(seal_live(4 * kChunk, *each, nothing.get()));
  }
}

}  // namespace
}  // namespace mvm::snapshot_file
