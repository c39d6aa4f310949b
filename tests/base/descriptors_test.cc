#include "base/descriptors.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "tests/base/socket_pair.h"

namespace mvm {
namespace {

class Descriptors : public ::testing::Test {
 protected:
  Descriptors() { test::socket_pair(SOCK_SEQPACKET, from_, to_); }
  [[nodiscard]] Status send(std::span<const int> descriptors) const { return send_with_descriptors(from_.get(), kPacket, descriptors); }
  [[nodiscard]] Result<std::vector<Fd>> receive(std::size_t descriptors) { return receive_with_descriptors(to_.get(), packet_, descriptors); }
  static std::ptrdiff_t open_ones() { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}); }

  static constexpr std::array<std::uint8_t, 4> kPacket = {'w', 'h', 'a', 't'};
  std::array<std::uint8_t, 4> packet_{};
  Fd from_, to_, null_ = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)), zero_ = Fd(open("/dev/zero", O_RDONLY | O_CLOEXEC));
};

dev_t device_of(const Fd& fd) {
  struct stat info {};
  EXPECT_EQ(fstat(fd.get(), &info), 0);
  return info.st_rdev;
}

TEST_F(Descriptors, ComeInOrderWithTheirPacketAndAreClosedOnExec) {
  ASSERT_TRUE(send(std::array{null_.get(), zero_.get()}));
  const auto got = receive(2);
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(packet_, kPacket);
  EXPECT_EQ(device_of((*got)[0]), device_of(null_));
  EXPECT_EQ(device_of((*got)[1]), device_of(zero_));
  for (const Fd& each : *got) EXPECT_EQ(fcntl(each.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(Descriptors, AreNotWaitedForAndEndWithTheOtherEnd) {
  EXPECT_EQ(receive(1).error().code, Errc::kNotFound);
  from_.reset();
  EXPECT_EQ(receive(1).error().code, Errc::kClosed);
}

TEST_F(Descriptors, OfAnotherNumberAreRefusedAndClosed) {
  const auto before = open_ones();
  ASSERT_TRUE(send(std::array{null_.get(), zero_.get()}));
  EXPECT_EQ(receive(1).error().code, Errc::kMalformed);
  ASSERT_TRUE(send(std::array{null_.get()}));
  EXPECT_EQ(receive(2).error().code, Errc::kMalformed);
  EXPECT_EQ(open_ones(), before);
}

TEST_F(Descriptors, WithAPacketOfAnotherLengthAreRefused) {
  for (const std::size_t length : {3u, 5u}) {
    const std::vector<std::uint8_t> packet(length);
    ASSERT_TRUE(send_with_descriptors(from_.get(), packet, std::array{null_.get()}));
    EXPECT_EQ(receive(1).error().code, Errc::kMalformed) << length;
  }
}

TEST_F(Descriptors, AreAsManyAsTheLimitSays) {
  std::array<int, kMaxDescriptors + 1> many;
  many.fill(null_.get());
  EXPECT_TRUE(send(std::span(many).first(kMaxDescriptors)));
  EXPECT_TRUE(receive(kMaxDescriptors));
  EXPECT_EQ(send(many).error().code, Errc::kLimit);
}

TEST_F(Descriptors, AreNotSentWhereThereIsNoRoom) {
  Status sent;
  for (int i = 0; i < 10'000 && sent; ++i) sent = send(std::array{null_.get()});
  ASSERT_FALSE(sent);
  EXPECT_TRUE(sent.error().sys_errno == EAGAIN || sent.error().sys_errno == ETOOMANYREFS) << sent.error().message();
}

}  // namespace
}  // namespace mvm
