// Volumes whose data is on a block device of the policy's, on real dm-crypt; loop devices are the devices. Runs in the node VM.
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "tests/base/every.h"
#include "tests/storage/killed.h"
#include "tests/storage/opened_fixture.h"

namespace mvm::storage {
namespace {

constexpr std::uint64_t kMib = 1 << 20;

class PooledVolumes : public OpenedVolumes {
 protected:
  void SetUp() override {
    OpenedVolumes::SetUp();
    ASSERT_TRUE(volumes_->destroy(instance_));
  }
  void TearDown() override {
    if (devices_) (void)devices_->remove(name_);
    volumes_.reset();
    OpenedVolumes::TearDown();
  }
  // A disk of that many MiB and its header's, held by a loop device which clears itself.
  PoolDevice disk(const std::string& name, std::uint64_t mib) {
    const Fd file(::open(disk_path(name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(kLuksHeaderBytes + mib * kMib)), 0);
    auto loop = loops_->attach(file.get(), Writes::kAllowed);
    EXPECT_TRUE(loop) << loop.error().message();
    return {"vg0/" + name, std::move(loop->fd), mib, kLuksHeaderBytes + mib * kMib};
  }
  [[nodiscard]] std::string disk_path(const std::string& name) const { return state_ + "/" + name; }
  [[nodiscard]] std::string content(const std::string& name) const { return first_bytes(name, fs::file_size(disk_path(name))); }
  [[nodiscard]] std::string first_bytes(const std::string& name, std::size_t size) const {
    ::sync();  // what a device was told, and not yet its file
    std::string bytes(size, ' ');
    EXPECT_TRUE(std::ifstream(disk_path(name), std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(size)));
    return bytes;
  }
  void pool(std::vector<PoolDevice> devices, Discard discard = Discard::kNo) { volumes_.emplace(directory("volumes"), PoolDevices(std::move(devices)), discard); }
  void one(Discard discard = Discard::kNo) {
    std::vector<PoolDevice> devices;
    devices.push_back(disk("a", 16));
    pool(std::move(devices), discard);
  }
  // A child has no locked memory of its parent's.
  static const SecretArena& child_arena() {
    static const SecretArena arena = SecretArena::make().value();
    return arena;
  }
  [[nodiscard]] static bool zeros(const std::string& bytes) { return bytes.find_first_not_of('\0') == std::string::npos; }
  void write_through(const std::string& what) const {
    const Fd data = node();
    ASSERT_EQ(pwrite(data.get(), what.data(), what.size(), 8192), static_cast<ssize_t>(what.size()));
    ASSERT_EQ(fsync(data.get()), 0);
  }
};

TEST_F(PooledVolumes, HaveTheirDataOnTheDeviceAndTheirHeaderInAFile) {
  one();
  const auto made = volumes_->format(instance_, 16, {1, key_});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_LT(fs::file_size(fresh_path()), kLuksHeaderBytes + kMib);
  const auto opened = open_volumes().open(instance_, {1, key_});
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_TRUE(open_volumes().list().value().at(0).whole);
  std::uint64_t size = 0;
  ASSERT_EQ(ioctl(node().get(), BLKGETSIZE64, &size), 0);
  EXPECT_EQ(size, 16 * kMib);
  write_through("a canary that the guest wrote");
  ASSERT_TRUE(open_volumes().close(instance_));
  const std::string raw = content("a");
  EXPECT_EQ(raw.find("a canary"), std::string::npos);
  EXPECT_EQ(raw.find("LUKS"), std::string::npos) << "there is no header on the device";
  EXPECT_EQ(raw.substr(0, 8), "mvmvolon") << "but a mark";
  EXPECT_TRUE(zeros(raw.substr(4096, kLuksHeaderBytes - 4096)));
  EXPECT_FALSE(std::all_of(raw.begin() + kLuksHeaderBytes, raw.end(), [](char c) { return c == 0; })) << "and there is data";
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  std::string read(8, ' ');
  ASSERT_EQ(pread(node().get(), read.data(), read.size(), 8192), 8);
  EXPECT_EQ(read, "a canary");
  EXPECT_TRUE(open_volumes().close(instance_));
}

TEST_F(PooledVolumes, AreOpenedByCryptsetupWithTheirHeader) {
  one();
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  write_through("a canary");
  ASSERT_TRUE(open_volumes().close(instance_));
  std::ofstream(state_ + "/key", std::ios::binary).write(reinterpret_cast<const char*>(key_.bytes().data()), 32);
  ASSERT_EQ(system(("cryptsetup open --key-file " + state_ + "/key --header " + file_path() + " " + disk_path("a") + " seen").c_str()), 0);
  EXPECT_EQ(system("dd if=/dev/mapper/seen bs=4096 skip=2 count=1 status=none | grep -q '^a canary'"), 0);
  EXPECT_EQ(system("cryptsetup close seen"), 0);
}

TEST_F(PooledVolumes, AreEachOnTheSmallestDeviceThatIsFreeAndHoldsThem) {
  std::vector<PoolDevice> devices;
  for (const auto& [name, mib] : {std::pair{"a", 64}, {"b", 16}, {"c", 32}}) devices.push_back(disk(name, static_cast<std::uint64_t>(mib)));
  pool(std::move(devices));
  const auto at = [](std::uint32_t id) { return instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{id}); };
  for (const std::uint32_t id : {1u, 2u, 3u}) ASSERT_TRUE(volumes_->format(at(id), 16, {1, key_})) << id;
  const auto named = [&](std::uint32_t id) {
    char behind[32] = {};
    const auto file = volumes_->open(at(id));
    EXPECT_EQ(pread(file->get(), behind, sizeof behind - 1, kLuksHeaderBytes + 32), 31);
    return std::string(behind);
  };
  EXPECT_EQ(named(1), "vg0/b");
  EXPECT_EQ(named(2), "vg0/c");
  EXPECT_EQ(named(3), "vg0/a");
  EXPECT_EQ(volumes_->format(at(4), 16, {1, key_}).error().code, Errc::kLimit) << "no device has two";
  ASSERT_TRUE(volumes_->destroy(at(2)));
  EXPECT_EQ(volumes_->format(at(4), 33, {1, key_}).error().code, Errc::kLimit) << "nor one that is too large for it";
  EXPECT_EQ(volumes_->find(at(4)).error().code, Errc::kNotFound) << "and nothing of it is left";
  ASSERT_TRUE(volumes_->format(at(4), 32, {1, key_})) << "what was destroyed has given its device back";
}

TEST_F(PooledVolumes, HaveNoMoreThanThePolicySaysOfTheirDevice) {
  std::vector<PoolDevice> devices;
  devices.push_back(disk("a", 32));
  devices.back().mib = 16;
  pool(std::move(devices));
  EXPECT_EQ(volumes_->format(instance_, 17, {1, key_}).error().code, Errc::kLimit);
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
}

TEST_F(PooledVolumes, AreNoFilesWhereThePolicyNamesDevicesAndNoneIsThere) {
  pool({});
  EXPECT_EQ(volumes_->format(instance_, 16, {1, key_}).error().code, Errc::kLimit);
  EXPECT_EQ(volumes_->find(instance_).error().code, Errc::kNotFound);
}

TEST_F(PooledVolumes, AreNotMadeOverAVolumeWhoseFileIsLost) {
  one();
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  fs::remove(fresh_path());
  EXPECT_EQ(volumes_->format(instance_, 16, {1, key_}).error().code, Errc::kDenied);
}

TEST_F(PooledVolumes, AreNotMadeOverWhatIsSomebodys) {
  one();
  std::fstream file(disk_path("a"), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(kLuksHeaderBytes - 1));
  file.put('x');
  file.close();
  const auto made = volumes_->format(instance_, 16, {1, key_});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Errc::kDenied);
  EXPECT_EQ(volumes_->find(instance_).error().code, Errc::kNotFound);
}

TEST_F(PooledVolumes, DoNotOpenWithoutTheirDevice) {
  one();
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  pool({});
  EXPECT_EQ(open_volumes().open(instance_, {1, key_}).error().code, Errc::kNotFound);
  std::vector<PoolDevice> smaller;
  smaller.push_back(disk("b", 8));
  smaller.back().name = "vg0/a";
  pool(std::move(smaller));
  EXPECT_EQ(open_volumes().open(instance_, {1, key_}).error().code, Errc::kCorrupt) << "another device of that name";
  EXPECT_TRUE(volumes_->destroy(instance_)) << "and can be destroyed";
}

// The name has come to mean a disk of the host's.
TEST_F(PooledVolumes, NeitherOpenNorDiscardAnotherDiskOfThatName) {
  one(Discard::kYes);
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  std::vector<PoolDevice> others;
  others.push_back(disk("b", 16));
  others.back().name = "vg0/a";
  const std::string theirs(kLuksHeaderBytes + 16 * kMib, 'x');
  ASSERT_EQ(pwrite(others.back().fd.get(), theirs.data(), theirs.size(), 0), static_cast<ssize_t>(theirs.size()));
  ASSERT_EQ(fsync(others.back().fd.get()), 0);
  pool(std::move(others), Discard::kYes);
  EXPECT_EQ(open_volumes().open(instance_, {1, key_}).error().code, Errc::kDenied);
  ASSERT_TRUE(volumes_->destroy(instance_));
  pool({});
  EXPECT_TRUE(content("b") == theirs);
}

TEST_F(PooledVolumes, DoNotOpenOnTheDeviceOfAnother) {
  std::vector<PoolDevice> devices;
  devices.push_back(disk("a", 16)), devices.push_back(disk("b", 16));
  pool(std::move(devices));
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  ASSERT_TRUE(volumes_->format(instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{2}), 16, {1, key_}));
  std::vector<PoolDevice> exchanged;
  exchanged.push_back({"vg0/a", Fd(::open(disk_path("b").c_str(), O_RDWR | O_CLOEXEC)), 16, kLuksHeaderBytes + 16 * kMib});
  pool(std::move(exchanged));
  EXPECT_EQ(open_volumes().open(instance_, {1, key_}).error().code, Errc::kDenied);
}

