// What is taken of a hand-over, and that it is taken as a VMM that its guest has taken over might send it.
#include "broker/pages/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstring>
#include <string>

namespace mvm::pages {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr Shape kShape{.memory = 512 * kMiB, .chunk = 65'536};

std::string region(std::uint64_t base, std::uint64_t size, std::uint64_t offset, std::uint64_t page = 4096) {
  return "{\"base_host_virt_addr\":" + std::to_string(base) + ",\"size\":" + std::to_string(size) + ",\"offset\":" + std::to_string(offset) +
         ",\"page_size\":" + std::to_string(page) + ",\"page_size_kib\":" + std::to_string(page) + "}";
}
const std::string kGood = "[" + region(0x7f00'0000'0000, 512 * kMiB, 0) + "]";

Errc refused(const std::string& text, const Shape& shape = kShape) {
  const auto mappings = parse_mappings(text, shape);
  EXPECT_FALSE(mappings) << text;
  return mappings ? Errc::kClosed : mappings.error().code;
}

TEST(HandOver, IsTakenAsFirecrackerSendsIt) {
  const auto one = parse_mappings(kGood, kShape);
  ASSERT_TRUE(one) << one.error().message();
  EXPECT_EQ(one->regions, (std::vector<Region>{{0x7f00'0000'0000, 512 * kMiB, 0}}));
  EXPECT_EQ(one->page, kSmallPage);
  const auto two = parse_mappings("[" + region(0x7f00'0000'0000, 300 * kMiB, 0, kHugePage) + "," + region(0x7e00'0000'0000, 212 * kMiB, 300 * kMiB, kHugePage) + "]", kShape);
  ASSERT_TRUE(two) << two.error().message();
  EXPECT_EQ(two->regions.size(), 2u);
  EXPECT_EQ(two->page, kHugePage);
}

TEST(HandOver, IsTakenOfV110WhichHasTheOlderNameAlone) {
  EXPECT_TRUE(parse_mappings(R"([{"base_host_virt_addr":4096,"size":536870912,"offset":0,"page_size_kib":4096}])", kShape));
}

TEST(HandOver, IsRefusedWhereItsFormIsAnother) {
  for (const std::string text : {"", "[", "[]", "{}", "[{}]", "null", "[null]", "[1]", "[{\"size\":1}]"}) EXPECT_EQ(refused(text), Errc::kMalformed);
  EXPECT_EQ(refused(kGood + " "), Errc::kMalformed);
  EXPECT_EQ(refused(kGood + kGood), Errc::kMalformed);
  EXPECT_EQ(refused(kGood.substr(0, kGood.size() - 1)), Errc::kMalformed) << "cut, as where it is read in two parts";
  EXPECT_EQ(refused("[" + region(4096, 512 * kMiB, 0) + ",]"), Errc::kMalformed);
  const auto with = [](const char* size) { return std::string(R"([{"base_host_virt_addr":4096,"size":)") + size + R"(,"offset":0,"page_size":4096}])"; };
  EXPECT_TRUE(parse_mappings(with("536870912"), kShape));
  for (const char* size : {"-1", "0536870912", "5.0", "1e9", "\"536870912\"", "18446744073709551616", "99999999999999999999999", "", "+1", " 536870912"}) {
    EXPECT_EQ(refused(with(size)), Errc::kMalformed);
  }
  EXPECT_EQ(refused(R"([{"base_host_virt_addr":4096,"size":536870912,"size":536870912,"offset":0,"page_size":4096}])"), Errc::kMalformed) << "a field twice";
  EXPECT_EQ(refused(R"([{"base_host_virt_addr":4096,"size":536870912,"offset":0,"page_size":4096,"more":1}])"), Errc::kMalformed) << "a field that there is not";
  EXPECT_EQ(refused(R"([{"base_host_virt_addr":4096,"size":536870912,"offset":0}])"), Errc::kMalformed) << "no page size";
  EXPECT_EQ(refused(R"([{"base_host_virt_addr":4096,"size":536870912,"offset":0,"page_size":4096,"page_size_kib":2097152}])"), Errc::kMalformed) << "two page sizes";
}

TEST(HandOver, IsRefusedWhereItIsNotAllOfTheMemoryOnce) {
  const auto two = [](std::uint64_t base, std::uint64_t size, std::uint64_t offset) { return "[" + region(kMiB, 256 * kMiB, 0) + "," + region(base, size, offset) + "]"; };
  EXPECT_TRUE(parse_mappings(two(257 * kMiB, 256 * kMiB, 256 * kMiB), kShape));
  EXPECT_EQ(refused(two(257 * kMiB, 255 * kMiB, 256 * kMiB)), Errc::kMalformed) << "less";
  EXPECT_EQ(refused(two(257 * kMiB, 257 * kMiB, 256 * kMiB)), Errc::kMalformed) << "more";
  EXPECT_EQ(refused(two(257 * kMiB, 256 * kMiB, 255 * kMiB)), Errc::kMalformed) << "a part twice";
  EXPECT_EQ(refused(two(257 * kMiB, 256 * kMiB, 257 * kMiB)), Errc::kMalformed) << "a part never";
  EXPECT_EQ(refused(two(256 * kMiB, 256 * kMiB, 256 * kMiB)), Errc::kMalformed) << "the end of the first lies over the second's beginning";
  EXPECT_EQ(refused(two(kMiB, 256 * kMiB, 256 * kMiB)), Errc::kMalformed) << "one over the other";
  EXPECT_EQ(refused("[" + region(kMiB, 512 * kMiB, 0) + "," + region(kMiB, 0, 512 * kMiB) + "]"), Errc::kMalformed) << "an empty one";
  EXPECT_EQ(refused("[" + region(kMiB, ~std::uint64_t{0}, 0) + "]"), Errc::kMalformed);
  EXPECT_EQ(refused("[" + region(kMiB, 512 * kMiB + 4096, 0) + "]", {.memory = 512 * kMiB + 4096, .chunk = 65'536}), Errc::kMalformed) << "not of whole chunks";
}

TEST(HandOver, IsRefusedWhereAnAddressCannotBe) {
  EXPECT_EQ(refused("[" + region(0, 512 * kMiB, 0) + "]"), Errc::kMalformed);
  EXPECT_EQ(refused("[" + region(4095, 512 * kMiB, 0) + "]"), Errc::kMalformed);
  EXPECT_EQ(refused("[" + region(std::uint64_t{1} << 56, 512 * kMiB, 0) + "]"), Errc::kMalformed);
  EXPECT_EQ(refused("[" + region(~std::uint64_t{4095}, 512 * kMiB, 0) + "]"), Errc::kMalformed);
  EXPECT_EQ(refused("[" + region(4096, 512 * kMiB, 0, kHugePage) + "]"), Errc::kMalformed) << "not at a huge page's beginning";
}

TEST(HandOver, IsRefusedWithAnotherPageSize) {
  for (const std::uint64_t page : {0ULL, 1ULL, 8192ULL, 1ULL << 30}) EXPECT_EQ(refused("[" + region(1 << 30, 512 * kMiB, 0, page) + "]"), Errc::kMalformed);
  EXPECT_EQ(refused("[" + region(kMiB * 2, 256 * kMiB, 0, kHugePage) + "," + region(600 * kMiB, 256 * kMiB, 256 * kMiB, 4096) + "]"), Errc::kMalformed) << "one of each";
}

TEST(HandOver, IsRefusedAboveItsLimits) {
  const auto many = [](std::size_t count) {
    std::string text = "[";
    for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + region(kMiB * (1 + 2 * i), kMiB, kMiB * i);
    return text + "]";
  };
  EXPECT_TRUE(parse_mappings(many(kMaxRegions), {.memory = kMaxRegions * kMiB, .chunk = 65'536}));
  EXPECT_EQ(refused(many(kMaxRegions + 1), {.memory = (kMaxRegions + 1) * kMiB, .chunk = 65'536}), Errc::kLimit);
  EXPECT_EQ(refused(std::string(kMaxHandOver + 1, '[')), Errc::kLimit);
}

class Received : public testing::Test {
 protected:
  Received() {
    std::array<int, 2> fds{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    ours_ = Fd(fds[0]);
    theirs_ = Fd(fds[1]);
  }
  void send(const std::string& text, std::size_t descriptors) {
    const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    std::vector<char> control(CMSG_SPACE(descriptors * sizeof(int)));
    iovec part{const_cast<char*>(text.data()), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (descriptors > 0) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* const header = CMSG_FIRSTHDR(&message);
      *header = {.cmsg_len = CMSG_LEN(descriptors * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
      for (std::size_t i = 0; i < descriptors; ++i) {
        const int fd = null.get();
        std::memcpy(CMSG_DATA(header) + i * sizeof fd, &fd, sizeof fd);
      }
    }
    ASSERT_EQ(sendmsg(theirs_.get(), &message, 0), static_cast<ssize_t>(text.size()));
  }
  Result<HandOver> received() { return receive_hand_over(ours_.get(), kShape); }
  static std::size_t open_descriptors() {
    std::size_t open = 0;
    for (int fd = 0; fd < 256; ++fd) open += fcntl(fd, F_GETFD) >= 0;
    return open;
  }
  Fd ours_, theirs_;
};

TEST_F(Received, IsOneMessageWithOneDescriptorThatDoesNotOutliveExec) {
  send(kGood, 1);
  const auto hand_over = received();
  ASSERT_TRUE(hand_over) << hand_over.error().message();
  EXPECT_EQ(fcntl(hand_over->userfaultfd.get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(Received, IsRefusedWithoutADescriptorOrWithMoreAndKeepsNone) {
  for (const std::size_t count : {0u, 2u, 4u, 5u, 100u}) {
    const std::size_t before = open_descriptors();
    send(kGood, count);
    const auto hand_over = received();
    ASSERT_FALSE(hand_over);
    EXPECT_EQ(hand_over.error().code, Errc::kDenied) << count;
    EXPECT_EQ(open_descriptors(), before) << count;
  }
}

TEST_F(Received, IsRefusedWhereTheMessageIsTooLong) {
  send("[" + std::string(kMaxHandOver, ' '), 1);
  EXPECT_EQ(received().error().code, Errc::kLimit);
}

TEST_F(Received, SaysThatThePeerHasGone) {
  theirs_.reset();
  EXPECT_FALSE(received());
}

}  // namespace
}  // namespace mvm::pages
