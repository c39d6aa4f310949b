// Boxes and conditions against single values.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "net-verify/model/snapshot.h"
#include "net-verify/space/match.h"

namespace mvm::verify {
namespace {

std::uint32_t first_seed() {
  const char* text = std::getenv("MVM_TEST_SEED");
  return text == nullptr ? std::random_device{}() : static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10));
}

// Two fields of a few values each, so that every packet can be looked at.
constexpr Field kFirst = Field::kProtocol, kSecond = Field::kSourcePort;
constexpr std::uint64_t kValues = 7;

Box random_box(std::mt19937& random) {
  const auto interval = [&] {
    const std::uint64_t a = random() % kValues, b = random() % kValues;
    return Interval{std::min(a, b), std::max(a, b)};
  };
  return Box().with(kFirst, interval()).with(kSecond, interval());
}

bool contains(const std::vector<Box>& boxes, const Box& packet) {
  return std::ranges::any_of(boxes, [&](const Box& box) { return box.contains(packet); });
}

template <class Check>
void for_each_packet(Check check) {
  for (std::uint64_t a = 0; a < kValues; ++a)
    for (std::uint64_t b = 0; b < kValues; ++b) check(Box().with(kFirst, a).with(kSecond, b));
}

TEST(Boxes, SubtractAndIntersectAsTheirPacketsDo) {
  const std::uint32_t seed = first_seed();
  SCOPED_TRACE("MVM_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 2000; ++i) {
    const Box a = random_box(random), b = random_box(random);
    const std::vector<Box> left = subtract(a, b);
    const Box both = intersect(a, b);
    for (std::size_t j = 0; j < left.size(); ++j)
      for (std::size_t k = j + 1; k < left.size(); ++k) ASSERT_TRUE(intersect(left[j], left[k]).empty()) << "not disjoint";
    for_each_packet([&](const Box& packet) {
      // Packets fix two fields; the boxes leave the others open, so a packet is in one or in none.
      ASSERT_EQ(a.contains(packet) && !b.contains(packet), contains(left, packet));
      ASSERT_EQ(a.contains(packet) && b.contains(packet), !both.empty() && both.contains(packet));
      if (a.contains(packet) || b.contains(packet)) { ASSERT_TRUE(a.hull(b).contains(packet)); }
    });
  }
}

TEST(Boxes, WithoutTakesAllOfThemAway) {
  const std::uint32_t seed = first_seed();
  SCOPED_TRACE("MVM_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 500; ++i) {
    const Box box = random_box(random);
    const std::vector<Box> taken = {random_box(random), random_box(random), random_box(random)};
    const std::vector<Box> left = without(box, taken);
    for_each_packet([&](const Box& packet) { ASSERT_EQ(box.contains(packet) && !contains(taken, packet), contains(left, packet)); });
  }
}

TEST(MaskedEqual, IsEachValueThatTheMaskMakesEqual) {
  for (std::uint64_t mask = 0; mask < 256; ++mask)
    for (std::uint64_t wanted : {std::uint64_t{0}, mask, mask & 0x55, mask & 0xf0}) {
      const auto intervals = masked_equal(Field::kProtocol, mask, wanted);
      ASSERT_TRUE(intervals);
      for (std::uint64_t value = 0; value < 256; ++value) {
        const bool inside = std::ranges::any_of(*intervals, [&](const Interval& i) { return i.contains(value); });
        ASSERT_EQ((value & mask) == wanted, inside) << mask << " " << wanted << " " << value;
      }
    }
}

TEST(MaskedEqual, IsNotAnsweredWhereItWouldBeTooManyIntervals) {
  EXPECT_TRUE(masked_equal(Field::kSource, 1U << 21, 0));      // 10 free bits above: kMaxIntervals
  EXPECT_FALSE(masked_equal(Field::kSource, 1U << 20, 0));     // one more
}

TEST(MaskedEqual, KnowsTheBitsOfConntracksStates) {
  const auto answers = masked_equal(Field::kState, 2 | 4, 0);  // neither established nor related
  ASSERT_TRUE(answers);
  EXPECT_EQ((std::vector<Interval>{{kInvalid, kInvalid}, {kNew, kNew}, {kUntracked, kUntracked}}), *answers);
}

TEST(Between, IsEachValueInTheRange) {
  const std::vector<Byte> port = bytes_of(Field::kTargetPort);
  const Data low = {0, 22}, high = {1, 0};
  const Condition met = between(Box(), port, low, high);
  ASSERT_EQ(1U, met.holds.size());
  EXPECT_EQ((Interval{22, 256}), met.holds[0].of(Field::kTargetPort));
  EXPECT_EQ(Certainty::kExact, met.certainty);
}

TEST(Equals, OfAMaskedByteTwiceWithTwoValuesIsNever) {
  std::vector<Byte> bytes = bytes_of(Field::kProtocol);
  bytes.push_back(bytes[0]);
  const Data values = {6, 17};
  EXPECT_TRUE(equals(Box(), bytes, values).holds.empty());
}

TEST(Equals, OfWhatTheHostAloneKnowsIsUnknown) {
  const std::vector<Byte> bytes(4);
  const Data value = {0, 0, 0, 1};
  EXPECT_EQ(Certainty::kUnknown, equals(Box(), bytes, value).certainty);
}

}  // namespace
}  // namespace mvm::verify
