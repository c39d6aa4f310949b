// What the storage worker refuses to do to an image, before it asks device-mapper for anything.
#include <gtest/gtest.h>

#include <optional>

#include "broker/storage/executor.h"
#include "policy-lang/print.h"
#include "tests/schemas/samples.h"
#include "tests/storage/fixed_keys.h"
#include "tests/storage/ramfs.h"

namespace mvm::storage {
namespace {

class ImageTasks : public testing::Test {
 protected:
  void SetUp() override {
    Fd memory = test::ramfs();
    if (!memory.valid()) GTEST_SKIP() << "needs root";
    host_.emplace(DeviceMapper(Fd()), Loops(Fd(), Fd()), Volumes(Fd()), Fd(), Drives::make(std::move(memory)).value(), SecretArena::make().value(), session_, keys_);
  }
  static wire::Task opening() {
    wire::Task task;
    task.seq = 1;
    task.op = wire::Op::kOpenImage;
    task.statement = test::one_of_each(lang::Sign::kAdd)[8];
    task.manifest = test::some_manifest();
    task.statement.digests[0] = sha256(lang::print(lang::document_of(*task.manifest)));
    return task;
  }
  Error refused(const wire::Task& task) {
    const auto answers = dispatch(*host_, task);
    EXPECT_EQ(answers.size(), 1u);
    EXPECT_FALSE(answers.front().ok);
    return answers.front().error;
  }
  const sealing::Session session_ = sealing::Session::make(SecretArena::make().value()).value();
  FixedKeys keys_{session_.arena()};
  std::optional<Host> host_;
};

TEST_F(ImageTasks, OpenNoneByTheManifestOfAnother) {
  wire::Task task = opening();
  EXPECT_EQ(refused(task).sys_errno, EBADF) << "this one gets as far as device-mapper, which is not here";
  task.manifest->rootfs.root.bytes[0] ^= 1;
  EXPECT_EQ(refused(task).code, Errc::kDenied);
  task.manifest.reset();
  EXPECT_EQ(refused(task).code, Errc::kDenied);
}

TEST_F(ImageTasks, DoNothingElseToOne) {
  for (const auto op : {wire::Op::kMake, wire::Op::kMove}) {
    wire::Task task = opening();
    task.op = op;
    EXPECT_EQ(refused(task).code, Errc::kUnsupported);
  }
}

}  // namespace
}  // namespace mvm::storage
