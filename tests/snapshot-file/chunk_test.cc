#include <gtest/gtest.h>

#include <random>

#include "tests/snapshot-file/image.h"

namespace mvm::snapshot_file {
namespace {

using test::Bytes;

constexpr std::uint32_t kChunk = 65'536;
constexpr std::size_t kPages = kChunk / kPage;

Bytes joined(const Packed& packed) {
  Bytes bytes(packed.head.begin(), packed.head.end());
  bytes.insert(bytes.end(), packed.body.begin(), packed.body.end());
  return bytes;
}

// What comes back, with 0xbb where it is the base's.
Bytes laid_out(const Unpacked& unpacked) {
  Bytes memory;
  const std::uint8_t* data = unpacked.data.data();
  for (const PageIs page : unpacked.pages) {
    if (page != PageIs::kData) {
      memory.insert(memory.end(), kPage, page == PageIs::kZero ? 0 : 0xbb);
      continue;
    }
    memory.insert(memory.end(), data, data + kPage);
    data += kPage;
  }
  EXPECT_EQ(data, unpacked.data.data() + unpacked.data.size());
  return memory;
}

// Every mix of pages, with both compressions and both kinds: what comes back is what went in.
TEST(Chunk, ComesBackAsItWent) {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    const auto kind = round % 2 == 0 ? Kind::kFull : Kind::kDiff;
    const auto compression = round % 4 < 2 ? Compression::kZstd : Compression::kNone;
    Bytes memory(kChunk);
    std::array<bool, kPages> in_base{};
    for (std::size_t i = 0; i < kPages; ++i) {
      in_base[i] = kind == Kind::kDiff && random() % 3 == 0;
      if (random() % 3 == 0) continue;
      const Bytes page = random() % 2 == 0 ? test::random_bytes(kPage, static_cast<std::uint32_t>(random())) : Bytes(kPage, static_cast<std::uint8_t>(random()));
      std::ranges::copy(page, memory.begin() + static_cast<std::ptrdiff_t>(i * kPage));
    }
    Packer packer(kind, compression, kChunk);
    const auto packed = packer.pack(memory, kind == Kind::kDiff ? std::span<const bool>(in_base) : std::span<const bool>());
    ASSERT_TRUE(packed);
    Bytes expected = memory;
    for (std::size_t i = 0; i < kPages; ++i) {
      if (in_base[i]) std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(i * kPage), kPage, std::uint8_t{0xbb});
    }
    Unpacker unpacker(kind, kChunk);
    const Bytes bytes = joined(*packed);
    ASSERT_LE(bytes.size(), max_packed(kChunk));
    const auto unpacked = bytes.empty() ? Result<Unpacked>(unpacker.nothing()) : unpacker.unpack(bytes);
    ASSERT_TRUE(unpacked) << unpacked.error().message();
    EXPECT_EQ(laid_out(*unpacked), expected) << round;
  }
}

TEST(Chunk, OfZerosCostsNothingInAFullOne) {
  Packer full(Kind::kFull, Compression::kNone, kChunk), diff(Kind::kDiff, Compression::kNone, kChunk);
  const Bytes zeros(kChunk);
  EXPECT_TRUE(full.pack(zeros, {})->head.empty());
  const std::array<bool, kPages> none{};
  EXPECT_EQ(joined(*diff.pack(zeros, none)).size(), head_bytes(kChunk)) << "in a diff they hide the base's";
  std::array<bool, kPages> all;
  all.fill(true);
  EXPECT_TRUE(diff.pack(zeros, all)->head.empty());
}

TEST(Chunk, PaysForItsDataPagesAlone) {
  Packer packer(Kind::kFull, Compression::kNone, kChunk);
  Bytes memory(kChunk);
  memory[3 * kPage + 5] = 1;
  EXPECT_EQ(joined(*packer.pack(memory, {})).size(), head_bytes(kChunk) + kPage);
}

TEST(Chunk, ThatDoesNotCompressStandsRaw) {
  Packer packer(Kind::kFull, Compression::kZstd, kChunk);
  const Bytes noise = test::random_bytes(kChunk, 3);
  EXPECT_EQ(joined(*packer.pack(noise, {})).size(), max_packed(kChunk));
}

class BadChunk : public testing::Test {
 protected:
  BadChunk() {
    Packer packer(Kind::kFull, Compression::kZstd, kChunk);
    Bytes memory(kChunk);
    for (std::size_t i = 0; i < 3 * kPage; ++i) memory[i] = static_cast<std::uint8_t>('a' + i % 20);
    good_ = joined(*packer.pack(memory, {}));
    EXPECT_EQ(good_[0], 1);
  }
  bool taken(const Bytes& bytes, Kind kind = Kind::kFull) { return Unpacker(kind, kChunk).unpack(bytes).has_value(); }
  Bytes changed(std::size_t at, std::uint8_t value) {
    Bytes bytes = good_;
    bytes[at] = value;
    return bytes;
  }
  Bytes good_;
};

TEST_F(BadChunk, IsRefused) {
  EXPECT_TRUE(taken(good_));
  EXPECT_FALSE(taken(Bytes(good_.begin(), good_.begin() + 15))) << "shorter than a head";
  EXPECT_FALSE(taken(Bytes(good_.begin(), good_.end() - 1))) << "cut";
  EXPECT_FALSE(taken(changed(0, 2))) << "a form that there is not";
  EXPECT_FALSE(taken(changed(0, 0))) << "raw, of another length";
  EXPECT_FALSE(taken(changed(1, 1))) << "what is always zero";
  EXPECT_FALSE(taken(changed(9, 1))) << "what is always zero, behind the map";
  EXPECT_FALSE(taken(changed(4, 0b11'01'01'01))) << "no page is that";
  EXPECT_FALSE(taken(changed(4, 0b10'01'01'01))) << "a full one has no base";
  EXPECT_TRUE(taken(changed(4, 0b10'01'01'01), Kind::kDiff));
  EXPECT_FALSE(taken(changed(4, 0b00'00'01'01))) << "fewer pages than the data";
  EXPECT_FALSE(taken(changed(4, 0b01'01'01'01))) << "more pages than the data";
  Bytes longer = good_;
  longer.push_back(0);
  EXPECT_FALSE(taken(longer)) << "bytes behind it";
  Bytes swollen(good_.begin(), good_.begin() + static_cast<std::ptrdiff_t>(head_bytes(kChunk)));
  swollen.resize(swollen.size() + 3 * kPage);
  EXPECT_FALSE(taken(swollen)) << "compressed to no less than it was";
}

TEST_F(BadChunk, IsRefusedWhereCompressionDidNotHelp) {
  const Bytes noise = test::random_bytes(kPage, 8);
  Bytes frame(ZSTD_compressBound(kPage));
  frame.resize(ZSTD_compress(frame.data(), frame.size(), noise.data(), noise.size(), 1));
  ASSERT_GE(frame.size(), noise.size());
  Bytes bytes(head_bytes(kChunk));
  bytes[0] = 1, bytes[4] = 1;
  bytes.insert(bytes.end(), frame.begin(), frame.end());
  EXPECT_FALSE(taken(bytes)) << "it would have stood raw";
}

TEST_F(BadChunk, OfFewerThanFourPagesHasNoBitsBehindThem) {
  Unpacker unpacker(Kind::kFull, 8192);
  Bytes bytes(head_bytes(8192));
  EXPECT_TRUE(unpacker.unpack(bytes));
  bytes[4] = 0b00'01'00'00;
  EXPECT_FALSE(unpacker.unpack(bytes));
}

}  // namespace
}  // namespace mvm::snapshot_file
