// The files of volumes, with who makes and destroys them killed between any two system calls.
#include "tests/storage/killed.h"

#include "tests/base/every.h"
#include "tests/storage/storage_fixture.h"

namespace mvm::storage {
namespace {

class KilledWorker : public StorageFixture {
 protected:
  KilledWorker() : StorageFixture("/dev/shm") {}  // what a kill leaves does not depend on the disk, which is slow to sync
  // In a child: with memory for keys of its own.
  static Secret key_of_child(std::uint8_t byte) {
    static const SecretArena arena = SecretArena::make().value();
    return key_of_bytes(arena, byte);
  }
  [[nodiscard]] bool opens(std::uint8_t byte) const {
    const auto file = volumes().open(instance_);
    return file && unlock_luks(file->get(), key_of_bytes(arena_, byte), arena_);
  }
};

TEST_F(KilledWorker, WhileItMakesAVolumeLeavesNoneThatAnyoneCouldMiss) {
  const test::Every calls(1);
  unsigned kills = 0;
  for (unsigned call = calls.first;; call += calls.step, ++kills) {
    const Ended ended = killed_at(call, [&] { return volumes().format(instance_, 16, {1, key_of_child(7)}).has_value(); });
    ASSERT_NE(ended, Ended::kFailed);
    const auto left = volumes().list().value();
    ASSERT_LE(left.size(), 1u);
    if (!left.empty()) {
      EXPECT_EQ(left[0].instance, instance_);
      EXPECT_EQ(left[0].use, Use::kNever) << "so that recovery takes it away";
      EXPECT_EQ(volumes().format(instance_, 16, {1, key_of_bytes(arena_, 7)}).error().code, Errc::kExists) << "and nothing formats it again";
    }
    if (ended == Ended::kDone) {
      EXPECT_TRUE(opens(7));
    }
    ASSERT_TRUE(volumes().destroy(instance_));
    EXPECT_TRUE(fs::is_empty(state_ + "/volumes")) << "call " << call;
    if (ended == Ended::kDone) break;
  }
  EXPECT_GT(kills * calls.step, 20u);
}

TEST_F(KilledWorker, WhileItDestroysAVolumeNeverLeavesAKeyslotWithoutItsName) {
  const test::Every calls(1);
  unsigned kills = 0;
  for (unsigned call = calls.first;; call += calls.step, ++kills) {
    ASSERT_TRUE(volumes().format(instance_, 16, {1, key_of_bytes(arena_, 7)}));
    ASSERT_TRUE(volumes().mark_opened(instance_));
    const Fd still_open(open(file_path().c_str(), O_RDONLY | O_CLOEXEC));
    const Ended ended = killed_at(call, [&] { return volumes().destroy(instance_).has_value(); });
    ASSERT_NE(ended, Ended::kFailed);
    std::string header(kLuksHeaderBytes, 'x');
    ASSERT_EQ(pread(still_open.get(), header.data(), header.size(), 0), static_cast<ssize_t>(header.size()));
    const bool wiped = header == std::string(kLuksHeaderBytes, '\0');
    const bool named = fs::exists(file_path());
    EXPECT_TRUE(wiped || named) << "call " << call << ": the name has gone before the keyslots";
    ASSERT_TRUE(volumes().destroy(instance_)) << "what is left of it is destroyed all the same";
    EXPECT_TRUE(volumes().list().value().empty());
    if (ended == Ended::kDone) break;
  }
  EXPECT_GT(kills * calls.step, 20u);
}

// Whatever the file is called after, the key of that version opens it; and the rest of the way works from there.
TEST_F(KilledWorker, WhileItChangesTheKeyLeavesTheKeyThatItsNameTells) {
  const test::Every calls(1);
  const auto old_key = key_of_bytes(arena_, 7), new_key = key_of_bytes(arena_, 8);
  unsigned before = 0, after = 0;
  for (unsigned call = calls.first;; call += calls.step) {
    ASSERT_TRUE(volumes().format(instance_, 16, {1, old_key}));
    const Ended ended = killed_at(call, [&] {
      static const SecretArena arena = SecretArena::make().value();
      return volumes().rekey(instance_, {1, key_of_bytes(arena, 7)}, {2, key_of_bytes(arena, 8)}, arena).has_value();
    });
    ASSERT_NE(ended, Ended::kFailed) << "call " << call;
    const auto found = volumes().find(instance_);
    ASSERT_TRUE(found) << found.error().message();
    ASSERT_TRUE(opens(found->key_version == 1 ? 7 : 8)) << "call " << call << ", version " << found->key_version;
    if (found->key_version == 1) {
      ++before;
      const auto again = volumes().rekey(instance_, {1, old_key}, {2, new_key}, arena_);
      ASSERT_TRUE(again) << "call " << call << ": " << again.error().message();
      EXPECT_FALSE(opens(7)) << "call " << call;
    } else {
      ++after;
    }
    EXPECT_EQ(volumes().find(instance_)->key_version, 2u);
    EXPECT_TRUE(opens(8)) << "call " << call;
    if (ended == Ended::kDone) {
      EXPECT_FALSE(opens(7));
    }
    ASSERT_TRUE(volumes().destroy(instance_));
    if (ended == Ended::kDone) break;
  }
  EXPECT_GT(before, 5u);
  EXPECT_GT(after, 1u);
}

}  // namespace
}  // namespace mvm::storage