TEST_F(PooledVolumes, StandOpenOnTheirDeviceByWhateverNode) {
  one();
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  ASSERT_EQ(system(("losetup -j " + disk_path("a") + " -nO MAJ:MIN | tr -d ' ' >" + state_ + "/number").c_str()), 0);
  unsigned major = 0, minor = 0;
  char colon = 0;
  std::ifstream(state_ + "/number") >> major >> colon >> minor;
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  const std::string node_path = state_ + "/nodes/disk";
  ASSERT_EQ(mknod(node_path.c_str(), S_IFBLK | 0600, makedev(major, minor)), 0);
  std::vector<PoolDevice> again;
  again.push_back({"vg0/a", Fd(::open(node_path.c_str(), O_RDWR | O_CLOEXEC)), 16, kLuksHeaderBytes + 16 * kMib});
  pool(std::move(again));
  EXPECT_TRUE(open_volumes().list().value().at(0).whole);
  std::vector<PoolDevice> other;
  other.push_back(disk("b", 16));
  other.back().name = "vg0/a";
  pool(std::move(other));
  EXPECT_FALSE(open_volumes().list().value().at(0).whole) << "and on no other";
  EXPECT_TRUE(open_volumes().close(instance_));
}

TEST_F(PooledVolumes, AreDestroyedWithTheirMark) {
  one();
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  ASSERT_TRUE(volumes_->destroy(instance_));
  EXPECT_TRUE(zeros(first_bytes("a", kLuksHeaderBytes)));
}

