// Waking by the page server beside waking by the whole file, in one run. The microVM's part is played by this program: it maps memory and
// watches it as Firecracker does, hands it over, and faults. What Firecracker itself takes to load is the same in both ways and not counted.
//   lazy   from the request to the first page in the guest, without what Firecracker does between the two parts: start mvm-pages and open
//          the snapshot; then hand over, and have the first fault served
//   whole  the plain way: the same process opens all of the file into a memory file and ends, and that is mapped: the first page then costs nothing more
// Then faults alone: one after the other, each on a chunk that nobody has touched, while the rest comes in too.
// The sealed file is in the page cache, so what a disk adds is not measured.
// usage: wake_bench MVM_PAGES [MIB] [ROUNDS] [--csv]   (root, for userfaultfd); --csv: the samples themselves, for plot.py
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <random>
#include <string_view>

#include "bench/memory_image.h"
#include "broker/pages/order.h"
#include "broker/sandbox/spawn.h"
#include "seccomp/pages.grants.h"
#include "snapshot-file/reader.h"
#include "snapshot-file/writer.h"
#include "tests/pages/process.h"

namespace {

using namespace mvm;
namespace sf = snapshot_file;
using Clock = std::chrono::steady_clock;

double ms(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }
double us(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }
double at_part(std::vector<double> values, double part) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[std::min(values.size() - 1, static_cast<std::size_t>(part * static_cast<double>(values.size())))];
}

struct Snapshot {
  Fd file;
  Digest digest;
  std::uint64_t memory = 0;
  std::vector<std::uint64_t> held;  // of each chunk that holds anything, a page that does
  [[nodiscard]] Secret key() const { return *sf::unwrap(*sf::read_header(file.get()), test::kTenantKey, test::arena()); }
};

Snapshot sealed(std::size_t bytes) {
  const auto image = bench::memory_image(bytes);
  const Fd memory = test::file_of(image), state = test::file_of({1});
  Snapshot snapshot{Fd(memfd_create("snapshot", MFD_CLOEXEC)), {}, bytes, {}};
  std::mt19937 random(7);
  for (std::uint64_t chunk = 0; chunk < bytes; chunk += sf::kUsualChunk) {
    std::vector<std::uint64_t> pages;
    for (std::uint64_t page = chunk; page < chunk + sf::kUsualChunk; page += sf::kPage) {
      if (!sf::is_zero_page(image.data() + page)) pages.push_back(page);
    }
    if (!pages.empty()) snapshot.held.push_back(pages[random() % pages.size()]);
  }
  const auto done = sf::seal(test::header_for(bytes, sf::kUsualChunk, 1), {.memory = memory.get(), .state = state.get()}, test::kTenantKey, test::arena(), snapshot.file.get());
  if (!done) std::exit(1);
  snapshot.digest = done->file;
  return snapshot;
}

