#include "broker/pages/order.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/fd.h"
#include "broker/pages/server.h"

namespace mvm::pages {
namespace {

struct Channel {
  Channel() {
    std::array<int, 2> fds{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()), 0);
    ours = Fd(fds[0]);
    theirs = Fd(fds[1]);
  }
  Fd ours, theirs;
};

const SecretArena& arena() {
  static const SecretArena kArena = *SecretArena::make(1 << 16);
  return kArena;
}

TEST(Order, ComesWithItsKeysAsItWent) {
  const Channel channel;
  Keys sent = *Keys::room(arena()), keys = *Keys::room(arena());
  std::ranges::fill(sent.file.bytes(), std::uint8_t{0x42});
  std::ranges::fill(sent.base.bytes(), std::uint8_t{0x43});
  const Order order{sha256("file"), sha256("base"), 70'001, 5000};
  ASSERT_TRUE(send_order(channel.ours.get(), order, sent));
  const auto got = receive_order(channel.theirs.get(), keys);
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->file, order.file);
  EXPECT_EQ(got->peer, order.peer);
  EXPECT_EQ(got->patience, order.patience);
  EXPECT_EQ(got->base, order.base);
  EXPECT_TRUE(std::ranges::equal(sent.file.bytes(), keys.file.bytes()));
  EXPECT_TRUE(std::ranges::equal(sent.base.bytes(), keys.base.bytes()));
}

TEST(Order, IsRefusedShortLongOrOfAnotherForm) {
  const auto good = encode(Order{sha256("file"), {}, 1, 1});
  EXPECT_TRUE(decode_order(good));
  EXPECT_FALSE(decode_order(std::span(good).first(good.size() - 1)));
  auto other = good;
  other[0] ^= 1;
  EXPECT_EQ(decode_order(other).error().code, Errc::kMalformed);
  EXPECT_EQ(decode_order(encode(Order{{}, {}, 1, 0})).error().code, Errc::kLimit);
  EXPECT_TRUE(decode_order(encode(Order{{}, {}, 1, kMaxPatience})));
  EXPECT_EQ(decode_order(encode(Order{{}, {}, 1, kMaxPatience + 1})).error().code, Errc::kLimit);
  for (const std::size_t length : {1u, 80u, 143u, 145u, 200u}) {
    const Channel channel;
    Keys keys = *Keys::room(arena());
    std::vector<std::uint8_t> packet(good.begin(), good.end());
    packet.resize(length);
    ASSERT_EQ(send(channel.ours.get(), packet.data(), packet.size(), 0), static_cast<ssize_t>(length));
    EXPECT_EQ(receive_order(channel.theirs.get(), keys).error().code, Errc::kMalformed) << length;
  }
}

TEST(Order, IsNotWaitedForWhereNobodyIsThere) {
  Channel channel;
  channel.ours.reset();
  Keys keys = *Keys::room(arena());
  EXPECT_EQ(receive_order(channel.theirs.get(), keys).error().code, Errc::kClosed);
}

TEST(Report, ComesBackAsItWent) {
  const Report report{Said::kWhole, 1234, {5, 1, 9}};
  const auto got = decode_report(encode(report));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->said, report.said);
  EXPECT_EQ(got->faults, report.faults);
  EXPECT_EQ(got->touched, report.touched);
}

// A page server that was taken over may say anything.
TEST(Report, IsRefusedWhereItIsNone) {
  const auto good = encode(Report{Said::kWhole, 1, {5, 1}});
  const auto with = [&](std::size_t at, std::uint8_t value) {
    auto bytes = good;
    bytes[at] = value;
    return decode_report(bytes).has_value();
  };
  EXPECT_FALSE(with(0, 0));
  EXPECT_FALSE(with(0, 5));
  EXPECT_FALSE(with(4, 1));
  EXPECT_FALSE(with(4, 3));
  EXPECT_FALSE(decode_report(std::span(good).first(15)));
  EXPECT_FALSE(decode_report({}));
  EXPECT_TRUE(decode_report(encode(Report{Said::kWhole, 1, std::vector<std::uint32_t>(kMaxTouched)})));
  EXPECT_FALSE(decode_report(encode(Report{Said::kWhole, 1, std::vector<std::uint32_t>(kMaxTouched + 1)})));
}

TEST(Report, ThatNobodyHearsIsNoError) {
  Channel channel;
  channel.ours.reset();
  EXPECT_TRUE(send_report(channel.theirs.get(), {Said::kFirst, 0, {}}));
}

}  // namespace
}  // namespace mvm::pages
