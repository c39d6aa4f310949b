#include "broker/snapshot/hand_over.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "base/descriptors.h"
#include "tests/base/socket_pair.h"

namespace mvm::snapshot {
namespace {

class Link : public testing::Test {
 protected:
  Link() { test::socket_pair(SOCK_SEQPACKET, from, to); }
  static Fd null() { return Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }
  static HandOver some() {
    return {instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1}), sha256("a line"), sha256("a version"), null(), null(), null(), null(), null()};
  }
  Fd from, to;
};

TEST_F(Link, GivesWhatWasHandedOver) {
  ASSERT_TRUE(send_hand_over(from.get(), some()));
  const auto got = receive_hand_over(to.get());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->instance, some().instance);
  EXPECT_EQ(got->line, some().line);
  EXPECT_EQ(got->vmm, some().vmm);
  for (const Fd* fd : {&got->ours, &got->theirs, &got->file, &got->base, &got->state}) EXPECT_EQ(fcntl(fd->get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(Link, GivesNoBaseWhereThereIsNone) {
  HandOver full = some();
  full.base.reset();
  ASSERT_TRUE(send_hand_over(from.get(), full));
  const auto got = receive_hand_over(to.get());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_FALSE(got->base.valid());
  EXPECT_TRUE(got->file.valid() && got->state.valid());
}

TEST_F(Link, SaysWhetherThereIsAnythingOrEverWillBe) {
  EXPECT_EQ(receive_hand_over(to.get()).error().code, Errc::kNotFound);
  from.reset();
  EXPECT_EQ(receive_hand_over(to.get()).error().code, Errc::kClosed);
}

TEST_F(Link, TakesNothingElse) {
  ASSERT_EQ(send(from.get(), "what", 4, 0), 4);
  EXPECT_EQ(receive_hand_over(to.get()).error().code, Errc::kMalformed);
  ASSERT_TRUE(send_hand_over(from.get(), some()));
  std::array<char, 4096> packet{};
  const ssize_t size = recv(to.get(), packet.data(), packet.size(), 0);  // without its descriptors
  ASSERT_GT(size, 0);
  ASSERT_EQ(send(from.get(), packet.data(), static_cast<std::size_t>(size), 0), size);
  EXPECT_EQ(receive_hand_over(to.get()).error().code, Errc::kMalformed) << "without descriptors";
}

HeldMemory held() {
  return {instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1}), sha256("a line"), {{{0x7f0000000000, 3ULL << 30}, {0x7e0000000000, 1 << 30}}}, Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)),
          Fd(open("/dev/zero", O_RDONLY | O_CLOEXEC))};
}

TEST_F(Link, GivesAMemoryTheOtherWay) {
  ASSERT_TRUE(send_held_memory(to.get(), held()));
  const auto got = receive_held_memory(from.get());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->instance, held().instance);
  EXPECT_EQ(got->line, held().line);
  EXPECT_EQ(got->stretches, held().stretches);
  EXPECT_EQ(fcntl(got->memory.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(fcntl(got->pagemap.get(), F_GETFD), FD_CLOEXEC);
  EXPECT_EQ(receive_held_memory(from.get()).error().code, Errc::kNotFound);
}

TEST_F(Link, GivesAMemoryWithoutItsPagemap) {
  HeldMemory of_a_file = held();
  of_a_file.pagemap.reset();
  ASSERT_TRUE(send_held_memory(to.get(), of_a_file));
  const auto got = receive_held_memory(from.get());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_TRUE(got->memory.valid());
  EXPECT_FALSE(got->pagemap.valid());
}

TEST_F(Link, TakesNothingElseForAMemory) {
  ASSERT_EQ(send(to.get(), "what", 4, 0), 4);
  EXPECT_EQ(receive_held_memory(from.get()).error().code, Errc::kMalformed);
  ASSERT_TRUE(send_held_memory(to.get(), held()));
  std::array<char, 4096> packet{};
  const ssize_t size = recv(from.get(), packet.data(), packet.size(), 0);
  ASSERT_GT(size, 0);
  ASSERT_EQ(send(to.get(), packet.data(), static_cast<std::size_t>(size), 0), size);
  EXPECT_EQ(receive_held_memory(from.get()).error().code, Errc::kMalformed) << "without descriptors";
  packet[0] = static_cast<char>(~packet[0]);
  const std::array<int, 2> fds = {from.get(), from.get()};
  ASSERT_TRUE(send_with_descriptors(to.get(), {reinterpret_cast<const std::uint8_t*>(packet.data()), static_cast<std::size_t>(size)}, fds));
  EXPECT_EQ(receive_held_memory(from.get()).error().code, Errc::kMalformed) << "of another kind";
}

}  // namespace
}  // namespace mvm::snapshot
