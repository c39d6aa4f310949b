// Volumes on real dm-crypt, with who opens and closes them killed before any of its system calls. Runs in the node VM.
#include "tests/storage/killed.h"

#include "tests/base/every.h"
#include "tests/storage/opened_fixture.h"

namespace mvm::storage {
namespace {

class KilledOpener : public OpenedVolumes {
 protected:
  // In a child: with memory for keys of its own.
  [[nodiscard]] Status open_in_child() const {
    static const SecretArena arena = SecretArena::make().value();
    return OpenVolumes{*devices_, *loops_, *volumes_, arena}.open(instance_, {1, key_of_bytes(arena, 7)});
  }
  // As a start does: what is there of ours is closed.
  void expect_it_can_be_brought_back(unsigned call) const {
    const auto found = open_volumes().list();
    ASSERT_TRUE(found);
    ASSERT_LE(found->size(), 1u);
    EXPECT_TRUE(open_volumes().close(instance_)) << "call " << call;
    EXPECT_EQ(devices_->find(name_).error().code, Errc::kNotFound) << "call " << call;
    EXPECT_TRUE(without_loops()) << "call " << call;
    EXPECT_EQ(volumes_->list().value().size(), 1u);
  }
  void write(const std::string& text) const {
    const Fd data = node();
    ASSERT_EQ(pwrite(data.get(), text.data(), text.size(), 8192), static_cast<ssize_t>(text.size()));
    ASSERT_EQ(fsync(data.get()), 0);
  }
  [[nodiscard]] std::string read(std::size_t size) const {
    std::string text(size, ' ');
    const Fd data = node();
    return pread(data.get(), text.data(), size, 8192) == static_cast<ssize_t>(size) ? text : "";
  }
};

TEST_F(KilledOpener, LeavesWhatAStartClosesAndNothingIsLost) {
  const std::string canary = "what the guest was told is written";
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  write(canary);
  ASSERT_TRUE(open_volumes().close(instance_));
  const test::Every calls(9);
  for (unsigned call = calls.first;; call += calls.step) {
    const Ended ended = killed_at(call, [&] { return open_in_child().has_value(); });
    ASSERT_NE(ended, Ended::kFailed) << "call " << call;
    expect_it_can_be_brought_back(call);
    if (testing::Test::HasFailure() || ended == Ended::kDone) break;
  }
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  EXPECT_EQ(read(canary.size()), canary);
}

TEST_F(KilledOpener, OfAVolumeThatIsNewLeavesItsName) {
  const test::Every calls(9);
  for (unsigned call = calls.first;; call += calls.step) {
    const Ended ended = killed_at(call, [&] { return open_in_child().has_value(); });
    ASSERT_NE(ended, Ended::kFailed) << "call " << call;
    const bool mapped = devices_->find(name_).has_value();
    EXPECT_TRUE(!mapped || volumes_->list().value()[0].use == Use::kOpened) << "call " << call << ": a guest could write to what recovery would sweep";
    expect_it_can_be_brought_back(call);
    if (testing::Test::HasFailure() || ended == Ended::kDone) break;
    if (fs::exists(file_path())) fs::rename(file_path(), fresh_path());
  }
}

TEST_F(KilledOpener, WhileItClosesLeavesItOpenOrClosed) {
  const test::Every calls(3);
  for (unsigned call = calls.first;; call += calls.step) {
    ASSERT_TRUE(open_volumes().open(instance_, {1, key_})) << "call " << call;
    const Ended ended = killed_at(call, [&] { return open_volumes().close(instance_).has_value(); });
    ASSERT_NE(ended, Ended::kFailed) << "call " << call;
    expect_it_can_be_brought_back(call);
    if (testing::Test::HasFailure() || ended == Ended::kDone) break;
  }
}

}  // namespace
}  // namespace mvm::storage
