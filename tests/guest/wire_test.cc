#include "guest/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mvm::guest {
namespace {

GenerationId some_id() { return {1, 2, 3}; }
Entropy some_entropy() { return {9, 8, 7}; }

std::vector<FromHost> host_messages() {
  return {{1, Ask{}}, {2, Prepare{std::chrono::seconds(20)}}, {3, Resume{1'700'000'000'000'000'000, some_id(), some_entropy()}}, {UINT64_MAX, Go{}}};
}
std::vector<FromGuest> guest_messages() {
  return {{0, Heartbeat{State::kIdle, 300}}, {7, Heartbeat{State::kParked, 0}}, {8, Parked{Outcome::kHookFailed}}, {9, Awake{Outcome::kDone}}};
}

TEST(GuestWire, BringsOverWhatWasSaid) {
  for (const FromHost& message : host_messages()) EXPECT_EQ(decode_from_host(encode(message)).value(), message);
  for (const FromGuest& message : guest_messages()) EXPECT_EQ(decode_from_guest(encode(message)).value(), message);
}

TEST(GuestWire, IsWhatTheManualSaysByteByByte) {
  const Packet packet = encode(FromHost{0x0102030405060708, Prepare{std::chrono::milliseconds(0x1234)}});
  const std::vector<std::uint8_t> head(packet.begin(), packet.begin() + 20);
  EXPECT_THAT(head, ::testing::ElementsAre('m', 'v', 'm', 'g', 1, 2, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0x34, 0x12, 0, 0));
}

TEST(GuestWire, TakesNoMessageOfTheOtherSide) {
  for (const FromHost& message : host_messages()) EXPECT_FALSE(decode_from_guest(encode(message)));
  for (const FromGuest& message : guest_messages()) EXPECT_FALSE(decode_from_host(encode(message)));
}

// Whatever byte is another: it is refused, or says something that would have been written just so.
TEST(GuestWire, HasOneSpelling) {
  for (const FromHost& message : host_messages()) {
    for (std::size_t at = 0; at < kMessage; ++at) {
      for (int value = 0; value < 256; ++value) {
        Packet packet = encode(message);
        packet[at] = static_cast<std::uint8_t>(value);
        const auto taken = decode_from_host(packet);
        ASSERT_TRUE(!taken || encode(*taken) == packet) << "byte " << at;
      }
    }
  }
  for (const FromGuest& message : guest_messages()) {
    for (std::size_t at = 0; at < kMessage; ++at) {
      for (int value = 0; value < 256; ++value) {
        Packet packet = encode(message);
        packet[at] = static_cast<std::uint8_t>(value);
        const auto taken = decode_from_guest(packet);
        ASSERT_TRUE(!taken || encode(*taken) == packet) << "byte " << at;
      }
    }
  }
}

TEST(GuestWire, RefusesWhatIsKeptForLater) {
  for (std::size_t at : {0, 4, 5, 6, 7, 16, 127}) {
    Packet packet = encode(FromHost{1, Ask{}});
    packet[at] = 0xee;
    const auto taken = decode_from_host(packet);
    ASSERT_FALSE(taken) << at;
    EXPECT_EQ(taken.error().code, Errc::kMalformed);
  }
}

TEST(GuestWire, HoldsEachNumberToItsBounds) {
  using std::chrono::milliseconds;
  EXPECT_FALSE(decode_from_host(encode(FromHost{0, Ask{}}))) << "a host's message has a number";
  EXPECT_TRUE(decode_from_host(encode(FromHost{1, Prepare{milliseconds(1)}})));
  EXPECT_FALSE(decode_from_host(encode(FromHost{1, Prepare{milliseconds(0)}})));
  EXPECT_TRUE(decode_from_host(encode(FromHost{1, Prepare{kMaxPrepare}})));
  EXPECT_FALSE(decode_from_host(encode(FromHost{1, Prepare{kMaxPrepare + milliseconds(1)}})));
  const Resume good{1, some_id(), some_entropy()};
  EXPECT_TRUE(decode_from_host(encode(FromHost{1, good})));
  EXPECT_FALSE(decode_from_host(encode(FromHost{1, Resume{0, good.generation, good.entropy}})));
  EXPECT_TRUE(decode_from_host(encode(FromHost{1, Resume{INT64_MAX, good.generation, good.entropy}})));
  EXPECT_FALSE(decode_from_host(encode(FromHost{1, Resume{1ULL << 63, good.generation, good.entropy}})));
  EXPECT_FALSE(decode_from_host(encode(FromHost{1, Resume{1, {}, good.entropy}})));
  EXPECT_FALSE(decode_from_host(encode(FromHost{1, Resume{1, good.generation, {}}})));
  EXPECT_FALSE(decode_from_guest(encode(FromGuest{0, Parked{Outcome::kDone}}))) << "an answer says to what";
  for (int beyond : {0, 6, 255}) EXPECT_FALSE(decode_from_guest(encode(FromGuest{1, Heartbeat{static_cast<State>(beyond), 0}})));
  for (int beyond : {0, 8, 255}) EXPECT_FALSE(decode_from_guest(encode(FromGuest{1, Awake{static_cast<Outcome>(beyond)}})));
}

}  // namespace
}  // namespace mvm::guest