TEST_F(PooledVolumes, AreDestroyedThoughTheirDeviceFails) {
  std::vector<PoolDevice> devices;
  devices.push_back(disk("a", 16));
  const std::string sectors = std::to_string(devices.back().bytes / 512), below = "$(losetup -nO NAME -j " + disk_path("a") + ")";
  ASSERT_EQ(system(("dmsetup create mvm-test-pool --table \"0 " + sectors + " linear " + below + " 0\"").c_str()), 0);
  devices.back().fd = Fd(::open("/dev/mapper/mvm-test-pool", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(devices.back().fd.valid());
  const Fd held(::open(disk_path("a").c_str(), O_RDWR | O_CLOEXEC));
  pool(std::move(devices), Discard::kYes);
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  ASSERT_EQ(system(("dmsetup load mvm-test-pool --table \"0 " + sectors + " error\" && dmsetup resume mvm-test-pool && blockdev --flushbufs /dev/mapper/mvm-test-pool").c_str()), 0);
  const auto opened = open_volumes().open(instance_, {1, key_});
  EXPECT_FALSE(opened);
  const auto destroyed = volumes_->destroy(instance_);
  EXPECT_TRUE(destroyed) << destroyed.error().message();
  EXPECT_EQ(volumes_->find(instance_).error().code, Errc::kNotFound);
  EXPECT_FALSE(volumes_->format(instance_, 16, {1, key_})) << "and nothing is made on it";
  pool({});
  EXPECT_EQ(system("dmsetup remove --retry mvm-test-pool"), 0);
}

TEST_F(PooledVolumes, AreGivenDevicesWithTheirSizes) {
  const auto given = [&](const char* text, const std::string& path) {
    const char* const names[] = {text};
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    return PoolDevices::given(names, fd);
  };
  std::vector<PoolDevice> devices;
  devices.push_back(disk("a", 16));
  const std::string node_path = "/proc/self/fd/" + std::to_string(devices.back().fd.get());
  const auto good = given("vg0/a:12", node_path);
  ASSERT_TRUE(good) << good.error().message();
  EXPECT_EQ(good->find("vg0/a")->mib, 12u);
  EXPECT_EQ(good->find("vg0/a")->bytes, kLuksHeaderBytes + 16 * kMib);
  for (const char* text : {"vg0/a", "vg0/a:", "vg0/a:12x", "vg0/a:x"}) EXPECT_EQ(given(text, node_path).error().code, Errc::kMalformed) << text;
  EXPECT_EQ(given("vg0/a:12", disk_path("a")).error().code, Errc::kDenied) << "no block device";
}

// Whoever makes or destroys one may be killed before any of its system calls.
TEST_F(PooledVolumes, WhoseMakerIsKilledAreWholeOrAreRemoved) {
  one(Discard::kYes);
  const test::Every calls(15);
  for (unsigned call = calls.first;; call += calls.step) {
    const Ended ended = killed_at(call, [&] { return volumes_->format(instance_, 16, {1, key_of_bytes(child_arena(), 7)}).has_value(); });
    ASSERT_NE(ended, Ended::kFailed) << "call " << call;
    const bool marked = !zeros(first_bytes("a", kLuksHeaderBytes));
    EXPECT_EQ(open_volumes().open(instance_, {1, key_}).has_value(), marked) << "call " << call << ": marked last";
    EXPECT_TRUE(open_volumes().close(instance_));
    ASSERT_TRUE(volumes_->destroy(instance_)) << "call " << call;
    EXPECT_TRUE(zeros(first_bytes("a", kLuksHeaderBytes))) << "call " << call;
    if (HasFailure() || ended == Ended::kDone) break;
  }
}

TEST_F(PooledVolumes, WhoseDestroyerIsKilledAreDestroyedByTheNext) {
  one(Discard::kYes);
  const test::Every calls(9);
  for (unsigned call = calls.first;; call += calls.step) {
    ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_})) << "call " << call;
    ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
    write_through("a canary");
    ASSERT_TRUE(open_volumes().close(instance_));
    const Ended ended = killed_at(call, [&] { return volumes_->destroy(instance_).has_value(); });
    ASSERT_NE(ended, Ended::kFailed) << "call " << call;
    ASSERT_TRUE(volumes_->destroy(instance_)) << "call " << call;
    EXPECT_TRUE(zeros(content("a"))) << "call " << call << ": discarded, and no longer marked";
    if (HasFailure() || ended == Ended::kDone) break;
  }
}

