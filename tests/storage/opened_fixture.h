// A volume of 16 MiB with a key, and what opens it on the dm-crypt of the machine that runs this: the node VM.
#pragma once

#include "tests/storage/storage_fixture.h"

namespace mvm::storage {

class OpenedVolumes : public StorageFixture {
 protected:
  void SetUp() override {
    StorageFixture::SetUp();
    ASSERT_EQ(system("modprobe -a loop dm_mod dm_crypt algif_skcipher"), 0);
    devices_.emplace(Fd(open("/dev/mapper/control", O_RDWR | O_CLOEXEC)));
    loops_.emplace(Fd(open("/dev/loop-control", O_RDWR | O_CLOEXEC)), directory("nodes"));
    volumes_.emplace(directory("volumes"));
    ASSERT_TRUE(volumes_->format(instance_, 16, {1, key_}));
  }
  void TearDown() override {
    if (devices_) (void)devices_->remove(name_);
    EXPECT_TRUE(without_loops());
    StorageFixture::TearDown();
  }
  [[nodiscard]] OpenVolumes open_volumes() const { return {*devices_, *loops_, *volumes_, arena_}; }
  [[nodiscard]] Fd node() const {
    const std::string path = state_ + "/nodes/data";
    fs::remove(path);
    EXPECT_EQ(mknod(path.c_str(), S_IFBLK | 0600, devices_->find(name_)->number), 0);
    return Fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  }
  [[nodiscard]] std::string loops_of_ours() const {
    std::string found;
    for (const auto& entry : fs::directory_iterator("/sys/devices/virtual/block")) {
      std::ifstream file(entry.path() / "loop/backing_file");
      std::string line;
      if (std::getline(file, line) && line.find(state_) != std::string::npos) found += entry.path().filename().string() + " ";
    }
    return found;
  }

  // A loop device clears itself when the last has closed it, and that may be udev, which looks at every new one.
  [[nodiscard]] bool without_loops() const {
    for (int i = 0; i < 200 && !loops_of_ours().empty(); ++i) usleep(20'000);
    return loops_of_ours().empty();
  }

  const Secret key_ = key_of_bytes(arena_, 7);
  const std::string name_ = data_device_name(instance_);
  std::optional<DeviceMapper> devices_;
  std::optional<Loops> loops_;
  std::optional<Volumes> volumes_;
};

}  // namespace mvm::storage
