// A host for the jail's kernel tests: root, a cgroup of its own on the cgroup2 that is mounted, a state directory with an
// image, whose root file system is a loop device (the storage worker's dm-verity has tests of its own, in tests/storage/), a network namespace with a tap, and the doubles in place of Firecracker (or the real one, MVM_FIRECRACKER_DIR).
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <linux/loop.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "base/derived.h"
#include "broker/beneath/beneath.h"
#include "broker/jail/executor.h"
#include "policy-lang/print.h"

namespace mvm::jail {

namespace fs = std::filesystem;

inline std::string cgroup2_mount() {
  std::ifstream mounts("/proc/mounts");
  for (std::string device, where, type, rest; mounts >> device >> where >> type && std::getline(mounts, rest);) {
    if (type == "cgroup2") return where;
  }
  return {};
}

// A tap of its own network namespace, with the gateway's address, so that the guest has somebody to talk to.
inline void make_tap(const std::string& name, const Subnet& subnet, unsigned owner) {
  const Fd tun(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(tun.valid());
  ifreq request{};
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
  ASSERT_EQ(ioctl(tun.get(), TUNSETIFF, &request), 0) << strerror(errno);
  ASSERT_EQ(ioctl(tun.get(), TUNSETOWNER, owner), 0);
  ASSERT_EQ(ioctl(tun.get(), TUNSETPERSIST, 1), 0);
  const Fd any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto* address = reinterpret_cast<sockaddr_in*>(&request.ifr_addr);
  const auto set = [&](unsigned long what, std::uint32_t value) {
    *address = sockaddr_in{};
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(value);
    ASSERT_EQ(ioctl(any.get(), what, &request), 0) << strerror(errno);
  };
  set(SIOCSIFADDR, gateway_address(subnet));
  set(SIOCSIFNETMASK, static_cast<std::uint32_t>(~std::uint64_t{0} << (32 - subnet.prefix)));
  request.ifr_flags = IFF_UP;
  ASSERT_EQ(ioctl(any.get(), SIOCSIFFLAGS, &request), 0);
}

class JailFixture : public testing::Test {
 protected:
  static constexpr std::uint16_t kNet = 3;
  static constexpr std::uint32_t kSlot = 5;
  static constexpr unsigned kUid = 2'000'005;
  static constexpr std::size_t kBlock = 4096;

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    const std::string mount = cgroup2_mount();
    if (mount.empty()) GTEST_SKIP() << "needs a cgroup2 mount";
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    umask(077);
    char name[] = "/var/tmp/mvm-jail-test-XXXXXX";  // on a disk, where there is one
    state_ = mkdtemp(name);
    char memory[] = "/dev/shm/mvm-jail-test-XXXXXX";
    memory_ = mkdtemp(memory);
    cgroup_ = mount + "/" + fs::path(state_).filename().string();
    std::ofstream(mount + "/cgroup.subtree_control") << "+cpu +memory +pids +io";  // where the machine has them to give
    ASSERT_TRUE(fs::create_directory(cgroup_));
    const std::string kernel = guest_kernel();
    manifest_ = {*FlakeRef::from("path:test"), sha256("a lock file"), {sha256(kernel), kernel.size()}, {sha256("a tree"), 2}};
    image_ = sha256(lang::print(lang::document_of(manifest_)));
    write_image("kernel", kernel);
    write_image("rootfs", real() ? content_of(firecracker_dir() + "/rootfs.ext4") : "a root file system\n");
    make_tap(tap_name(kNet, kSlot), subnet_, kUid);
    start_worker();
  }

  void TearDown() override {
    if (executor_ != nullptr) (void)run(wire::Op::kUnmake, lang::Word::kJail);
    executor_.reset();
    if (!cgroup_.empty()) {
      for (const char* below : {"/acme/workers/i-a3f7b2c1/vm", "/acme/workers/i-a3f7b2c1/pages", "/acme/workers/i-a3f7b2c1", "/acme/workers", "/acme", ""}) rmdir((cgroup_ + below).c_str());
      EXPECT_FALSE(fs::exists(cgroup_));
    }
    if (!state_.empty()) fs::remove_all(state_);
    if (!memory_.empty()) fs::remove_all(memory_);
  }

  void write_image(const std::string& name, const std::string& content) {
    const fs::path directory = fs::path(state_) / "images" / to_hex(image_.bytes);
    fs::create_directories(directory);
    fs::remove(directory / name);
    std::ofstream(directory / name) << content;
    fs::permissions(directory / name, static_cast<fs::perms>(0444));
    if (name != "rootfs") return;
    fs::resize_file(directory / name, (content.size() + kBlock - 1) / kBlock * kBlock);
    attach_rootfs(directory / name);
  }
  // Stands for the image's device, in what stands for /sys/block.
  void attach_rootfs(const std::string& path) {
    const Fd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC)), file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(control.valid() && file.valid());
    loop_config config{};
    config.fd = static_cast<std::uint32_t>(file.get());
    config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
    int number = 0;
    for (int i = 0; i < 50; ++i) {
      number = ioctl(control.get(), LOOP_CTL_GET_FREE);
      rootfs_ = Fd(open(("/dev/loop" + std::to_string(number)).c_str(), O_RDONLY | O_CLOEXEC));
      if (ioctl(rootfs_.get(), LOOP_CONFIGURE, &config) == 0) break;
      ASSERT_EQ(errno, EBUSY) << "another test had it first";
    }
    const fs::path device = fs::path(block_path()) / "dm-0";
    fs::create_directories(device / "dm");
    std::ofstream(device / "dm/name") << image_device_name(image_) << "\n";
    std::ofstream(device / "dm/suspended") << "0\n";
    std::ofstream(device / "ro") << "1\n";
    std::ofstream(device / "dev") << "7:" << number << "\n";
  }
  [[nodiscard]] std::string block_path() const { return state_ + "/block"; }

  // For the doubles alone.
  void misbehave(const std::string& how) {
    ASSERT_FALSE(real());
    write_image("rootfs", "mvm-double " + how + "\n");
  }

  // Given MVM_FIRECRACKER_DIR, the real one: firecracker, jailer, vmlinux and rootfs.ext4 are there.
  static bool real() { return std::getenv("MVM_FIRECRACKER_DIR") != nullptr; }
  static std::string firecracker_dir() { return real() ? std::getenv("MVM_FIRECRACKER_DIR") : MVM_DOUBLES_DIR; }
  [[nodiscard]] virtual std::string guest_kernel() const { return real() ? content_of(firecracker_dir() + "/vmlinux") : "a kernel"; }
  static std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void start_worker() { start_worker(firecracker_dir()); }
  void start_worker(const std::string& firecracker) {
    auto cgroups = open_absolute(cgroup_, O_RDONLY | O_DIRECTORY);
    auto state = open_absolute(state_, O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(cgroups && state);
    auto memory = open_absolute(memory_, O_RDONLY | O_DIRECTORY);
    ASSERT_TRUE(memory);
    auto executor = Executor::make({std::move(*cgroups), std::move(*state), state_, firecracker, std::move(*memory), memory_, open_absolute(block_path(), O_RDONLY | O_DIRECTORY).value(), pages(), link(), guests()});
    ASSERT_TRUE(executor) << executor.error().message();
    executor_ = std::move(*executor);
  }

  // For those that wake.
  virtual PageServers pages() { return {}; }
  virtual Fd link() { return {}; }
  virtual Fd guests() { return {}; }

  // The instance's anchor. By hand, so that these tests need no controllers; cgroup lines are tested where there are some.
  void anchor() {
    fs::create_directories(cgroup_ + "/acme/workers/i-a3f7b2c1");
  }
  [[nodiscard]] std::string anchor_path() const { return cgroup_ + "/acme/workers/i-a3f7b2c1"; }
  [[nodiscard]] std::string memory_path() const { return memory_ + "/acme.workers.a3f7b2c1"; }
  [[nodiscard]] std::string root_path() const { return state_ + "/jails/acme/workers/firecracker/i-a3f7b2c1/root"; }

  [[nodiscard]] wire::Task task(wire::Op op, lang::Word word) const {
    wire::Task task;
    task.seq = 7;
    task.op = op;
    if (op == wire::Op::kInventory) return task;
    task.statement.sign = op == wire::Op::kMake ? lang::Sign::kAdd : op == wire::Op::kUnmake ? lang::Sign::kRemove : lang::Sign::kMove;
    task.statement.word = word;
    task.statement.subject = instance_;
    if (word == lang::Word::kJail) {
      task.statement.digests[0] = image_;
      task.statement.numbers = {1, 2, 256, lang::kBootCold, lang::kRunning, lang::kAwake};
      if (op == wire::Op::kMake) task.manifest = manifest_;
    }
    task.place = {.net = kNet, .subnet = subnet_, .cidr = {0x0af00000, 12}, .slot = kSlot, .uid = kUid, .generation = 42, .node = {}};
    return task;
  }

  wire::Answer run(const wire::Task& what) {
    wire::Answer last;
    executor_->run(what, [&](const wire::Answer& answer) { last = answer; });
    return last;
  }
  wire::Answer run(wire::Op op, lang::Word word) { return run(task(op, word)); }
  wire::Answer make() { return run(wire::Op::kMake, lang::Word::kJail); }
  wire::Answer unmake() { return run(wire::Op::kUnmake, lang::Word::kJail); }

  wire::Answer move(std::uint64_t from, std::uint64_t to) {
    wire::Task what = task(wire::Op::kMove, lang::Word::kJail);
    what.statement.numbers = {from, to};
    return run(what);
  }

  // The jail as the inventory has it; nothing where it is not in there.
  std::optional<wire::Item> found(lang::Word word) {
    for (const wire::Item& item : run(wire::Op::kInventory, lang::Word::kJail).items) {
      if (item.word == word && item.subject == instance_) return item;
    }
    return std::nullopt;
  }

  // The processes; KVM's kernel threads, which join them, have no memory (proc(5), statm).
  [[nodiscard]] std::vector<pid_t> members() const {
    std::vector<pid_t> pids;
    std::ifstream procs(anchor_path() + "/vm/cgroup.procs");
    for (pid_t pid; procs >> pid;) {
      if (!content_of("/proc/" + std::to_string(pid) + "/statm").starts_with("0 ")) pids.push_back(pid);
    }
    return pids;
  }

  // One command to the doubled guest, and its answer; empty where there is none within two seconds.
  [[nodiscard]] std::string ask_guest(const std::string& line) const { return ask_guest_of(root_path(), line); }
  [[nodiscard]] static std::string ask_guest_of(const std::string& root, const std::string& line) {
    const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Fd inode(open((root + "/run/guest.sock").c_str(), O_PATH | O_CLOEXEC));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, ("/proc/self/fd/" + std::to_string(inode.get())).c_str());
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return "no guest";
    const timeval patience{2, 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)!write(socket.get(), (line + "\n").data(), line.size() + 1);
    char answer[512];
    const ssize_t got = read(socket.get(), answer, sizeof answer);
    return got <= 0 ? "" : std::string(answer, static_cast<std::size_t>(got) - 1);
  }

  const Subnet subnet_{0x0af00300, 24};  // 10.240.3.0/24
  const Subject instance_ = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1});
  lang::Manifest manifest_;
  Fd rootfs_;  // its loop device, which goes when nobody has it open
  Digest image_;
  std::string state_, cgroup_, memory_;
  std::unique_ptr<Executor> executor_;
};

}  // namespace mvm::jail