// Whether what a guest discards comes to the disk below, and what is left of a volume there.
class Discarding : public PooledVolumes {
 protected:
  [[nodiscard]] std::uint64_t held(const std::string& path) const {
    struct stat info {};
    EXPECT_EQ(stat(path.c_str(), &info), 0);
    return static_cast<std::uint64_t>(info.st_blocks) * 512;
  }
  [[nodiscard]] int discard_all() const {
    const Fd data = node();
    std::uint64_t range[2] = {0, 16 * kMib};
    return ioctl(data.get(), BLKDISCARD, range) == 0 ? 0 : errno;
  }
  void fill() const {
    const Fd data = node();
    const std::string block(kMib, 'x');
    for (int i = 0; i < 16; ++i) ASSERT_EQ(pwrite(data.get(), block.data(), block.size(), static_cast<off_t>(i * kMib)), static_cast<ssize_t>(kMib));
    ASSERT_EQ(fsync(data.get()), 0);
  }
};

TEST_F(Discarding, IsRefusedWhereThePolicyDoesNotHaveIt) {
  one();
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  fill();
  EXPECT_EQ(discard_all(), EOPNOTSUPP);
  ASSERT_TRUE(open_volumes().close(instance_));
  ASSERT_TRUE(volumes_->destroy(instance_));
  EXPECT_GE(held(disk_path("a")), 16 * kMib) << "what is left is noise, and there";
}

TEST_F(Discarding, ComesToTheDiskBelowWhereThePolicyHasIt) {
  one(Discard::kYes);
  ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
  fill();
  EXPECT_GE(held(disk_path("a")), 16 * kMib);
  EXPECT_EQ(discard_all(), 0);
  EXPECT_LT(held(disk_path("a")), 2 * kMib);
  fill();
  ASSERT_TRUE(open_volumes().close(instance_));
  ASSERT_TRUE(volumes_->destroy(instance_));
  EXPECT_LT(held(disk_path("a")), 2 * kMib) << "and so does a volume that is destroyed";
}

TEST_F(Discarding, OfAFilesVolumeGoesByThePolicyToo) {
  for (const Discard policy : {Discard::kNo, Discard::kYes}) {
    volumes_.emplace(directory("volumes"), PoolDevices(), policy);
    ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
    ASSERT_TRUE(open_volumes().open(instance_, {1, key_}));
    fill();
    EXPECT_EQ(discard_all(), policy == Discard::kYes ? 0 : EOPNOTSUPP);
    if (policy == Discard::kYes) EXPECT_LT(held(file_path()), 4 * kMib);
    else EXPECT_GE(held(file_path()), 16 * kMib);
    ASSERT_TRUE(open_volumes().close(instance_));
    ASSERT_TRUE(volumes_->destroy(instance_));
  }
}

}  // namespace
}  // namespace mvm::storage
