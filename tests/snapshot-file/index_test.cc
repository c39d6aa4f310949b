#include <gtest/gtest.h>

#include "tests/snapshot-file/image.h"

namespace mvm::snapshot_file {
namespace {

Header small() {
  Header header = test::header_for(4 * 65'536, 65'536, 70'000);  // four chunks of memory, two of state
  header.first = 2;
  return header;
}
Index good() { return {.lengths = {0, 100, 65'568 , 0, 40, 32}, .first = {3, 0}}; }

TEST(Index, ComesBackAsItWent) {
  const auto index = decode_index(small(), encode(good()));
  ASSERT_TRUE(index) << index.error().message();
  EXPECT_EQ(index->lengths, good().lengths);
  EXPECT_EQ(index->first, good().first);
}

TEST(Index, PutsChunksOneBehindTheOther) {
  const std::uint64_t h = kHeaderBytes;
  EXPECT_EQ(places(good()), (std::vector<std::uint64_t>{h, h, h + 100, h + 65'668, h + 65'668, h + 65'708, h + 65'740}));
}

TEST(Index, IsRefusedWhereALengthOrANumberIsNone) {
  const auto taken = [](const Index& index) { return decode_index(small(), encode(index)).has_value(); };
  const auto with = [](std::size_t at, std::uint32_t length) {
    Index index = good();
    index.lengths[at] = length;
    return index;
  };
  const std::uint32_t most = static_cast<std::uint32_t>(max_packed(65'536) + kTagBytes), least = static_cast<std::uint32_t>(head_bytes(65'536) + kTagBytes);
  EXPECT_TRUE(taken(with(1, most)));
  EXPECT_FALSE(taken(with(1, most + 1)));
  EXPECT_TRUE(taken(with(1, least)));
  EXPECT_FALSE(taken(with(1, least - 1)));
  EXPECT_FALSE(taken(with(4, 0))) << "state always has bytes";
  Index index = good();
  index.first = {3, 4};
  EXPECT_FALSE(taken(index)) << "there are four, from 0";
  index.first = {3, 3};
  EXPECT_FALSE(taken(index)) << "twice";
  index.first = {3};
  EXPECT_FALSE(taken(index)) << "the header says two";
  index.first = {3, 2, 1};
  EXPECT_FALSE(taken(index)) << "the header says two";
}

}  // namespace
}  // namespace mvm::snapshot_file
