// A snapshot file as a whole: what went in comes out, and any other byte, length, order or file is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/snapshot-file/image.h"

namespace mvm::snapshot_file {
namespace {

using test::Bytes;
using testing::HasSubstr;

constexpr std::uint32_t kChunk = 8192;  // two pages

class File : public testing::TestWithParam<Compression> {
 protected:
  Header header(std::size_t state = 1000) {
    Header made = test::header_for(memory_.size(), kChunk, state);
    made.compression = GetParam();
    return made;
  }
  Bytes memory_ = test::mixed_memory(16);
  Bytes state_ = test::random_bytes(1000, 99);
};

INSTANTIATE_TEST_SUITE_P(Either, File, testing::Values(Compression::kNone, Compression::kZstd),
                         [](const auto& test) { return test.param == Compression::kNone ? "Raw" : "Zstd"; });

TEST_P(File, GivesBackWhatWentIn) {
  const auto written = test::write_file(header(), memory_, state_, {5, 1});
  auto reader = test::open_file(written.bytes);
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(reader->header(), written.sealed.header);
  EXPECT_EQ(reader->digest(), written.sealed.file);
  EXPECT_EQ(written.bytes.size(), written.sealed.bytes);
  EXPECT_EQ(*test::memory_of(*reader), memory_);
  const auto state = reader->state();
  ASSERT_TRUE(state);
  EXPECT_TRUE(std::ranges::equal(*state, state_));
  EXPECT_EQ(Bytes(reader->first().begin(), reader->first().end()), (Bytes{5, 1}));
}

TEST_P(File, GivesBackALongState) {
  const Bytes state = test::random_bytes(3 * kChunk + 17, 4);
  const auto written = test::write_file(header(state.size()), memory_, state);
  auto reader = test::open_file(written.bytes);
  ASSERT_TRUE(reader);
  EXPECT_TRUE(std::ranges::equal(*reader->state(), state));
}

TEST_P(File, HasNoByteForZeros) {
  const Bytes none(64 * kChunk);
  const auto written = test::write_file(test::header_for(none.size(), kChunk, 1), none, {1});
  EXPECT_LT(written.bytes.size(), kHeaderBytes + 65 * 4 + 2 * kTagBytes + 32);
  auto reader = test::open_file(written.bytes);
  EXPECT_EQ(*test::memory_of(*reader), none);
}

TEST_P(File, RefusesEveryByteThatIsAnother) {
  const auto written = test::write_file(header(), memory_, state_, {5, 1});
  ASSERT_FALSE(test::fault_in(written.bytes));
  for (std::size_t i = 0; i < written.bytes.size(); ++i) {
    Bytes changed = written.bytes;
    changed[i] = static_cast<std::uint8_t>(changed[i] ^ (1u << i % 8));
    EXPECT_TRUE(test::fault_in(changed)) << "byte " << i;
  }
}

TEST_P(File, RefusesToBeCutOrLengthened) {
  const auto written = test::write_file(header(), memory_, state_);
  for (std::size_t size = 0; size < written.bytes.size(); ++size) {
    EXPECT_TRUE(test::fault_in(Bytes(written.bytes.begin(), written.bytes.begin() + static_cast<std::ptrdiff_t>(size)))) << size;
  }
  for (const std::size_t more : {1, 16, 4096}) {
    Bytes longer = written.bytes;
    longer.resize(longer.size() + more);
    EXPECT_TRUE(test::fault_in(longer)) << more;
  }
  Bytes twice = written.bytes;
  twice.insert(twice.end(), written.bytes.begin(), written.bytes.end());
  EXPECT_TRUE(test::fault_in(twice)) << "a file behind itself";
}

// Raw noise, so that every chunk has the same length and could stand in another's place.
struct Chunks {
  explicit Chunks(std::uint32_t seed) : memory(test::random_bytes(8 * kChunk, seed)), written(test::write_file(test::header_for(memory.size(), kChunk, 100), memory, test::random_bytes(100, 5))) {}
  [[nodiscard]] std::span<std::uint8_t> at(Bytes& bytes, std::size_t i) const { return std::span(bytes).subspan(kHeaderBytes + i * length, length); }
  std::size_t length = max_packed(kChunk) + kTagBytes;
  Bytes memory;
  test::Written written;
};

TEST(Spliced, ChunksOfOneFileAreRefusedInEachOthersPlace) {
  const Chunks file(1);
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t j = 0; j < 8; ++j) {
      if (i == j) continue;
      Bytes swapped = file.written.bytes, repeated = file.written.bytes;
      std::ranges::swap_ranges(file.at(swapped, i), file.at(swapped, j));
      EXPECT_TRUE(test::fault_in(swapped)) << i << " with " << j;
      std::ranges::copy(file.at(repeated, i), file.at(repeated, j).begin());
      EXPECT_TRUE(test::fault_in(repeated)) << i << " again as " << j;
    }
  }
}

