#include "broker/guest/link.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/base/socket_pair.h"

namespace mvm::guest_worker {
namespace {

class GuestLink : public ::testing::Test {
 protected:
  GuestLink() {
    test::socket_pair(SOCK_SEQPACKET, from_, to_);
    test::socket_pair(SOCK_STREAM, guest_, connected_.connection);
    connected_.instance = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{7});
  }
  Fd from_, to_, guest_;
  Connected connected_;
};

TEST_F(GuestLink, GivesTheConnection) {
  ASSERT_TRUE(send_connected(from_.get(), connected_));
  const auto got = receive_connected(to_.get());
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_EQ(got->instance, connected_.instance);
  EXPECT_EQ(send(got->connection.get(), "x", 1, 0), 1);
  char heard = 0;
  EXPECT_EQ(read(guest_.get(), &heard, 1), 1);
  EXPECT_EQ(heard, 'x');
}

TEST_F(GuestLink, SaysWhetherThereIsAnythingOrEverWillBe) {
  EXPECT_EQ(receive_connected(to_.get()).error().code, Errc::kNotFound);
  from_.reset();
  EXPECT_EQ(receive_connected(to_.get()).error().code, Errc::kClosed);
}

TEST_F(GuestLink, TakesNothingElse) {
  ASSERT_EQ(send(from_.get(), "what", 4, 0), 4);
  EXPECT_EQ(receive_connected(to_.get()).error().code, Errc::kMalformed);
  ASSERT_TRUE(send_connected(from_.get(), connected_));
  char packet[512];
  const ssize_t size = recv(to_.get(), packet, sizeof packet, 0);  // without its descriptor
  ASSERT_GT(size, 0);
  ASSERT_EQ(send(from_.get(), packet, static_cast<std::size_t>(size), 0), size);
  EXPECT_EQ(receive_connected(to_.get()).error().code, Errc::kMalformed) << "without the connection";
}

}  // namespace
}  // namespace mvm::guest_worker
