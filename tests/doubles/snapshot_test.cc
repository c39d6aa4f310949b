// The double's snapshots: images as Firecracker writes them, and what it takes and refuses to load.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/doubles/arguments.h"
#include "tests/doubles/vmm.h"

namespace mvm::doubles {
namespace {

using testing::HasSubstr;

class DoubledSnapshot : public testing::Test {
 protected:
  DoubledSnapshot() {
    char name[] = "/dev/shm/mvm-double-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~DoubledSnapshot() override { std::filesystem::remove_all(directory_); }
  static std::string fault_of(const Reply& reply) {
    return reply.status == 400 ? nlohmann::json::parse(reply.body)["fault_message"].get<std::string>() : "none: " + std::to_string(reply.status);
  }
  void boot(const std::string& more = "") {
    ASSERT_EQ(vmm_.handle("PUT", "/machine-config", R"({"vcpu_count":1,"mem_size_mib":4)" + more + "}").status, 204);
    ASSERT_EQ(vmm_.handle("PUT", "/boot-source", R"({"kernel_image_path":"/dev/null"})").status, 204);
    ASSERT_EQ(vmm_.handle("PUT", "/actions", R"({"action_type":"InstanceStart"})").status, 204);
  }
  void pause() { ASSERT_EQ(vmm_.handle("PATCH", "/vm", R"({"state":"Paused"})").status, 204); }
  Reply create(const std::string& memory, const std::string& type = "Full") {
    return vmm_.handle("PUT", "/snapshot/create", R"({"mem_file_path":")" + path(memory) + R"(","snapshot_path":")" + path("state") + R"(","snapshot_type":")" + type + R"("})");
  }
  std::string path(const std::string& name) { return directory_ + "/" + name; }
  struct stat info(const std::string& name) {
    struct stat found {};
    EXPECT_EQ(stat(path(name).c_str(), &found), 0);
    return found;
  }
  std::string load_body(const std::string& memory) { return R"({"snapshot_path":")" + path("state") + R"(","mem_backend":{"backend_type":"File","backend_path":")" + path(memory) + R"("}})"; }
  std::string directory_;
  Vmm vmm_{"i-a3f7b2c1", kVersion};
};

TEST_F(DoubledSnapshot, IsNotTakenOfWhatRuns) {
  boot();
  EXPECT_THAT(fault_of(create("memory")), HasSubstr("save/restore unavailable while running"));
  pause();
  EXPECT_EQ(create("memory").status, 204);
}

TEST_F(DoubledSnapshot, IsAnImageOfTheConfiguredSizeWithEveryPageWritten) {
  boot();
  pause();
  ASSERT_EQ(create("memory").status, 204);
  EXPECT_EQ(info("memory").st_size, 4 << 20);
  EXPECT_EQ(info("memory").st_blocks * 512, 4 << 20);
}

// As Firecracker: the state is there, whole, when it comes to the memory; and what is no file it fails at.
TEST_F(DoubledSnapshot, HasItsStateWrittenBeforeItsMemory) {
  boot();
  pause();
  EXPECT_THAT(fault_of(create("nowhere/memory")), HasSubstr("Cannot perform open on the memory backing file"));
  const auto whole = info("state").st_size;
  EXPECT_GT(whole, 0);
  std::filesystem::remove(path("state"));
  ASSERT_EQ(mkfifo(path("hold").c_str(), 0600), 0);
  const int reader = open(path("hold").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT_THAT(fault_of(create("hold")), HasSubstr("Cannot perform truncate on the memory backing file: Invalid argument (os error 22)"));
  close(reader);
  EXPECT_EQ(info("state").st_size, whole);
  EXPECT_EQ(create("memory").status, 204) << "and it goes on";
}

TEST_F(DoubledSnapshot, OfWhatWasWrittenSinceIsSparseWhereItIsTracked) {
  boot(R"(,"track_dirty_pages":true)");
  pause();
  ASSERT_EQ(create("memory").status, 204);
  EXPECT_EQ(vmm_.memory_command("dirty 10"), "written");
  ASSERT_EQ(create("diff", "Diff").status, 204);
  EXPECT_EQ(info("diff").st_size, 4 << 20);
  EXPECT_LE(info("diff").st_blocks * 512, 10 * 4096);
  EXPECT_GT(info("diff").st_blocks, 0);
  ASSERT_EQ(create("nothing", "Diff").status, 204);
  EXPECT_EQ(info("nothing").st_blocks, 0);
}

// Into a file of the same size a diff is merged: so what comes of it is what a full one would have been.
TEST_F(DoubledSnapshot, OfWhatWasWrittenSinceIsMergedIntoAFileThatIsThere) {
  boot(R"(,"track_dirty_pages":true)");
  pause();
  ASSERT_EQ(create("memory").status, 204);
  EXPECT_EQ(vmm_.memory_command("dirty 10"), "written");
  ASSERT_EQ(create("memory", "Diff").status, 204);
  ASSERT_EQ(create("full").status, 204);
  EXPECT_EQ(system(("cmp -s " + path("memory") + " " + path("full")).c_str()), 0);
}

TEST_F(DoubledSnapshot, IsAllOfTheMemoryWhereNothingIsTracked) {
  boot();
  pause();
  ASSERT_EQ(create("diff", "Diff").status, 204);
  EXPECT_EQ(info("diff").st_blocks * 512, 4 << 20);
}

TEST_F(DoubledSnapshot, IsLoadedByAFreshProcessAlone) {
  boot();
  pause();
  ASSERT_EQ(create("memory").status, 204);
  EXPECT_THAT(fault_of(vmm_.handle("PUT", "/snapshot/load", load_body("memory"))), HasSubstr("not supported after starting"));
  Vmm configured("i-a3f7b2c1", kVersion);
  ASSERT_EQ(configured.handle("PUT", "/boot-source", R"({"kernel_image_path":"/dev/null"})").status, 204);
  EXPECT_THAT(fault_of(configured.handle("PUT", "/snapshot/load", load_body("memory"))), HasSubstr("not allowed after configuring"));
  Vmm fresh("i-a3f7b2c1", kVersion);
  EXPECT_EQ(fresh.handle("PUT", "/snapshot/load", load_body("memory")).status, 204);
  EXPECT_EQ(fresh.life(), Life::kPaused);
  EXPECT_FALSE(fresh.fatal());
}

TEST_F(DoubledSnapshot, EndsTheProcessWhereItCannotBeLoaded) {
  boot();
  pause();
  ASSERT_EQ(create("memory").status, 204);
  const auto refused = [&](const std::string& body) {
    Vmm fresh("i-a3f7b2c1", kVersion);
    const std::string why = fault_of(fresh.handle("PUT", "/snapshot/load", body));
    EXPECT_TRUE(fresh.fatal());
    return why;
  };
  EXPECT_THAT(refused(load_body("nowhere")), HasSubstr("Failed to load guest memory"));
  std::filesystem::resize_file(path("memory"), 4096);
  EXPECT_THAT(refused(load_body("memory")), HasSubstr("Failed to load guest memory"));
  std::ofstream(path("state")) << "no state";
  EXPECT_THAT(refused(load_body("memory")), HasSubstr("Failed to load snapshot state from file"));
  std::filesystem::remove(path("state"));
  EXPECT_THAT(refused(load_body("memory")), HasSubstr("Failed to open snapshot file"));
  EXPECT_THAT(refused(R"({"snapshot_path":")" + path("state") + R"(","mem_file_path":"x"})"), HasSubstr("Failed to open snapshot file"));
}

TEST_F(DoubledSnapshot, NamesOneKindOfMemory) {
  EXPECT_THAT(fault_of(vmm_.handle("PUT", "/snapshot/load", R"({"snapshot_path":"s"})")), HasSubstr("either `mem_backend` or `mem_file_path` is required"));
  EXPECT_THAT(fault_of(vmm_.handle("PUT", "/snapshot/load", R"({"snapshot_path":"s","mem_file_path":"m","mem_backend":{"backend_type":"File","backend_path":"m"}})")),
              HasSubstr("exclusively is required"));
  EXPECT_FALSE(vmm_.fatal());
}

}  // namespace
}  // namespace mvm::doubles
