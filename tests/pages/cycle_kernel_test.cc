// Sleep and wake, again and again, of the double of Firecracker: it writes a real image, that is sealed, its page server runs in its sandbox, and
// the double that wakes is another one, which looks at every byte of its memory in a random order and goes on writing it.
// MVM_CYCLES=N: how often (20).
#include <gtest/gtest.h>

#include <cstdlib>

#include "broker/pages/serve.h"
#include "seccomp/pages.grants.h"
#include "tests/doubles/arguments.h"
#include "tests/doubles/vmm.h"
#include "tests/pages/process.h"

namespace mvm {
namespace {

using doubles::Vmm;
using pages::Said;

class Cycle : public testing::Test {
 protected:
  static constexpr std::uint64_t kMib = 16;

  Cycle() {
    char name[] = "/dev/shm/mvm-cycle-XXXXXX";
    directory_ = mkdtemp(name);
  }
  ~Cycle() override { std::filesystem::remove_all(directory_); }
  void SetUp() override {
    if (!test::new_userfaultfd().valid()) GTEST_SKIP() << "no userfaultfd for us here";
  }
  static void ask(Vmm& vmm, const char* method, const char* path, const std::string& body) {
    const auto reply = vmm.handle(method, path, body);
    ASSERT_EQ(reply.status, 204) << reply.body;
  }
  std::unique_ptr<Vmm> booted() {
    auto vmm = std::make_unique<Vmm>("i-a3f7b2c1", doubles::kVersion);
    ask(*vmm, "PUT", "/machine-config", R"({"vcpu_count":1,"mem_size_mib":)" + std::to_string(kMib) + "}");
    ask(*vmm, "PUT", "/boot-source", R"({"kernel_image_path":"/dev/null"})");
    ask(*vmm, "PUT", "/actions", R"({"action_type":"InstanceStart"})");
    return vmm;
  }
  // Paused, its image written into the memory file system, sealed, and gone. What the image took there is given back by then.
  void put_to_sleep(std::unique_ptr<Vmm> vmm, std::vector<std::uint32_t> first) {
    ask(*vmm, "PATCH", "/vm", R"({"state":"Paused"})");
    ask(*vmm, "PUT", "/snapshot/create", R"({"mem_file_path":")" + directory_ + R"(/memory","snapshot_path":")" + directory_ + R"(/state"})");
    const Fd memory(open((directory_ + "/memory").c_str(), O_RDWR | O_CLOEXEC)), state(open((directory_ + "/state").c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    ASSERT_EQ(fstat(state.get(), &info), 0);
    auto header = test::header_for(kMib << 20, test::kPagesChunk, static_cast<std::uint64_t>(info.st_size));
    header.seq = ++sleeps_;
    snapshot_ = Fd(memfd_create("snapshot", MFD_CLOEXEC));
    const auto sealed = snapshot_file::seal(header, {.memory = memory.get(), .state = state.get(), .first = first}, test::kTenantKey, test::arena(), snapshot_.get());
    ASSERT_TRUE(sealed) << sealed.error().message();
    digest_ = sealed->file;
    ASSERT_EQ(fstat(memory.get(), &info), 0);
    EXPECT_EQ(info.st_blocks, 0);
    std::filesystem::remove(directory_ + "/memory");
    std::filesystem::remove(directory_ + "/state");
  }
  Secret key() { return *snapshot_file::unwrap(*snapshot_file::read_header(snapshot_.get()), test::kTenantKey, test::arena()); }
  void unseal_state() {
    auto reader = snapshot_file::Reader::open(Fd(dup(snapshot_.get())), snapshot_file::key_of(key()));
    ASSERT_TRUE(reader);
    const auto state = reader->state();
    ASSERT_TRUE(state);
    std::ofstream(directory_ + "/state").write(reinterpret_cast<const char*>(state->data()), static_cast<std::streamsize>(state->size()));
  }
  static std::string looked_at(Vmm& vmm) {
    const std::string all = std::to_string((kMib << 20) / doubles::kPage);
    std::string said;
    for (int i = 0; i < 20'000; ++i) {
      said = vmm.memory_command("memory");
      if (said.starts_with("checked=" + all + " ")) break;
      usleep(1000);
    }
    return said;
  }
  const std::string all_right_ = "checked=" + std::to_string((kMib << 20) / doubles::kPage) + " of=" + std::to_string((kMib << 20) / doubles::kPage) + " wrong=0";
  std::string directory_;
  std::uint32_t sleeps_ = 0;
  Fd snapshot_;
  Digest digest_;
};

TEST_F(Cycle, ByUserfaultfdEveryByteComesBack) {
  static const test::Runnable executable(MVM_PAGES);
  const char* const asked = std::getenv("MVM_CYCLES");
  const int cycles = asked == nullptr ? 20 : std::atoi(asked);
  auto vmm = booted();
  std::vector<std::uint32_t> first;
  for (int i = 0; i < cycles; ++i) {
    ASSERT_EQ(vmm->memory_command("dirty 50"), "written");
    put_to_sleep(std::move(vmm), first);
    unseal_state();
    const test::Listener listener;
    const std::array<int, 2> extra = {snapshot_.get(), listener.fd()};
    const auto worker = test::started({.executable = executable.fd(), .grants = grants::kPages, .user = {test::kNobodyElse, test::kNobodyElse}, .extra = extra});
    ASSERT_TRUE(pages::send_order(worker.channel.get(), {digest_, {}, 0, 10'000}, pages::Keys{key(), *test::arena().take(pages::kDataKeyBytes)}));
    ASSERT_EQ(test::next_report(worker).value_or(pages::Report{}).said, Said::kReady);
    vmm = std::make_unique<Vmm>("i-a3f7b2c1", doubles::kVersion);
    ask(*vmm, "PUT", "/snapshot/load", R"({"snapshot_path":")" + directory_ + R"(/state","mem_backend":{"backend_type":"Uffd","backend_path":")" + listener.path() + R"("},"resume_vm":true})");
    ASSERT_EQ(looked_at(*vmm), all_right_) << "wake " << i;
    ASSERT_EQ(test::next_report(worker).value_or(pages::Report{}).said, Said::kFirst);
    const auto last = test::next_report(worker);
    ASSERT_TRUE(last);
    ASSERT_EQ(last->said, Said::kWhole);
    ASSERT_EQ(test::ended(worker), 0);
    first = last->touched;
  }
}

// The plain way: the whole file opened into memory, then loaded.
TEST_F(Cycle, ByTheWholeFileEveryByteComesBack) {
  put_to_sleep(booted(), {});
  unseal_state();
  auto reader = snapshot_file::Reader::open(Fd(dup(snapshot_.get())), snapshot_file::key_of(key()));
  ASSERT_TRUE(reader);
  auto image = snapshot_file::Image::make(std::move(*reader), std::nullopt);
  const Fd memory(open((directory_ + "/memory").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(snapshot_file::write_memory(*image, memory.get()));
  Vmm vmm("i-a3f7b2c1", doubles::kVersion);
  ask(vmm, "PUT", "/snapshot/load", R"({"snapshot_path":")" + directory_ + R"(/state","mem_backend":{"backend_type":"File","backend_path":")" + directory_ + R"(/memory"},"resume_vm":true})");
  EXPECT_EQ(looked_at(vmm), all_right_);
}

// What this whole test rests on: the double sees a byte that is another.
TEST_F(Cycle, TheDoubleSeesAWrongByte) {
  put_to_sleep(booted(), {});
  unseal_state();
  auto reader = snapshot_file::Reader::open(Fd(dup(snapshot_.get())), snapshot_file::key_of(key()));
  auto memory = *test::memory_of(*reader);
  memory[12'345] ^= 1;
  std::ofstream(directory_ + "/memory").write(reinterpret_cast<const char*>(memory.data()), static_cast<std::streamsize>(memory.size()));
  Vmm vmm("i-a3f7b2c1", doubles::kVersion);
  ask(vmm, "PUT", "/snapshot/load", R"({"snapshot_path":")" + directory_ + R"(/state","mem_file_path":")" + directory_ + R"(/memory","resume_vm":true})");
  EXPECT_NE(looked_at(vmm), all_right_);
  EXPECT_NE(looked_at(vmm).find("wrong=1"), std::string::npos);
}

}  // namespace
}  // namespace mvm
