#include <gtest/gtest.h>

#include "tests/snapshot-file/image.h"

namespace mvm::snapshot_file {
namespace {

using test::header_for;

Errc refused(const Header& header) {
  const auto decoded = decode_header(encode(header));
  EXPECT_FALSE(decoded);
  return decoded ? Errc::kClosed : decoded.error().code;
}

TEST(Header, ComesBackAsItWent) {
  Header header = header_for(1 << 20, 65'536, 5000);
  header.kind = Kind::kDiff;
  header.base = sha256("base");
  header.first = 3;
  header.drives = kAllDrives;
  header.wrapped.fill(0x5a);
  const auto decoded = decode_header(encode(header));
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(*decoded, header);
}

TEST(Header, HasOneSpelling) {
  const auto bytes = encode(header_for(1 << 20, 65'536, 5000));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      auto changed = bytes;
      changed[i] = static_cast<std::uint8_t>(changed[i] ^ 1 << bit);
      const auto decoded = decode_header(changed);
      EXPECT_TRUE(!decoded || encode(*decoded) == changed) << i << ":" << bit;
    }
  }
}

TEST(Header, IsRefusedBeyondItsLimits) {
  const Header good = header_for(1 << 20, 65'536, 5000);
  ASSERT_TRUE(decode_header(encode(good)));
  Header header = good;
  header.chunk = 12'288, header.memory = 12'288;
  EXPECT_EQ(refused(header), Errc::kMalformed);
  header.chunk = kMinChunk / 2, header.memory = 4096;
  EXPECT_EQ(refused(header), Errc::kMalformed);
  header.chunk = kMaxChunk * 2, header.memory = kMaxChunk * 2;
  EXPECT_EQ(refused(header), Errc::kMalformed);
  header = good, header.memory += 4096;
  EXPECT_EQ(refused(header), Errc::kMalformed);
  header = good, header.memory = 0;
  EXPECT_EQ(refused(header), Errc::kMalformed);
  header = good, header.memory = std::uint64_t{kMaxChunks} * header.chunk;
  EXPECT_TRUE(decode_header(encode(header)));
  header.memory += header.chunk;
  EXPECT_EQ(refused(header), Errc::kLimit);
  header = good, header.chunk = kMaxChunk, header.memory = kMaxMemory;
  EXPECT_TRUE(decode_header(encode(header)));
  header.memory += header.chunk;
  EXPECT_EQ(refused(header), Errc::kLimit);
  header = good, header.state = kMaxState;
  EXPECT_TRUE(decode_header(encode(header)));
  header.state += 1;
  EXPECT_EQ(refused(header), Errc::kLimit);
  header = good, header.state = 0;
  EXPECT_EQ(refused(header), Errc::kLimit);
  header = good, header.first = header.memory_chunks();
  EXPECT_TRUE(decode_header(encode(header)));
  header.first += 1;
  EXPECT_EQ(refused(header), Errc::kLimit);
  header = good, header.memory = (kMaxFirst + 1ULL) * header.chunk, header.first = kMaxFirst + 1;
  EXPECT_EQ(refused(header), Errc::kLimit);
}

TEST(Header, HasASleepsNumberAndAKeysVersion) {
  Header header = header_for(1 << 20, 65'536, 5000);
  header.seq = 0;
  EXPECT_EQ(refused(header), Errc::kMalformed);
  header.seq = 1, header.key_version = 0;
  EXPECT_EQ(refused(header), Errc::kMalformed);
}

TEST(Header, NamesNoDriveThatThereIsNot) {
  Header header = header_for(1 << 20, 65'536, 5000);
  header.drives = kAllDrives + 1;
  EXPECT_EQ(refused(header), Errc::kMalformed);
}

TEST(Header, OfADiffHasABaseAndOfAFullOneHasNone) {
  Header header = header_for(1 << 20, 65'536, 5000);
  header.base = sha256("base");
  EXPECT_EQ(refused(header), Errc::kMalformed);
  header.kind = Kind::kDiff;
  EXPECT_TRUE(decode_header(encode(header)));
  header.base = {};
  EXPECT_EQ(refused(header), Errc::kMalformed);
}

TEST(Header, OfABaseIsAPoolsAndHasNothingThatCouldBeResumed) {
  const Header good = test::base_header(header_for(1 << 20, 65'536, 5000));
  const auto decoded = decode_header(encode(good));
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(*decoded, good);
  const auto with = [&](const auto& change) {
    Header header = good;
    change(header);
    return refused(header);
  };
  EXPECT_EQ(with([](Header& header) { header.state = 1; }), Errc::kLimit);
  EXPECT_EQ(with([](Header& header) { header.seq = 1; }), Errc::kMalformed);
  EXPECT_EQ(with([](Header& header) { header.drives = 1; }), Errc::kMalformed);
  EXPECT_EQ(with([](Header& header) { header.first = 1; }), Errc::kMalformed);
  EXPECT_EQ(with([](Header& header) { header.base = sha256("base"); }), Errc::kMalformed);
  EXPECT_EQ(with([](Header& header) { header.instance.instance = InstanceId{1}; }), Errc::kMalformed);
  EXPECT_EQ(with([](Header& header) { header.fits.vmm = sha256("vmm"); }), Errc::kMalformed);
  EXPECT_EQ(with([](Header& header) { header.fits.kernel = sha256("kernel"); }), Errc::kMalformed);
  EXPECT_EQ(with([](Header& header) { header.fits.cpu = sha256("cpu"); }), Errc::kMalformed);
  Header of_instance = good;
  of_instance.instance = header_for(1 << 20, 65'536, 1).instance;
  EXPECT_FALSE(check(of_instance));
}

TEST(Header, IsNotReadShortOrLongOrOfAnotherVersion) {
  const auto bytes = encode(header_for(1 << 20, 65'536, 5000));
  EXPECT_FALSE(decode_header(std::span(bytes).first(bytes.size() - 1)));
  test::Bytes longer(bytes.begin(), bytes.end());
  longer.push_back(0);
  EXPECT_FALSE(decode_header(longer));
  auto newer = bytes;
  newer[8] = 2;
  EXPECT_EQ(decode_header(newer).error().code, Errc::kUnsupported);
}

TEST(Header, ChoosesAChunkWithWhichTheIndexStaysSmall) {
  EXPECT_EQ(chunk_for(512ULL << 20), 65'536u);
  EXPECT_EQ(chunk_for(64ULL << 30), 65'536u);
  EXPECT_EQ(chunk_for((64ULL << 30) + (1 << 20)), 131'072u);
  EXPECT_EQ(chunk_for(kMaxMemory), kMaxChunk);
}

}  // namespace
}  // namespace mvm::snapshot_file
