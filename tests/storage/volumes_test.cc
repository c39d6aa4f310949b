// Files of volumes and their LUKS2 headers: needs root for its own files, and the kernel's AF_ALG, but no device-mapper.
#include <sys/random.h>

#include "tests/base/dumped_memory.h"
#include "tests/storage/storage_fixture.h"

namespace mvm::storage {
namespace {

std::string content_of(const std::string& path, std::size_t size) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(size, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  bytes.resize(static_cast<std::size_t>(file.gcount()));
  return bytes;
}

class VolumeFiles : public StorageFixture {};

TEST_F(VolumeFiles, OpensWithItsKeyAndWithNoOther) {
  const auto key = key_of_bytes(arena_, 7), other = key_of_bytes(arena_, 8);
  ASSERT_TRUE(volumes().format(instance_, 16, {1, key}));
  const auto file = volumes().open(instance_);
  ASSERT_TRUE(file) << file.error().message();
  EXPECT_EQ(volumes().data_of(file->get()).value().mib, 16u);
  const auto opened = unlock_luks(file->get(), key, arena_);
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(opened->uuid.size(), 36u);
  const auto refused = unlock_luks(file->get(), other, arena_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kDenied);
}

Secret random_key(const SecretArena& arena) {
  Secret key = arena.take(kKeyBytes).value();
  EXPECT_EQ(getrandom(key.bytes().data(), key.size(), 0), static_cast<ssize_t>(key.size()));
  return key;
}
std::vector<std::uint8_t> masked(const Secret& key) {
  std::vector<std::uint8_t> inverted(key.bytes().begin(), key.bytes().end());
  for (std::uint8_t& byte : inverted) byte = static_cast<std::uint8_t>(~byte);
  return inverted;
}
// All of the arena but what is held, zero.
bool is_clean_but_for(const SecretArena& arena, std::size_t held) {
  const auto rest = arena.take(kSecretArenaBytes - held * 4096);
  return rest && std::ranges::all_of(rest->bytes(), [](std::uint8_t byte) { return byte == 0; });
}

// Whether it opens or not: no copy of a key is left, in libcryptsetup's memory and OpenSSL's neither, of the tenant's and of the volume's own.
TEST_F(VolumeFiles, LeaveNoCopyOfAKeyBehind) {
  const auto key = random_key(arena_), other = random_key(arena_), third = random_key(arena_);
  std::vector<std::vector<std::uint8_t>> secrets = {masked(key), masked(other), masked(third)};
  const auto nothing_is_left = [&](const char* after) {
    for (const auto& secret : secrets) EXPECT_FALSE(test::is_dumped("self", secret)) << after;
    EXPECT_TRUE(is_clean_but_for(arena_, 3)) << after;
  };
  ASSERT_TRUE(volumes().format(instance_, 16, {1, key}));
  nothing_is_left("it is made");
  const auto file = volumes().open(instance_);
  {
    const auto opened = unlock_luks(file->get(), key, arena_);
    ASSERT_TRUE(opened);
    secrets.push_back(masked(opened->volume_key));
  }
  nothing_is_left("it is opened");
  EXPECT_FALSE(unlock_luks(file->get(), other, arena_));
  nothing_is_left("it is not opened");
  ASSERT_TRUE(add_luks_key(file->get(), key, other, arena_));
  EXPECT_FALSE(add_luks_key(file->get(), third, key, arena_));
  EXPECT_FALSE(add_luks_key(file->get(), third, third, arena_));
  nothing_is_left("a key is added, or is not");
  EXPECT_FALSE(keep_luks_key(file->get(), third, arena_));
  ASSERT_TRUE(keep_luks_key(file->get(), other, arena_));
  nothing_is_left("one is kept, or is not");
}

TEST_F(VolumeFiles, AreSparse) {
  ASSERT_TRUE(volumes().format(instance_, 1024, {1, key_of_bytes(arena_, 7)}));
  struct stat info {};
  ASSERT_EQ(stat(fresh_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_size, static_cast<off_t>(kLuksHeaderBytes + (1024ull << 20)));
  EXPECT_LE(info.st_blocks * 512, static_cast<off_t>(kLuksHeaderBytes));
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_F(VolumeFiles, AreNeverFormattedWhereSomethingIs) {
  const auto key = key_of_bytes(arena_, 7);
  ASSERT_TRUE(volumes().format(instance_, 16, {1, key}));
  const std::string header = content_of(fresh_path(), kLuksHeaderBytes);
  const auto again = volumes().format(instance_, 16, {1, key});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Errc::kExists);
  EXPECT_EQ(content_of(fresh_path(), kLuksHeaderBytes), header);
  ASSERT_TRUE(volumes().mark_opened(instance_));
  EXPECT_TRUE(volumes().mark_opened(instance_)) << "again is nothing";
  EXPECT_EQ(volumes().format(instance_, 16, {1, key}).error().code, Errc::kExists);
  EXPECT_EQ(content_of(file_path(), kLuksHeaderBytes), header);
  EXPECT_FALSE(fs::exists(fresh_path()));
  ASSERT_TRUE(volumes().destroy(instance_));
  fs::create_directories(state_ + "/volumes/acme/workers");
  std::ofstream(state_ + "/volumes/acme/workers/i-a3f7b2c1.1.new") << "half";
  const auto half = volumes().format(instance_, 16, {1, key});
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().code, Errc::kExists);
}

TEST_F(VolumeFiles, LeaveNothingBehindWhereFormattingFails) {
  auto short_key = arena_.take(16).value();
  EXPECT_FALSE(volumes().format(instance_, 16, {1, short_key}));
  EXPECT_TRUE(fs::is_empty(state_ + "/volumes"));
}

TEST_F(VolumeFiles, AreOverwrittenBeforeTheyAreRemoved) {
  ASSERT_TRUE(volumes().format(instance_, 16, {1, key_of_bytes(arena_, 7)}));
  const Fd still_open(open(fresh_path().c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(volumes().destroy(instance_));
  EXPECT_TRUE(fs::is_empty(state_ + "/volumes"));
  std::string left(kLuksHeaderBytes, 'x');
  ASSERT_EQ(pread(still_open.get(), left.data(), left.size(), 0), static_cast<ssize_t>(left.size()));
  EXPECT_EQ(left, std::string(kLuksHeaderBytes, '\0'));
  EXPECT_TRUE(volumes().destroy(instance_)) << "already gone is success";
}

TEST_F(VolumeFiles, AreListedOpenedOrNeverAndNothingElseIs) {
  ASSERT_TRUE(volumes().format(instance_, 16, {1, key_of_bytes(arena_, 7)}));
  ASSERT_TRUE(volumes().mark_opened(instance_));
  const std::string pool = state_ + "/volumes/acme/workers/";
  std::ofstream(pool + "i-00000001.1.new") << "half";
  std::ofstream(pool + "notes.txt") << "somebody's";
  fs::create_directory(state_ + "/volumes/lost+found");
  for (const char* file : {"/volumes/filler", "/volumes/acme/filler"}) std::ofstream(state_ + file) << "named as a tenant or a pool might be";
  auto found = volumes().list().value();
  std::ranges::sort(found, {}, [](const FoundVolume& each) { return each.instance; });
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].use, Use::kNever);
  EXPECT_EQ(found[1].instance, instance_);
  EXPECT_EQ(found[1].use, Use::kOpened);
}

TEST_F(VolumeFiles, OfOthersOrReachedByALinkAreNotUsed) {
  ASSERT_TRUE(volumes().format(instance_, 16, {1, key_of_bytes(arena_, 7)}));
  ASSERT_TRUE(volumes().mark_opened(instance_));
  fs::rename(file_path(), state_ + "/elsewhere");
  fs::create_symlink(state_ + "/elsewhere", file_path());
  EXPECT_FALSE(volumes().open(instance_));
  EXPECT_FALSE(volumes().destroy(instance_));
  EXPECT_TRUE(fs::exists(state_ + "/elsewhere"));
  fs::remove(file_path());
  fs::create_hard_link(state_ + "/elsewhere", file_path());
  EXPECT_EQ(volumes().open(instance_).error().code, Errc::kDenied) << "a file with two names";
  fs::remove(state_ + "/elsewhere");
  fs::permissions(file_path(), static_cast<fs::perms>(0640));
  EXPECT_EQ(volumes().open(instance_).error().code, Errc::kDenied) << "a file that others may read";
}

TEST_F(VolumeFiles, WithAHeaderThatIsNotOursOpenNothing) {
  const auto key = key_of_bytes(arena_, 7);
  ASSERT_TRUE(volumes().format(instance_, 16, {1, key}));
  ASSERT_TRUE(volumes().mark_opened(instance_));
  for (const off_t damaged : {off_t{0}, off_t{4096}, off_t{16 << 10}}) {
    const Fd file(open(file_path().c_str(), O_RDWR | O_CLOEXEC));
    const std::string junk(512, 'j');
    ASSERT_EQ(pwrite(file.get(), junk.data(), junk.size(), damaged), 512);
  }
  const auto opened = unlock_luks(volumes().open(instance_).value().get(), key, arena_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kCorrupt);
}

TEST_F(VolumeFiles, TakeANewKeyAndThenNoLongerTheOld) {
  const auto old_key = key_of_bytes(arena_, 7), new_key = key_of_bytes(arena_, 8);
  ASSERT_TRUE(volumes().format(instance_, 16, {1, old_key}));
  const auto file = volumes().open(instance_);
  const auto before = unlock_luks(file->get(), old_key, arena_);
  ASSERT_TRUE(add_luks_key(file->get(), old_key, new_key, arena_));
  EXPECT_TRUE(unlock_luks(file->get(), old_key, arena_)) << "until the new one is kept, both open it";
  EXPECT_EQ(add_luks_key(file->get(), old_key, new_key, arena_).error().code, Errc::kExists);
  ASSERT_TRUE(keep_luks_key(file->get(), new_key, arena_));
  EXPECT_EQ(unlock_luks(file->get(), old_key, arena_).error().code, Errc::kDenied);
  const auto after = unlock_luks(file->get(), new_key, arena_);
  ASSERT_TRUE(after);
  EXPECT_TRUE(std::ranges::equal(before->volume_key.bytes(), after->volume_key.bytes())) << "what it encrypts with is the same";
  EXPECT_TRUE(keep_luks_key(file->get(), new_key, arena_)) << "again is nothing";
}

TEST_F(VolumeFiles, ChangeTheirKeyOnlyFromTheOneThatIsTheirs) {
  const auto old_key = key_of_bytes(arena_, 7), new_key = key_of_bytes(arena_, 8), other = key_of_bytes(arena_, 9);
  ASSERT_TRUE(volumes().format(instance_, 16, {1, old_key}));
  EXPECT_EQ(volumes().rekey(instance_, {1, other}, {2, new_key}, arena_).error().code, Errc::kDenied);
  EXPECT_EQ(volumes().rekey(instance_, {3, old_key}, {2, new_key}, arena_).error().code, Errc::kDenied) << "its version is another";
  EXPECT_EQ(volumes().find(instance_)->key_version, 1u);
  const auto changed = volumes().rekey(instance_, {1, old_key}, {2, new_key}, arena_);
  ASSERT_TRUE(changed) << changed.error().message();
  EXPECT_EQ(volumes().find(instance_)->key_version, 2u);
  const auto file = volumes().open(instance_);
  EXPECT_EQ(unlock_luks(file->get(), old_key, arena_).error().code, Errc::kDenied);
  EXPECT_EQ(unlock_luks(file->get(), new_key, arena_)->keyslots, 1);
}

TEST_F(VolumeFiles, AreNotUsedWhereThereAreTwo) {
  ASSERT_TRUE(volumes().format(instance_, 16, {1, key_of_bytes(arena_, 7)}));
  fs::copy_file(fresh_path(), state_ + "/volumes/acme/workers/i-a3f7b2c1.2.new");
  EXPECT_EQ(volumes().open(instance_).error().code, Errc::kCorrupt);
  ASSERT_TRUE(volumes().destroy(instance_));
  EXPECT_TRUE(fs::is_empty(state_ + "/volumes"));
}

}  // namespace
}  // namespace mvm::storage
