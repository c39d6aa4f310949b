// Volumes, loop devices and device-mapper of the machine that runs this, below a directory of the test's own. Needs root, and a
// kernel with dm-crypt.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/derived.h"
#include "broker/beneath/beneath.h"
#include "broker/storage/executor.h"
#include "tests/storage/fixed_keys.h"

namespace mvm::storage {

namespace fs = std::filesystem;

class StorageFixture : public testing::Test {
 protected:
  explicit StorageFixture(std::string below = "/var/tmp") : below_(std::move(below)) {}
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    umask(077);
    state_ = below_ + "/mvm-storage-test-XXXXXX";
    ASSERT_NE(mkdtemp(state_.data()), nullptr);
    fs::create_directory(state_ + "/volumes");
    fs::create_directory(state_ + "/nodes");
    ASSERT_TRUE(check_luks_works(arena_)) << check_luks_works(arena_).error().message();
  }
  void TearDown() override {
    if (!state_.empty()) fs::remove_all(state_);
  }
  [[nodiscard]] Fd directory(const std::string& name) const { return Fd(::open((state_ + "/" + name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
  [[nodiscard]] Volumes volumes() const { return Volumes(directory("volumes")); }
  [[nodiscard]] std::string file_path() const { return state_ + "/volumes/acme/workers/i-a3f7b2c1.1.luks"; }

  [[nodiscard]] std::string fresh_path() const { return state_ + "/volumes/acme/workers/i-a3f7b2c1.1.new"; }

  const Subject instance_ = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1});
  SecretArena arena_ = SecretArena::make().value();
  std::string below_, state_;
};

}  // namespace mvm::storage
