#include "sealing/wanted.h"

#include <gtest/gtest.h>

#include "tests/sealing/samples.h"

namespace mvm::sealing {
namespace {

using test::content_label;
using test::key_label;

std::vector<std::uint8_t> an_offer(const char* node = "node-7") {
  auto bytes = to_be_signed({*Name::from(node), 3, PublicKey{7}});
  bytes.resize(kOfferBytes, 0x5a);
  return bytes;
}

TEST(Wanted, HasTheOfferAndTheLabelsInOrder) {
  const std::vector<Label> labels = {content_label(Purpose::kConfig, "x"), key_label(2), key_label(1)};
  const auto offer = an_offer();
  const auto bytes = write_wanted(offer, 42, labels).value();
  EXPECT_EQ(bytes.size(), kWantedHeadBytes + 3 * kWantedLabelBytes);
  const auto read = read_wanted(bytes).value();
  EXPECT_TRUE(std::ranges::equal(read.offer, offer));
  EXPECT_EQ(read.generation, 42u);
  EXPECT_EQ(read.labels, (std::vector<Label>{key_label(1), key_label(2), content_label(Purpose::kConfig, "x")}));
  EXPECT_TRUE(read_wanted(write_wanted(offer, 1, {}).value()).value().labels.empty());
}

TEST(Wanted, IsOfOneNodeAndGeneration) {
  Label other = key_label();
  other.node = *Name::from("node-8");
  EXPECT_FALSE(write_wanted(an_offer(), 42, std::vector{other}));
  EXPECT_FALSE(write_wanted(an_offer(), 43, std::vector{key_label()}));
  EXPECT_FALSE(write_wanted(an_offer(), 0, {}));
  EXPECT_FALSE(write_wanted(an_offer(), kMaxGeneration + 1, {}));
  EXPECT_TRUE(write_wanted(an_offer(), kMaxGeneration, {}));
  EXPECT_FALSE(write_wanted({}, 42, {}));
  EXPECT_EQ(write_wanted(an_offer(), 42, std::vector{key_label(), key_label()}).error().code, Errc::kExists);
}

TEST(Wanted, IsRefusedWhereItIsNotOfTheForm) {
  const std::vector<Label> labels = {key_label(1), key_label(2)};
  const auto bytes = write_wanted(an_offer(), 42, labels).value();
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(read_wanted(Bytes(bytes).first(size))) << size;
  const auto with = [&](std::size_t at, std::uint8_t value) {
    auto changed = bytes;
    changed[at] = value;
    return read_wanted(changed).has_value();
  };
  EXPECT_TRUE(with(kWantedHeadBytes - 5, 41)) << "another generation, which is a matter of the reader's";
  for (const std::size_t magic : {0, 7}) EXPECT_FALSE(with(magic, 'x'));
  EXPECT_FALSE(with(8, 'x')) << "no offer";
  EXPECT_FALSE(with(kWantedHeadBytes - 12, 0xff)) << "a generation out of range";
  EXPECT_FALSE(with(kWantedHeadBytes - 1, 1)) << "fewer than it has";
  EXPECT_FALSE(with(kWantedHeadBytes - 1, 3)) << "more than it has";
  EXPECT_FALSE(with(kWantedHeadBytes, 0)) << "no such purpose";
  EXPECT_FALSE(with(kWantedHeadBytes, 2)) << "content without a digest";
  EXPECT_FALSE(with(kWantedHeadBytes + 1, 1)) << "bytes that must be zero";
  EXPECT_FALSE(with(kWantedHeadBytes + 7, 2)) << "twice";
  EXPECT_FALSE(with(kWantedHeadBytes + 7, 3)) << "out of order";
  EXPECT_FALSE(with(kWantedHeadBytes + 8, 'A')) << "no name";
  EXPECT_FALSE(with(bytes.size() - 1, 1)) << "a key with a digest";
}

TEST(Wanted, HasAGenerationEvenWhereNothingIsWanted) {
  const auto bytes = write_wanted(an_offer(), 42, {}).value();
  const auto of = [&](std::uint8_t high, std::uint8_t low) {
    auto changed = bytes;
    changed[kWantedHeadBytes - 12] = high, changed[kWantedHeadBytes - 5] = low;
    return read_wanted(changed).has_value();
  };
  EXPECT_TRUE(of(0, 42));
  EXPECT_FALSE(of(0, 0));
  EXPECT_FALSE(of(1, 42));
}

TEST(Wanted, IsTakenAtItsLimitAndNotAbove) {
  std::vector<Label> labels;
  for (std::uint32_t version = 1; version <= kMaxWantedLabels; ++version) labels.push_back(key_label(version));
  const auto bytes = write_wanted(an_offer(), 42, labels).value();
  EXPECT_EQ(bytes.size(), kMaxWanted);
  EXPECT_EQ(read_wanted(bytes).value().labels.size(), kMaxWantedLabels);
  labels.push_back(key_label(kMaxWantedLabels + 1));
  EXPECT_EQ(write_wanted(an_offer(), 42, labels).error().code, Errc::kLimit);
  auto longer = bytes;
  longer.resize(bytes.size() + kWantedLabelBytes);
  EXPECT_EQ(read_wanted(longer).error().code, Errc::kLimit);
}

}  // namespace
}  // namespace mvm::sealing
