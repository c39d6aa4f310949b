// A diff on its pool's base beside the full snapshot of the same memory: what sealing each costs, what opening all of it again does, and how large the files are. A
// part of the guest's pages, drawn one by one, has become another since the base; single pages are the hardest for it, since each hides in a chunk of its own.
// Speeds are of one core's processor time.
// usage: diff_bench [MIB] [ROUNDS] [--csv]   --csv: what each round came to, for plot.py
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string_view>

#include "bench/memory_image.h"
#include "tests/snapshot-file/image.h"

namespace {

using namespace mvm;
namespace sf = snapshot_file;
using test::Bytes;

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

template <typename T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "diff_bench: cannot %s\n", result.error().message().c_str());
  std::exit(1);
}

// Of each thousand pages so many are another page of the same image, with a word of its own.
Bytes with_changed(Bytes memory, unsigned of_thousand) {
  std::mt19937 random(of_thousand);
  const std::size_t pages = memory.size() / sf::kPage;
  for (std::size_t page = 0; page < pages; ++page) {
    if (random() % 1000 >= of_thousand) continue;
    const std::size_t from = random() % pages;
    std::copy_n(memory.begin() + static_cast<std::ptrdiff_t>(from * sf::kPage), sf::kPage, memory.begin() + static_cast<std::ptrdiff_t>(page * sf::kPage));
    memory[page * sf::kPage] = static_cast<std::uint8_t>(page);
  }
  return memory;
}

struct Cost {
  double seal, open, bytes;
};

double open_all(const Bytes& file, const Bytes* base) {
  auto under = base == nullptr ? std::optional<sf::Reader>() : must(test::open_file(*base));
  auto image = must(sf::Image::make(must(test::open_file(file)), std::move(under)));
  const double before = processor_seconds();
  for (std::uint32_t i = 0; i < image.header().memory_chunks(); ++i) must(image.chunk(i));
  return processor_seconds() - before;
}

Cost cost_of(sf::Header header, const Bytes& memory, const Bytes* base) {
  auto under = base == nullptr ? std::optional<sf::Reader>() : must(test::open_file(*base));
  if (under) header.kind = sf::Kind::kDiff, header.base = under->digest();
  const Fd image = test::file_of(memory), state = test::file_of({1}), out(memfd_create("out", MFD_CLOEXEC));
  const double before = processor_seconds();
  must(sf::seal(header, {.memory = image.get(), .state = state.get(), .base = under ? &*under : nullptr}, test::kTenantKey, test::arena(), out.get()));
  const double seal = processor_seconds() - before;
  const Bytes file = test::bytes_of(out.get());
  return {seal, open_all(file, base), static_cast<double>(file.size())};
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t mib = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 256;
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
  const bool csv = argc > 3 && std::string_view(argv[3]) == "--csv";
  const Bytes base_memory = bench::memory_image(mib << 20);
  sf::Header header = test::header_for(base_memory.size(), sf::chunk_for(base_memory.size()), 1);
  header.compression = sf::Compression::kZstd;
  const Bytes base = test::write_base(test::write_file(header, base_memory, {1}).bytes).bytes;
  if (!csv) std::printf("changed   seal: full, diff, ratio      open: full, diff, ratio      size: full, diff, ratio\n");
  for (const unsigned changed : {0u, 10u, 50u, 200u, 500u}) {
    const Bytes memory = with_changed(base_memory, changed);
    Cost full{1e9, 1e9, 0}, diff{1e9, 1e9, 0};
    for (int i = 0; i < rounds; ++i) {
      const Cost one = cost_of(header, memory, nullptr), two = cost_of(header, memory, &base);
      if (csv) std::printf("%g,%.4f,%.4f,%.4f,%.4f,%.0f,%.0f\n", changed / 10.0, one.seal, two.seal, one.open, two.open, one.bytes, two.bytes);
      full = {std::min(full.seal, one.seal), std::min(full.open, one.open), one.bytes};
      diff = {std::min(diff.seal, two.seal), std::min(diff.open, two.open), two.bytes};
    }
    if (csv) continue;
    std::printf("%5.1f %%   %5.0f ms %5.0f ms %6.2f   %8.0f ms %5.0f ms %6.2f   %8.1f MiB %6.1f MiB %6.2f\n", changed / 10.0, full.seal * 1e3, diff.seal * 1e3, diff.seal / full.seal,
                full.open * 1e3, diff.open * 1e3, diff.open / full.open, full.bytes / (1 << 20), diff.bytes / (1 << 20), diff.bytes / full.bytes);
  }
  return 0;
}
