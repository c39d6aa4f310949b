// Volumes, beside Debian's cryptsetup in one run and by turns: making one of 1 GiB, opening one by its header, and reading and writing
// through dm-crypt beside the bare file with the same direct I/O. Root, and for all but the first a kernel with dm-crypt: the node VM
// (docs/storage-speed.md). What is printed as times are ratios of neighbours, for an emulator's milliseconds mean nothing.
// usage: storage_bench [ROUNDS [MIB]]    rounds of each; MiB a read or a write
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "base/derived.h"
#include "broker/storage/open_volumes.h"

namespace {

using namespace mvm;
using namespace mvm::storage;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kFormatMib = 1024;
constexpr std::size_t kBlock = 1 << 20;
constexpr const char* kIdle = "storage-bench-idle";

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "storage_bench: %s\n", why.c_str());
  std::exit(1);
}
template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

struct Taken {
  double wall = 0, user = 0;  // milliseconds; user: of this process, outside the kernel
};
double user_ms() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec) * 1e3 + static_cast<double>(used.ru_utime.tv_usec) / 1e3;
}
template <class Do>
Taken timed(Do what) {
  const double user = user_ms();
  const auto begin = Clock::now();
  what();
  return {std::chrono::duration<double, std::milli>(Clock::now() - begin).count(), user_ms() - user};
}
void command(const std::string& line) {
  if (std::system(line.c_str()) != 0) give_up("cannot run: " + line);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values.size() % 2 != 0 ? values[values.size() / 2] : (values[values.size() / 2 - 1] + values[values.size() / 2]) / 2;
}
struct Turns {
  std::vector<double> ours, others;
  void print(const char* what) const {
    std::vector<double> quotients;
    for (std::size_t i = 0; i < ours.size(); ++i) quotients.push_back(others[i] / ours[i]);
    const auto [least, most] = std::ranges::minmax(quotients);
    std::printf("| %s | %.2f | %.2f | %.2f (%.2f-%.2f) |\n", what, median(ours), median(others), median(quotients), least, most);
    std::fflush(stdout);
  }
};

class Bench {
 public:
  Bench(std::size_t rounds, std::size_t mib) : rounds_(rounds), mib_(mib) {
    umask(077);
    char name[] = "/var/tmp/mvm-storage-bench-XXXXXX";
    if (mkdtemp(name) == nullptr) give_up("cannot make a directory");
    state_ = name;
    for (const char* each : {"/volumes", "/nodes"}) fs::create_directory(state_ + each);
    std::ranges::fill(key_.bytes(), std::uint8_t{7});
    FILE* const file = std::fopen(key_file().c_str(), "wb");
    if (file == nullptr || std::fwrite(key_.bytes().data(), 1, key_.size(), file) != key_.size() || std::fclose(file) != 0) give_up("cannot write a key");
    volumes_ = std::make_unique<Volumes>(directory("volumes"));
    loops_ = std::make_unique<Loops>(Fd(::open("/dev/loop-control", O_RDWR | O_CLOEXEC)), directory("nodes"));
    must(check_luks_works(arena_));
  }
  ~Bench() { fs::remove_all(state_); }

  void format() {
    Turns wall, user;
    const std::string file = state_ + "/other";
    for (std::size_t i = 0; i < rounds_; ++i) {
      const Taken ours = timed([&] { must(volumes_->format(instance_, kFormatMib, {1, key_})); });
      const Taken other = timed([&] {
        command("truncate -s 1026M " + file + " && cryptsetup luksFormat -q --type luks2 --cipher aes-xts-plain64 --key-size 512 --sector-size 4096 "
                "--pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file " + key_file() + " " + file + " && sync " + file);
      });
      wall.ours.push_back(ours.wall), wall.others.push_back(other.wall);
      user.ours.push_back(ours.user);
      must(volumes_->destroy(instance_));
      fs::remove(file);
    }
    wall.print("format 1 GiB, synced");
    std::printf("| of that ours outside the kernel, ms | %.2f (at most %.2f) | | |\n", median(user.ours), std::ranges::max(user.ours));
    std::fflush(stdout);
  }

  [[nodiscard]] bool has_device_mapper() const { return devices_.names().has_value(); }

  void open() {
    Turns turns;
    must(volumes_->format(instance_, mib_, {1, key_}));
    must(volumes_->mark_opened(instance_));
    for (std::size_t i = 0; i < rounds_; ++i) {
      turns.ours.push_back(timed([&] { must(opened().open(instance_, {1, key_})); }).wall);
      must(opened().close(instance_));
      turns.others.push_back(timed([&] { command("cryptsetup open --key-file " + key_file() + " " + file_path() + " storage-bench"); }).wall);
      command("cryptsetup close storage-bench");
    }
    turns.print("open");
  }

