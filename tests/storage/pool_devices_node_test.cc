// Volumes whose data is on a block device of the policy's, on real dm-crypt; loop devices are the devices. Runs in the node VM.
#include <linux/fs.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

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
    return {"vg0/" + name, std::move(loop->fd), kLuksHeaderBytes + mib * kMib};
  }
  [[nodiscard]] std::string disk_path(const std::string& name) const { return state_ + "/" + name; }
  [[nodiscard]] std::string content(const std::string& name) const {
    std::ifstream file(disk_path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void pool(std::vector<PoolDevice> devices, Discard discard = Discard::kNo) { volumes_.emplace(directory("volumes"), PoolDevices(std::move(devices)), discard); }
  void one(Discard discard = Discard::kNo) {
    std::vector<PoolDevice> devices;
    devices.push_back(disk("a", 16));
    pool(std::move(devices), discard);
  }
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
  EXPECT_TRUE(std::all_of(raw.begin(), raw.begin() + kLuksHeaderBytes, [](char c) { return c == 0; })) << "there is no header on the device";
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
    EXPECT_EQ(pread(file->get(), behind, sizeof behind - 1, kLuksHeaderBytes + 16), 31);
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
