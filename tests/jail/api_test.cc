// The client against a socket whose other end does what it likes.
#include "broker/jail/api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

namespace mvm::jail {
namespace {

using std::chrono::milliseconds;
const std::string kNoContent = "HTTP/1.1 204 \r\nServer: Firecracker API\r\n\r\n";

class ApiTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    api_ = std::make_unique<Api>(Fd(ends[0]));
    vmm_ = Fd(ends[1]);
  }
  void vmm_says(std::string_view bytes) { ASSERT_EQ(write(vmm_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size())); }
  std::string vmm_heard() {
    char text[4096];
    const ssize_t got = read(vmm_.get(), text, sizeof text);
    return got < 0 ? "" : std::string(text, static_cast<std::size_t>(got));
  }
  Status put(milliseconds time = milliseconds(2000)) { return api_->change("PUT", "/entropy", "{}", Deadline(time)); }
  std::unique_ptr<Api> api_;
  Fd vmm_;
};

TEST_F(ApiTest, SendsTheseBytes) {
  vmm_says(kNoContent);
  ASSERT_TRUE(put());
  EXPECT_EQ(vmm_heard(),
            "PUT /entropy HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
  vmm_says("HTTP/1.1 200 \r\nContent-Length: 32\r\n\r\n{\"firecracker_version\":\"1.16.1\"}");
  EXPECT_EQ(api_->version(Deadline(milliseconds(2000))), "1.16.1");
  EXPECT_EQ(vmm_heard(), "GET /version HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n\r\n");
}

TEST_F(ApiTest, SaysWhatTheVmmRefused) {
  vmm_says("HTTP/1.1 400 \r\nContent-Length: 22\r\n\r\n{\"fault_message\":\"no\"}");
  const auto refused = put();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kDenied);
  EXPECT_EQ(refused.error().tried, "PUT /entropy: status 400");
  EXPECT_EQ(refused.error().on, "{\"fault_message\":\"no\"}");
}

TEST_F(ApiTest, TakesOnlyNoContentForAChange) {
  vmm_says("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n");
  EXPECT_FALSE(put());
}

TEST_F(ApiTest, WaitsNoLongerThanItsDeadlineForSilence) {
  const auto begun = std::chrono::steady_clock::now();
  const auto waited = put(milliseconds(60));
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(1000));
}

// One byte at a time, each well before a naive timeout would start again.
TEST_F(ApiTest, WaitsNoLongerThanItsDeadlineForADrip) {
  std::atomic<bool> done = false;
  std::thread drip([&] {
    for (int i = 0; !done; ++i) {
      (void)!send(vmm_.get(), i == 0 ? "H" : "T", 1, MSG_NOSIGNAL);
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  const auto begun = std::chrono::steady_clock::now();
  const auto waited = put(milliseconds(100));
  done = true;
  drip.join();
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, Errc::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(1000));
}

TEST_F(ApiTest, WaitsNoLongerThanItsDeadlineToSend) {
  const std::string big(1 << 20, ' ');  // more than a socket holds; nobody reads
  const auto sent = api_->change("PUT", "/mmds", big, Deadline(milliseconds(60)));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, Errc::kTimeout);
}

TEST_F(ApiTest, SaysThatTheVmmHasGone) {
  vmm_says("HTTP/1.1 204 \r\n");
  (void)shutdown(vmm_.get(), SHUT_WR);
  EXPECT_EQ(put().error().code, Errc::kClosed);
  vmm_.reset();
  EXPECT_EQ(put().error().code, Errc::kClosed);
}

TEST_F(ApiTest, RefusesAnAnswerToMoreThanWasAsked) {
  vmm_says(kNoContent + kNoContent);
  EXPECT_EQ(put().error().code, Errc::kMalformed);
}

}  // namespace
}  // namespace mvm::jail