  // Through dm-crypt, through dm-crypt with a cipher that does nothing, and in the bare file, by turns. All are direct, and all of what
  // they take is there, so that nothing is allocated.
  void throughput() {
    must(opened().open(instance_, {1, key_}));
    const Fd device = node(data_device_name(instance_)), idle = without_cipher(), file = open_direct(state_ + "/bare");
    for (const int each : {device.get(), idle.get(), file.get()}) pass(each, true);
    for (const bool writes : {true, false}) {
      Turns bare, layers;
      for (std::size_t i = 0; i < rounds_; ++i) {
        bare.ours.push_back(timed([&] { pass(device.get(), writes); }).wall);
        bare.others.push_back(timed([&] { pass(file.get(), writes); }).wall);
        layers.ours.push_back(timed([&] { pass(idle.get(), writes); }).wall);
      }
      layers.others = bare.others;
      bare.print(writes ? "write through dm-crypt; other: the bare file" : "read through dm-crypt; other: the bare file");
      layers.print("the same with cipher_null");
    }
  }
  void close() {
    must(devices_.remove(kIdle));
    must(opened().close(instance_));
    must(volumes_->destroy(instance_));
  }

 private:
  [[nodiscard]] Fd directory(const std::string& name) const { return Fd(::open((state_ + "/" + name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)); }
  [[nodiscard]] std::string key_file() const { return state_ + "/key"; }
  [[nodiscard]] std::string file_path() const { return state_ + "/volumes/acme/workers/i-a3f7b2c1.1.luks"; }
  [[nodiscard]] OpenVolumes opened() const { return {devices_, *loops_, *volumes_, arena_}; }
  [[nodiscard]] Fd open_direct(const std::string& path) const {
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600));
    if (!fd.valid()) give_up("cannot open " + path);
    return fd;
  }
  [[nodiscard]] Fd node(const std::string& device) const {
    const std::string path = state_ + "/nodes/" + device;
    if (mknod(path.c_str(), S_IFBLK | 0600, must(devices_.find(device)).number) != 0) give_up("cannot make a node");
    return open_direct(path);
  }
  [[nodiscard]] Fd without_cipher() const {
    const Fd file = open_direct(state_ + "/idle");
    if (ftruncate(file.get(), static_cast<off_t>(mib_ * kBlock)) != 0) give_up("cannot size a file");
    const Loop loop = must(loops_->attach(file.get(), Writes::kAllowed));
    const Target target{mib_ * kBlock / kSector, "crypt", "cipher_null-ecb - 0 " + loop.device() + " 0 1 sector_size:4096"};
    must(devices_.make({kIdle, kIdle, target, Writes::kAllowed}));
    return node(kIdle);
  }
  void pass(int fd, bool writes) const {
    for (std::size_t i = 0; i < mib_; ++i) {
      const auto at = static_cast<off_t>(i * kBlock);
      const ssize_t done = writes ? pwrite(fd, block_.get(), kBlock, at) : pread(fd, block_.get(), kBlock, at);
      if (done != static_cast<ssize_t>(kBlock)) give_up(std::string("cannot read or write: ") + std::strerror(errno));
    }
    if (writes && fsync(fd) != 0) give_up("cannot sync");
  }

  std::size_t rounds_, mib_;
  std::string state_;
  const Subject instance_ = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1});
  SecretArena arena_ = must(SecretArena::make());
  Secret key_ = must(arena_.take(kKeyBytes));
  DeviceMapper devices_{Fd(::open("/dev/mapper/control", O_RDWR | O_CLOEXEC))};
  std::unique_ptr<Loops> loops_;
  std::unique_ptr<Volumes> volumes_;
  std::unique_ptr<char, void (*)(void*)> block_{static_cast<char*>(std::aligned_alloc(kLoopBlock, kBlock)), std::free};
};

}  // namespace

int main(int count, char** words) {
  const auto number = [&](int at, std::size_t otherwise) { return count > at ? static_cast<std::size_t>(std::atoi(words[at])) : otherwise; };
  Bench bench(number(1, 15), number(2, 64));
  std::printf("| | ours, ms | other, ms | other / ours |\n| --- | --- | --- | --- |\n");
  bench.format();
  if (!bench.has_device_mapper()) return std::printf("no device-mapper here: the rest needs the node VM\n"), 0;
  bench.open();
  bench.throughput();
  bench.close();
}
