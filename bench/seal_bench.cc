// Sealing a snapshot beside what `openssl speed -evp aes-256-gcm` and `zstd -1` allow together, on one core and in one run: the time that
// zstd takes for the image, and AES for what zstd leaves of it. All of ours is counted: reading the image out of the process that has it
// mapped, finding zeros, and writing the file (to a memory file system, for a disk is not what is measured).
// Speeds are of processor time, as openssl's own are: so what else runs on the machine disturbs them little.
// usage: seal_bench [MIB] [ROUNDS] [--csv]   --csv: what each round came to, for plot.py
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "bench/memory_image.h"
#include "snapshot-file/writer.h"

namespace {

using namespace mvm;
namespace sf = snapshot_file;

std::string said_by(const std::string& command) {
  std::string text;
  FILE* const pipe = popen(command.c_str(), "r");
  for (char part[512]; pipe != nullptr && std::fgets(part, sizeof part, pipe) != nullptr;) text += part;
  if (pipe == nullptr || pclose(pipe) != 0) {
    std::fprintf(stderr, "seal_bench: cannot run: %s\n", command.c_str());
    std::exit(1);
  }
  return text;
}

// Bytes a second. The last field of openssl's table, in thousands, with a k.
double aes_speed() {
  const std::string text = said_by("openssl speed -seconds 1 -bytes 65536 -evp aes-256-gcm 2>/dev/null | tail -1");
  return std::strtod(text.c_str() + text.rfind(' '), nullptr) * 1000;
}

double processor_seconds(int who) {
  rusage used{};
  getrusage(who, &used);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

struct Zstd {
  double seconds, bytes;
};
// One thread, as ours is one.
Zstd zstd_once(const std::string& file) {
  const double before = processor_seconds(RUSAGE_CHILDREN);
  const std::string text = said_by("zstd -1 --single-thread -c " + file + " >" + file + ".zst && stat -c %s " + file + ".zst");
  return {processor_seconds(RUSAGE_CHILDREN) - before, std::strtod(text.c_str(), nullptr)};
}

Fd memory_file(const std::vector<std::uint8_t>& bytes) {
  Fd fd(memfd_create("image", MFD_CLOEXEC));
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t wrote = pwrite(fd.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (wrote <= 0) std::exit(1);
    at += static_cast<std::size_t>(wrote);
  }
  return fd;
}

// As a guest's memory is, zeros and all: its address.
std::uint64_t mapped(const std::vector<std::uint8_t>& image) {
  void* const at = mmap(nullptr, image.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::exit(1);
  std::memcpy(at, image.data(), image.size());
  return reinterpret_cast<std::uint64_t>(at);
}

struct Run {
  double seconds;
  std::uint64_t bytes;
};
Run seal_once(const std::vector<std::uint8_t>& image, sf::Compression compression, const SecretArena& arena) {
  static const std::uint64_t kMapped = mapped(image);
  const Fd memory(open("/proc/self/mem", O_RDONLY | O_CLOEXEC)), pagemap(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  const sf::LiveMemory live{memory.get(), pagemap.get(), {{{kMapped, image.size()}, {}}}};
  const Fd state = memory_file({1}), out(memfd_create("out", MFD_CLOEXEC));
  sf::Header header;
  header.instance = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{1});
  header.seq = header.key_version = 1;
  header.compression = compression;
  header.memory = image.size();
  header.chunk = sf::chunk_for(image.size());
  header.state = 1;
  const std::array<std::uint8_t, sf::kKeyBytes> key{};
  const double before = processor_seconds(RUSAGE_SELF);
  const auto sealed = sf::seal(header, {.live = &live, .state = state.get()}, key, arena, out.get());
  const double seconds = processor_seconds(RUSAGE_SELF) - before;
  if (!sealed) {
    std::fprintf(stderr, "seal_bench: %s\n", sealed.error().message().c_str());
    std::exit(1);
  }
  return {seconds, sealed->bytes};
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t mib = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 256;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const bool csv = argc > 3 && std::string_view(argv[3]) == "--csv";
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) return 1;  // for what it starts, too

  const auto arena = SecretArena::make();
  if (!arena) return 1;
  const auto image = bench::memory_image(mib << 20);
  const std::string file = "/dev/shm/mvm-seal-bench-" + std::to_string(getpid());
  std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  // The best of each of several rounds, one after the other: whatever else runs on this machine disturbs all of them alike.
  double aes = 0, zstd = 1e9, compressed = 0, ours = 1e9, raw = 1e9;
  std::uint64_t left = 0;
  for (int i = 0; i < rounds; ++i) {
    const double aes_now = aes_speed();
    aes = std::max(aes, aes_now);
    const Zstd said = zstd_once(file);
    zstd = std::min(zstd, said.seconds);
    compressed = said.bytes;
    const Run run = seal_once(image, sf::Compression::kZstd, *arena);
    ours = std::min(ours, run.seconds);
    left = run.bytes;
    const Run raw_run = seal_once(image, sf::Compression::kNone, *arena);
    raw = std::min(raw, raw_run.seconds);
    if (!csv) continue;
    const double mb = static_cast<double>(image.size()) / 1e6;
    std::printf("limit,%.1f\nzstd,%.1f\nnone,%.1f\n", mb / (said.seconds + said.bytes / aes_now), mb / run.seconds, mb / raw_run.seconds);
  }
  unlink(file.c_str());
  unlink((file + ".zst").c_str());
  if (csv) return 0;
  const double bytes = static_cast<double>(image.size()), limit = zstd + compressed / aes;
  std::printf("%-44s %8.0f MB/s\n", "openssl speed -evp aes-256-gcm, 64 KiB", aes / 1e6);
  std::printf("%-44s %8.0f MB/s, to 1/%.2f\n", "zstd -1", bytes / zstd / 1e6, bytes / compressed);
  std::printf("%-44s %8.0f MB/s\n", "both, one after the other: the limit", bytes / limit / 1e6);
  std::printf("%-44s %8.0f MB/s, to 1/%.2f\n", "sealed, zstd", bytes / ours / 1e6, bytes / static_cast<double>(left));
  std::printf("%-44s %8.0f MB/s\n", "sealed, none", bytes / raw / 1e6);
  std::printf("%-44s %8.2f of the limit (wanted: 0.9)\n", "sealed, zstd", limit / ours);
  return 0;
}
