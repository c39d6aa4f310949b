#include "broker/snapshot/hand_over.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

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

}  // namespace
}  // namespace mvm::snapshot