TEST(Spliced, PartsOfAnotherFileOfTheSameInstanceAreRefused) {
  const Chunks one(1), two(1);  // the same memory, sealed twice
  ASSERT_EQ(one.written.bytes.size(), two.written.bytes.size());
  for (std::size_t i = 0; i < 8; ++i) {
    Bytes mixed = one.written.bytes, other = two.written.bytes;
    std::ranges::copy(one.at(other, i), one.at(mixed, i).begin());
    EXPECT_TRUE(test::fault_in(mixed)) << i;
  }
  const auto join = [](const Bytes& head, const Bytes& tail, std::size_t at) {
    Bytes joined(head.begin(), head.begin() + static_cast<std::ptrdiff_t>(at));
    joined.insert(joined.end(), tail.begin() + static_cast<std::ptrdiff_t>(at), tail.end());
    return joined;
  };
  for (const std::size_t at : {kHeaderBytes - kWrappedBytes + kNonceBytes, kHeaderBytes, kHeaderBytes + one.length, one.written.bytes.size() - 9 * 4 - kTagBytes}) {
    EXPECT_TRUE(test::fault_in(join(one.written.bytes, two.written.bytes, at))) << at;
  }
}

TEST(Rollback, AnOlderFileIsAsSoundAsTheNewestAndRefusedByItsDigest) {
  const Bytes memory = test::mixed_memory(8), state = {1, 2, 3};
  const Header header = test::header_for(memory.size(), kChunk, state.size());
  const auto older = test::write_file(header, memory, state), newest = test::write_file(header, memory, state);
  EXPECT_NE(older.sealed.file, newest.sealed.file) << "every file has a key of its own, so no two are alike";
  const Expected expected{header.instance, header.line, newest.sealed.file, header.fits, header.drives};
  auto reader = test::open_file(newest.bytes);
  EXPECT_TRUE(check_expected(reader->header(), reader->digest(), expected));
  reader = test::open_file(older.bytes);
  ASSERT_TRUE(reader);
  const auto refused = check_expected(reader->header(), reader->digest(), expected);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kDenied);
  EXPECT_THAT(refused.error().message(), HasSubstr("another file than the newest"));
}

TEST(Expected, NamesWhatDiffers) {
  const Bytes memory = test::mixed_memory(8), state = {1, 2, 3};
  const auto written = test::write_file(test::header_for(memory.size(), kChunk, state.size()), memory, state);
  const Header& header = written.sealed.header;
  const Expected good{header.instance, header.line, written.sealed.file, header.fits, header.drives};
  const auto said = [&](auto change) {
    Expected other = good;
    change(other);
    const auto refused = check_expected(header, written.sealed.file, other);
    return refused ? "nothing" : refused.error().message();
  };
  EXPECT_EQ(said([](Expected&) {}), "nothing");
  EXPECT_THAT(said([](Expected& e) { e.instance.instance.value ^= 1; }), HasSubstr("another instance"));
  EXPECT_THAT(said([](Expected& e) { e.instance.tenant = *Name::from("evil"); }), HasSubstr("another instance"));
  EXPECT_THAT(said([](Expected& e) { e.line.bytes[0] ^= 1; }), HasSubstr("another snapshot line"));
  EXPECT_THAT(said([](Expected& e) { e.fits.image.bytes[0] ^= 1; }), HasSubstr("another image"));
  EXPECT_THAT(said([](Expected& e) { e.fits.vmm.bytes[0] ^= 1; }), HasSubstr("version of Firecracker"));
  EXPECT_THAT(said([](Expected& e) { e.fits.kernel.bytes[0] ^= 1; }), HasSubstr("host kernel"));
  EXPECT_THAT(said([](Expected& e) { e.fits.cpu.bytes[0] ^= 1; }), HasSubstr("host CPU"));
  for (const auto drive : std::to_array<std::uint8_t>({1, 2, 4})) {
    EXPECT_THAT(said([&](Expected& e) { e.drives = static_cast<std::uint8_t>(e.drives ^ drive); }), HasSubstr("another set of drives")) << int{drive};
  }
}

TEST(AnotherTenant, CannotOpenTheFile) {
  const Bytes memory = test::mixed_memory(8);
  const auto written = test::write_file(test::header_for(memory.size(), kChunk, 1), memory, {1});
  EXPECT_EQ(test::open_file(written.bytes, test::kOtherKey).error().code, Errc::kCorrupt);
}

}  // namespace
}  // namespace mvm::snapshot_file