// A page server that has its order. `gets`: where the memory goes.
sandbox::Worker ordered(const Snapshot& snapshot, int executable, int gets, const pages::Keys& keys) {
  const std::array<int, 2> extra = {snapshot.file.get(), gets};
  auto worker = sandbox::spawn({.executable = executable, .grants = grants::kPages, .user = {test::kNobodyElse, test::kNobodyElse}, .extra = extra});
  if (!worker || !pages::send_order(worker->channel.get(), {snapshot.digest, {}, 0, 10'000}, keys)) std::exit(1);
  return *std::move(worker);
}

struct Lazy {
  double ready_ms, served_ms, all_ms;
  std::vector<double> faults_us;
};

// `touch_all`: go on and fault on a page of each chunk that is not there yet, in a random order.
Lazy wake_lazily(const Snapshot& snapshot, int executable, bool touch_all) {
  const test::Listener listener;
  const pages::Keys keys{snapshot.key(), *test::arena().take(pages::kDataKeyBytes)};
  const auto begun = Clock::now();
  const auto worker = ordered(snapshot, executable, listener.fd(), keys);
  if (!test::next_report(worker)) std::exit(1);
  const auto ready = Clock::now();
  const test::WatchedMemory memory({snapshot.memory});  // what Firecracker does
  const Fd connection(listener.connected());
  const auto asked = Clock::now();
  if (!test::send_with(connection.get(), memory.message(), memory.userfaultfd())) std::exit(1);
  std::vector<std::uint64_t> order = snapshot.held;
  std::ranges::shuffle(order, std::mt19937(7));
  (void)*memory.at(order.front());
  const auto first = Clock::now();
  Lazy lazy{ms(ready - begun), ms(first - asked), 0, {}};
  for (const std::uint64_t page : order) {
    if (!touch_all) break;
    if (memory.there(page)) continue;
    const auto before = Clock::now();
    (void)*memory.at(page);
    lazy.faults_us.push_back(us(Clock::now() - before));
  }
  while (const auto report = test::next_report(worker)) {
    if (report->said == pages::Said::kWhole) break;
  }
  lazy.all_ms = ms(Clock::now() - begun);
  if (test::ended(worker) != 0) std::exit(1);
  return lazy;
}

double wake_whole(const Snapshot& snapshot, int executable) {
  const Fd memory(memfd_create("memory", MFD_CLOEXEC));
  const pages::Keys keys{snapshot.key(), *test::arena().take(pages::kDataKeyBytes)};
  const auto begun = Clock::now();
  const auto worker = ordered(snapshot, executable, memory.get(), keys);
  for (const pages::Said expected : {pages::Said::kReady, pages::Said::kWhole}) {
    const auto report = test::next_report(worker);
    if (!report || report->said != expected) std::exit(1);
  }
  if (test::ended(worker) != 0) std::exit(1);
  void* const mapped = mmap(nullptr, snapshot.memory, PROT_READ | PROT_WRITE, MAP_PRIVATE, memory.get(), 0);
  (void)*static_cast<volatile std::uint8_t*>(mapped);
  const double taken = ms(Clock::now() - begun);
  munmap(mapped, snapshot.memory);
  return taken;
}

struct Samples {
  std::vector<double> ready, served, first, all, whole, faults;
  double best_rate = 0;
};

Samples measure(std::size_t mib, int rounds, int executable) {
  const Snapshot snapshot = sealed(mib << 20);
  Samples samples;
  for (int i = 0; i < rounds; ++i) {
    const Lazy lazy = wake_lazily(snapshot, executable, false);
    samples.ready.push_back(lazy.ready_ms);
    samples.served.push_back(lazy.served_ms);
    samples.first.push_back(lazy.ready_ms + lazy.served_ms);
    samples.all.push_back(lazy.all_ms);
    samples.whole.push_back(wake_whole(snapshot, executable));
    const Lazy touched = wake_lazily(snapshot, executable, true);
    samples.faults.insert(samples.faults.end(), touched.faults_us.begin(), touched.faults_us.end());
    const double sum = std::accumulate(touched.faults_us.begin(), touched.faults_us.end(), 0.0);
    samples.best_rate = std::max(samples.best_rate, static_cast<double>(touched.faults_us.size()) / sum * 1e6);
  }
  return samples;
}

// A line a sample; of the faults, which are thousands, one at each half of a hundredth.
void print_csv(std::size_t mib, const Samples& samples) {
  const auto each = [&](const char* what, const std::vector<double>& values) {
    for (const double value : values) std::printf("%s,%zu,%.2f\n", what, mib, value);
  };
  each("lazy", samples.first);
  each("whole", samples.whole);
  each("all", samples.all);
  for (int part = 0; part < 200; ++part) std::printf("fault,%zu,%.4f\n", mib, at_part(samples.faults, part / 200.0) / 1000);
}

void print_table(std::size_t mib, int rounds, const Samples& samples) {
  const auto line = [](const char* what, const std::vector<double>& values, const char* unit) {
    std::printf("%-58s median %9.2f  best %9.2f  worst %9.2f %s\n", what, at_part(values, 0.5), at_part(values, 0), at_part(values, 1), unit);
  };
  std::printf("%zu MiB, %d rounds\n", mib, rounds);
  line("lazy: from the request to the first page (5 ms wanted)", samples.first, "ms");
  line("  of that until the page server is ready", samples.ready, "ms");
  line("  of that from the hand-over on", samples.served, "ms");
  line("whole: to the first page", samples.whole, "ms");
  line("lazy: to all in, the key gone, the process ended", samples.all, "ms");
  std::printf("%-58s %9.1f times (20 wanted), by medians\n", "lazy against whole, to the first page", at_part(samples.whole, 0.5) / at_part(samples.first, 0.5));
  std::printf("%-58s p50 %9.1f  p99 %9.1f us, of %zu\n", "one fault, while the rest comes in", at_part(samples.faults, 0.5), at_part(samples.faults, 0.99), samples.faults.size());
  std::printf("%-58s %9.0f, of 64 KiB each\n", "faults a second, one after the other, best round", samples.best_rate);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string pages = argc > 1 ? argv[1] : MVM_PAGES;
  const std::size_t mib = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 512;
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 7;
  if (!test::new_userfaultfd().valid()) {
    std::printf("wake_bench: no userfaultfd for us here\n");
    return 0;
  }
  const test::Runnable executable(pages);
  const Samples samples = measure(mib, rounds, executable.fd());
  if (argc > 4 && std::string_view(argv[4]) == "--csv") {
    print_csv(mib, samples);
  } else {
    print_table(mib, rounds, samples);
  }
  return 0;
}
