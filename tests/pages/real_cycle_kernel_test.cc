// Sleep and wake of Firecracker itself, where MVM_FIRECRACKER_DIR says where it is: its image is sealed, the page server gives its memory to
// another Firecracker, and what that one then writes as its memory is what was sealed. Its guest need not run for that, and is paused throughout.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cstdlib>
#include <fstream>

#include "broker/pages/serve.h"
#include "seccomp/pages.grants.h"
#include "tests/pages/process.h"

namespace mvm {
namespace {

using pages::Said;

// A Firecracker without its jailer, and its API.
class Firecracker {
 public:
  explicit Firecracker(const std::string& socket_path) : path_(socket_path) {
    const std::string executable = std::string(std::getenv("MVM_FIRECRACKER_DIR")) + "/firecracker";
    child_ = fork();
    if (child_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      const int null = open("/dev/null", O_RDWR);
      for (const int fd : {0, 1, 2}) dup2(null, fd);
      execl(executable.c_str(), "firecracker", "--id", "a", "--api-sock", path_.c_str(), nullptr);
      _exit(127);
    }
    socket_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path_.c_str());
    for (int i = 0; i < 2000 && connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0; ++i) usleep(5000);
  }
  ~Firecracker() {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
    std::filesystem::remove(path_);
  }
  Firecracker(const Firecracker&) = delete;
  Firecracker& operator=(const Firecracker&) = delete;

  // The answer's head, and what of its body came with it. An answer that says nothing has no body.
  std::string ask(const std::string& method, const std::string& path, const std::string& body) {
    const std::string text = method + " " + path + " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    if (send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) return "not sent";
    std::string answer;
    std::array<char, 4096> part;
    while (answer.find("\r\n\r\n") == std::string::npos) {
      pollfd waited{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (poll(&waited, 1, 30'000) != 1) return "no answer";
      const ssize_t got = recv(socket_.get(), part.data(), part.size(), 0);
      if (got <= 0) return "gone";
      answer.append(part.data(), static_cast<std::size_t>(got));
    }
    return answer;
  }

 private:
  std::string path_;
  pid_t child_ = -1;
  Fd socket_;
};

class RealCycle : public testing::Test {
 protected:
  static constexpr std::uint64_t kBytes = 64ull << 20;
  // Pages that Firecracker itself writes when it restores: a new generation id for the guest (vmgenid), and the clock that tells of the snapshot.
  static constexpr std::size_t kGivenAnew = 2;

  void SetUp() override {
    if (std::getenv("MVM_FIRECRACKER_DIR") == nullptr) GTEST_SKIP() << "needs MVM_FIRECRACKER_DIR";
    if (access("/dev/kvm", R_OK | W_OK) != 0 || !test::new_userfaultfd().valid()) GTEST_SKIP() << "no KVM or no userfaultfd for us here";
    char name[] = "/dev/shm/mvm-real-XXXXXX";
    directory_ = mkdtemp(name);
  }
  void TearDown() override {
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }
  [[nodiscard]] std::string at(const char* name) const { return directory_ + "/" + name; }
  static void wants(Firecracker& vmm, const char* method, const char* path, const std::string& body) {
    const std::string answer = vmm.ask(method, path, body);
    ASSERT_TRUE(answer.starts_with("HTTP/1.1 204")) << method << ' ' << path << ": " << answer;
  }
  void write_snapshot(Firecracker& vmm, const char* memory, const char* state) const {
    wants(vmm, "PUT", "/snapshot/create", R"({"mem_file_path":")" + at(memory) + R"(","snapshot_path":")" + at(state) + "\"}");
  }
  static test::Bytes content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string directory_;
};

TEST_F(RealCycle, ByUserfaultfdItsMemoryComesBack) {
  const std::string kernel = std::string(std::getenv("MVM_FIRECRACKER_DIR")) + "/vmlinux";
  {
    Firecracker vmm(at("first.sock"));
    wants(vmm, "PUT", "/machine-config", R"({"vcpu_count":1,"mem_size_mib":64})");
    wants(vmm, "PUT", "/boot-source", R"({"kernel_image_path":")" + kernel + "\"}");
    wants(vmm, "PUT", "/entropy", "{}");
    wants(vmm, "PUT", "/actions", R"({"action_type":"InstanceStart"})");
    wants(vmm, "PATCH", "/vm", R"({"state":"Paused"})");
    write_snapshot(vmm, "memory", "state");
  }
  const test::Bytes before = content_of(at("memory"));
  ASSERT_EQ(before.size(), kBytes);
  ASSERT_GT(std::ranges::count_if(before, [](std::uint8_t byte) { return byte != 0; }), 0);
  const Fd memory(open(at("memory").c_str(), O_RDWR | O_CLOEXEC)), state(open(at("state").c_str(), O_RDONLY | O_CLOEXEC));
  const auto header = test::header_for(kBytes, test::kPagesChunk, std::filesystem::file_size(at("state")));
  const Fd sealed_file(memfd_create("snapshot", MFD_CLOEXEC));
  const auto sealed = snapshot_file::seal(header, {.memory = memory.get(), .state = state.get(), .first = {}}, test::kTenantKey, test::arena(), sealed_file.get());
  ASSERT_TRUE(sealed) << sealed.error().message();

  const test::Listener listener;
  const std::array<int, 2> extra = {sealed_file.get(), listener.fd()};
  const test::Runnable executable(MVM_PAGES);
  const auto server = test::started({.executable = executable.fd(), .grants = grants::kPages, .user = {test::kNobodyElse, test::kNobodyElse}, .extra = extra});
  const auto key = [&] { return *snapshot_file::unwrap(*snapshot_file::read_header(sealed_file.get()), test::kTenantKey, test::arena()); };
  ASSERT_TRUE(pages::send_order(server.channel.get(), {sealed->file, {}, 0, 10'000}, pages::Keys{key(), *test::arena().take(pages::kDataKeyBytes)}));
  ASSERT_EQ(test::next_report(server).value_or(pages::Report{}).said, Said::kReady);
  Firecracker woken(at("second.sock"));
  wants(woken, "PUT", "/snapshot/load",
        R"({"snapshot_path":")" + at("state") + R"(","mem_backend":{"backend_type":"Uffd","backend_path":")" + listener.path() + "\"}}");
  ASSERT_EQ(test::next_report(server).value_or(pages::Report{}).said, Said::kFirst);
  ASSERT_EQ(test::next_report(server).value_or(pages::Report{}).said, Said::kWhole);
  ASSERT_EQ(test::ended(server), 0);

  write_snapshot(woken, "again", "state-again");
  const test::Bytes after = content_of(at("again"));
  ASSERT_EQ(after.size(), before.size());
  std::size_t other = 0;
  for (std::size_t page = 0; page < before.size(); page += snapshot_file::kPage) {
    other += std::ranges::equal(std::span(before).subspan(page, snapshot_file::kPage), std::span(after).subspan(page, snapshot_file::kPage)) ? 0 : 1;
  }
  EXPECT_LE(other, kGivenAnew) << "pages are not what they were";
  wants(woken, "PATCH", "/vm", R"({"state":"Resumed"})");
}

}  // namespace
}  // namespace mvm
