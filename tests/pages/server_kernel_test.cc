// The page server on the kernel's own userfaultfd: every page right, whatever the order, and whatever is removed meanwhile.
#include "broker/pages/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <numeric>
#include <sstream>
#include <thread>

#include "tests/pages/memory.h"

namespace mvm::pages {
namespace {

using snapshot_file::kPage;
using test::Bytes;
using test::WatchedMemory;

constexpr std::uint32_t kChunk = 65'536;
constexpr std::size_t kPagesAChunk = kChunk / kPage;

snapshot_file::Image image(snapshot_file::Reader reader) { return *snapshot_file::Image::make(std::move(reader), std::nullopt); }

class Serving : public testing::Test {
 protected:
  explicit Serving(std::size_t chunks = 64) : image_(test::mixed_memory(chunks * kPagesAChunk)) {}
  void SetUp() override {
    if (!test::new_userfaultfd().valid()) GTEST_SKIP() << "no userfaultfd for us here";
  }
  snapshot_file::Reader reader(std::vector<std::uint32_t> first = {}) {
    const auto written = test::write_file(test::header_for(image_.size(), kChunk, 1), image_, {1}, std::move(first));
    auto reader = test::open_file(written.bytes);
    EXPECT_TRUE(reader);
    return std::move(*reader);
  }
  Served serve(const WatchedMemory& memory, std::vector<std::uint32_t> first = {}, const std::function<void()>& first_served = [] {}) {
    auto server = Server::make(image(reader(std::move(first))), memory.hand_over());
    EXPECT_TRUE(server) << server.error().message();
    auto served = server->run(first_served);
    EXPECT_TRUE(served) << served.error().message();
    return served ? *served : Served{};
  }
  std::span<const std::uint8_t> page(std::size_t number) { return std::span(image_).subspan(number * kPage, kPage); }
  // Compares every page, in an order drawn from `seed`.
  void compare_all(const WatchedMemory& memory, std::uint32_t seed, std::span<const std::uint8_t> hidden = {}) {
    std::vector<std::size_t> order(image_.size() / kPage);
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, std::mt19937(seed));
    for (const std::size_t number : order) {
      const bool zero = !hidden.empty() && hidden[number] != 0;
      ASSERT_EQ(memory.differs(number * kPage, zero ? std::span<const std::uint8_t>(kZeros) : page(number)), -1) << "page " << number;
    }
  }
  static constexpr std::array<std::uint8_t, kPage> kZeros{};
  Bytes image_;
};

TEST_F(Serving, GivesEveryPageWhateverTheOrder) {
  const WatchedMemory memory({image_.size()});
  std::vector<std::thread> threads;
  for (std::uint32_t seed = 0; seed < 4; ++seed) threads.emplace_back([&, seed] { compare_all(memory, seed); });
  const Served served = serve(memory);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(served.end, End::kWhole);
  EXPECT_GT(served.faults, 0u);
}

TEST_F(Serving, GivesEveryPageToSeveralRegions) {
  const WatchedMemory memory({16 * kChunk, 8 * kChunk, 40 * kChunk});
  std::thread guest([&] { compare_all(memory, 5); });
  serve(memory);
  guest.join();
}

TEST_F(Serving, PutsAllInWhereNobodyAsks) {
  const WatchedMemory memory({image_.size()});
  const Served served = serve(memory);
  EXPECT_EQ(served.faults, 0u);
  EXPECT_TRUE(served.touched.empty());
  for (std::size_t i = 0; i < image_.size() / kPage; ++i) {
    EXPECT_EQ(memory.there(i * kPage), std::ranges::any_of(page(i), [](auto byte) { return byte != 0; })) << "pages of zeros are the kernel's to give";
  }
  compare_all(memory, 1);
}

TEST_F(Serving, BeginsWithTheChunksOfTheLastWakeInTheirOrder) {
  image_ = test::random_bytes(16 * kChunk, 3);
  const WatchedMemory memory({image_.size()});
  serve(memory, {11, 2}, [&] {
    for (std::size_t chunk = 0; chunk < 16; ++chunk) EXPECT_EQ(memory.there(chunk * kChunk), chunk == 11);
  });
  compare_all(memory, 1);
}

TEST_F(Serving, GivesWhatIsWaitedForBeforeAllElse) {
  image_ = test::random_bytes(16 * kChunk, 3);
  const WatchedMemory memory({image_.size()});
  std::thread guest([&] { EXPECT_EQ(memory.differs(9 * kChunk + 3 * kPage, page(9 * kPagesAChunk + 3)), -1); });
  memory.await_event();
  const Served served = serve(memory, {11, 2}, [&] {
    for (std::size_t chunk = 0; chunk < 16; ++chunk) EXPECT_EQ(memory.there(chunk * kChunk), chunk == 9);
  });
  guest.join();
  EXPECT_EQ(served.touched, std::vector<std::uint32_t>{9}) << "which the next wake begins with";
}

// Reading in a row what nobody has asked for before would teach nothing; what was faulted on is told in its order, each chunk once.
TEST_F(Serving, TellsWhatWasTouchedInItsOrder) {
  const WatchedMemory memory({image_.size()});
  std::thread guest;
  std::vector<std::uint32_t> wanted = {63};
  std::thread first([&] { (void)*memory.at(63 * kChunk); });
  memory.await_event();
  const Served served = serve(memory, {}, [&] {
    first.join();
    guest = std::thread([&] {
      for (const std::size_t chunk : {60u, 50u, 60u}) (void)*memory.at(chunk * kChunk + (chunk == 60 ? 0 : kPage));
    });
    memory.await_event();
  });
  guest.join();
  ASSERT_GE(served.touched.size(), 2u);
  EXPECT_EQ(served.touched[0], 63u);
  EXPECT_EQ(served.touched[1], 60u);
  EXPECT_LE(std::ranges::count(served.touched, 60u), 1);
}

TEST_F(Serving, GivesZerosForWhatWasRemovedBeforeItCame) {
  image_ = test::random_bytes(64 * kChunk, 3);
  const WatchedMemory memory({16 * kChunk, 48 * kChunk});
  std::thread balloon([&] { memory.remove(20 * kChunk + 2 * kPage, 5 * kChunk); });
  memory.await_event();
  serve(memory);
  balloon.join();
  Bytes hidden(image_.size() / kPage);
  std::fill_n(hidden.begin() + 20 * kPagesAChunk + 2, 5 * kPagesAChunk, std::uint8_t{1});
  compare_all(memory, 1, hidden);
}

TEST_F(Serving, GivesZerosForWhatIsRemovedAfterItCame) {
  image_ = test::random_bytes(64 * kChunk, 3);
  const WatchedMemory memory({image_.size()});
  std::thread balloon;
  serve(memory, {7}, [&] {
    EXPECT_EQ(memory.differs(7 * kChunk, page(7 * kPagesAChunk)), -1);
    balloon = std::thread([&] {
      memory.remove(7 * kChunk, kChunk);
      EXPECT_EQ(memory.differs(7 * kChunk, kZeros), -1);
    });
    memory.await_event();
  });
  balloon.join();
  Bytes hidden(image_.size() / kPage);
  std::fill_n(hidden.begin() + 7 * kPagesAChunk, kPagesAChunk, std::uint8_t{1});
  compare_all(memory, 1, hidden);
}

// Nobody serves any more, and a balloon goes on: it neither waits nor sees the file's pages again.
TEST_F(Serving, LeavesMemoryThatNeedsNobody) {
  const WatchedMemory memory({image_.size()});
  serve(memory);
  alarm(20);  // a hang ends the test
  memory.remove(0, image_.size());
  EXPECT_EQ(memory.differs(3 * kPage, kZeros), -1);
  *memory.at(3 * kPage) = 1;
  alarm(0);
}

// Removals that begin around the very end: none may be left waiting for an event that nobody reads. Again and again, for it is a race.
TEST_F(Serving, LeavesNobodyWaitingAtTheEnd) {
  image_.resize(4 * kChunk);
  alarm(60);
  for (int round = 0; round < 100; ++round) {
    const WatchedMemory memory({image_.size()});
    std::atomic<bool> over = false;
    std::vector<std::thread> balloons;
    for (std::size_t i = 0; i < 3; ++i) {
      balloons.emplace_back([&, i] {
        for (; !over; usleep(20)) memory.remove(i * kPage, kPage);
      });
    }
    serve(memory);
    over = true;
    for (auto& balloon : balloons) balloon.join();
    ASSERT_EQ(memory.differs(3 * kPage, page(3)), -1);
  }
  alarm(0);
}

// Faults that begin around the very end, on pages of zeros, which nobody puts in unasked. As often, for it is a race, too: with the kernel's lock for
// each mapping a fault can begin to wait after unregistering has woken those who did.
TEST_F(Serving, LeavesNoFaultWaitingAtTheEnd) {
  image_.assign(16 * kChunk, 0);
  // Who lets go is put aside for others now and then, for in that moment it happens: without the wake afterwards, within a thousand rounds or so.
  // On a busy machine it is put aside so often that there are fewer rounds.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 19);
  const auto enough = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (int round = 0; round < 3000 && std::chrono::steady_clock::now() < enough; ++round) {
    alarm(120);  // a hang ends the test
    const WatchedMemory memory({image_.size()});
    std::vector<std::thread> guests;
    for (std::size_t i = 0; i < 3; ++i) {
      guests.emplace_back([&, i] {
        for (std::size_t page = i; page < image_.size() / kPage; page += 3) (void)*memory.at(page * kPage);
      });
    }
    serve(memory);
    for (auto& guest : guests) guest.join();
  }
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), 0);
  alarm(0);
}

// More of them than are read at once, and nothing else to do, so that they are still waiting when all is in.
TEST_F(Serving, ReadsTheLastEventOfManyBeforeItEnds) {
  image_.assign(16 * kChunk, 0);
  const WatchedMemory memory({image_.size()});
  auto server = Server::make(image(reader()), memory.hand_over());
  ASSERT_TRUE(server);
  std::atomic<int> begun = 0;
  std::vector<std::thread> balloons;
  for (std::size_t i = 0; i < 400; ++i) {
    balloons.emplace_back([&, i] {
      ++begun;
      memory.remove(i % 256 * kPage, kPage);
    });
  }
  while (begun < 400) usleep(1000);
  usleep(200'000);  // all of them wait in the kernel by now
  alarm(20);        // a hang ends the test
  EXPECT_TRUE(server->run([] {}));
  for (auto& balloon : balloons) balloon.join();
  alarm(0);
}

// Whoever waits is not left waiting until all is in. Large enough that this would be seen.
class Soon : public Serving {
 protected:
  Soon() : Serving(4) { image_ = test::random_bytes(512 * kChunk, 3); }
};

TEST_F(Soon, ARemovedPageThatIsTouchedAgainIsThere) {
  const WatchedMemory memory({image_.size()});
  std::atomic<bool> saw = false;
  std::thread balloon;
  serve(memory, {7}, [&] {
    balloon = std::thread([&] {
      memory.remove(7 * kChunk, kChunk);
      EXPECT_EQ(memory.differs(7 * kChunk, kZeros), -1);
      saw = true;
    });
    memory.await_event();
  });
  EXPECT_TRUE(saw) << "before the end";
  balloon.join();
}

TEST_F(Soon, WhoWaitsForAPageThatIsThereIsWoken) {
  const WatchedMemory memory({image_.size()});
  std::atomic<bool> saw = false;
  std::thread guest([&] {
    (void)*memory.at(9 * kChunk);
    saw = true;
  });
  memory.await_event();
  uffdio_copy by_hand{.dst = reinterpret_cast<std::uint64_t>(memory.at(9 * kChunk)), .src = reinterpret_cast<std::uint64_t>(page(9 * kPagesAChunk).data()), .len = kPage,
                      .mode = UFFDIO_COPY_MODE_DONTWAKE, .copy = 0};
  ASSERT_EQ(ioctl(memory.userfaultfd(), UFFDIO_COPY, &by_hand), 0);
  serve(memory);
  EXPECT_TRUE(saw) << "before the end";
  guest.join();
}

// A diff over its base: some pages are its own, some of them zeros that hide the base's, the rest the base's.
TEST_F(Serving, GivesADiffAndWhatItStandsOn) {
  const Bytes base = test::random_bytes(16 * kChunk, 3);
  const auto under = test::write_base(test::write_file(test::header_for(base.size(), kChunk, 1), base, {1}).bytes);
  image_ = base;
  for (const std::size_t number : {0u, 3u, 4u, 17u, 200u, 255u}) {
    const Bytes own = number == 4 ? Bytes(kPage) : test::random_bytes(kPage, static_cast<std::uint32_t>(1000 + number));
    std::ranges::copy(own, image_.begin() + static_cast<std::ptrdiff_t>(number * kPage));
  }
  const auto diff = test::try_diff(test::header_for(base.size(), kChunk, 1), under.bytes, image_, {1});
  ASSERT_TRUE(diff) << diff.error().message();
  auto both = snapshot_file::Image::make(*test::open_file(diff->bytes), *test::open_file(under.bytes));
  ASSERT_TRUE(both) << both.error().message();
  const WatchedMemory memory({image_.size()});
  std::thread guest([&] { compare_all(memory, 5); });
  auto server = Server::make(std::move(*both), memory.hand_over());
  EXPECT_TRUE(server->run([] {}));
  guest.join();
}

TEST_F(Serving, EndsWhereTheMicroVmHasGone) {
  std::array<int, 2> to_parent{};
  ASSERT_EQ(pipe2(to_parent.data(), O_CLOEXEC), 0);
  const auto memory = std::make_unique<WatchedMemory>(std::vector<std::size_t>{image_.size()});
  // A child's userfaultfd, by a copy of its number: the memory is the child's, and goes with it.
  const pid_t child = fork();
  if (child == 0) {
    const WatchedMemory own({image_.size()});
    const auto message = own.hand_over();
    const std::array<std::uint64_t, 2> said = {message.mappings.regions[0].base, static_cast<std::uint64_t>(own.userfaultfd())};
    (void)!write(to_parent[1], said.data(), sizeof said);
    pause();
    _exit(0);
  }
  std::array<std::uint64_t, 2> said{};
  ASSERT_EQ(read(to_parent[0], said.data(), sizeof said), static_cast<ssize_t>(sizeof said));
  const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  HandOver hand_over{{{{said[0], image_.size(), 0}}, kSmallPage}, Fd(static_cast<int>(syscall(SYS_pidfd_getfd, pidfd.get(), said[1], 0)))};
  ASSERT_TRUE(hand_over.userfaultfd.valid());
  auto server = Server::make(image(reader()), std::move(hand_over));
  ASSERT_TRUE(server);
  const auto served = server->run([&] {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  });
  close(to_parent[0]);
  close(to_parent[1]);
  ASSERT_TRUE(served) << served.error().message();
  EXPECT_EQ(served->end, End::kGone);
}

// Whether those bytes stand anywhere in this process's own memory but where `kept` is.
std::size_t places_of(std::span<const std::uint8_t> wanted) {
  std::size_t found = 0;
  std::ifstream maps("/proc/self/maps");
  std::ifstream memory("/proc/self/mem", std::ios::binary);
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    char rights[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, rights) != 3 || rights[0] != 'r' || rights[1] != 'w') continue;
    Bytes bytes(end - begin);
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(begin));
    memory.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!memory) continue;  // secret memory, which nobody reads
    for (auto at = bytes.begin(); (at = std::search(at, bytes.end(), wanted.begin(), wanted.end())) != bytes.end(); ++at) ++found;
    std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
  }
  return found;
}

TEST_F(Serving, HoldsNoKeyWhenItHasEnded) {
  const auto written = test::write_file(test::header_for(image_.size(), kChunk, 1), image_, {1});
  Fd file = test::file_of(written.bytes);
  Secret key = *snapshot_file::unwrap(*snapshot_file::read_header(file.get()), test::kTenantKey, test::arena());
  // Looked for by its first half, kept here in another form, so that the looking is not what is found.
  Bytes twisted(key.bytes().begin(), key.bytes().begin() + 16);
  for (auto& byte : twisted) byte ^= 0xff;
  const auto count = [&] {
    Bytes plain = twisted;
    for (auto& byte : plain) byte ^= 0xff;
    const std::size_t found = places_of(plain);
    std::ranges::fill(plain, std::uint8_t{0});
    return found;
  };
  auto reader = snapshot_file::Reader::open(std::move(file), snapshot_file::key_of(key));
  ASSERT_TRUE(reader);
  key.wipe();
  const WatchedMemory memory({image_.size()});
  auto server = Server::make(image(std::move(*reader)), memory.hand_over());
  ASSERT_TRUE(server);
  const std::size_t own = 1;  // `plain` itself
  std::size_t during = 0;
  ASSERT_TRUE(server->run([&] { during = count(); }));
  EXPECT_GT(during, own) << "the schedule is there while it is needed";
  EXPECT_EQ(count(), own);
}

TEST_F(Serving, GivesNoPageOfAChunkThatIsNotWhatWasSealed) {
  image_ = test::random_bytes(8 * kChunk, 3);
  auto written = test::write_file(test::header_for(image_.size(), kChunk, 1), image_, {1});
  written.bytes[snapshot_file::kHeaderBytes + 5 * (snapshot_file::max_packed(kChunk) + snapshot_file::kTagBytes) + 100] ^= 1;
  auto broken = test::open_file(written.bytes);
  ASSERT_TRUE(broken) << "the index is sound";
  const WatchedMemory memory({image_.size()});
  auto server = Server::make(image(std::move(*broken)), memory.hand_over());
  const auto served = server->run([] {});
  ASSERT_FALSE(served);
  EXPECT_EQ(served.error().code, Errc::kCorrupt);
  for (std::size_t i = 0; i < kPagesAChunk; ++i) EXPECT_FALSE(memory.there(5 * kChunk + i * kPage));
}

TEST_F(Serving, FillsHugePages) {
  const std::size_t huge = 4;
  image_ = test::mixed_memory(huge * kHugePage / kPage);
  std::fill_n(image_.begin() + kHugePage, kHugePage, std::uint8_t{0});
  const std::string knob = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";
  std::string before;
  std::ifstream(knob) >> before;
  std::ofstream(knob) << 8;
  {
    const WatchedMemory memory({2 * kHugePage, 2 * kHugePage}, kHugePage);
    if (memory.valid()) {
      std::thread balloon([&] { memory.remove(3 * kHugePage, kHugePage); });
      memory.await_event();
      Bytes hidden(image_.size() / kPage);
      std::fill_n(hidden.begin() + 3 * kHugePage / kPage, kHugePage / kPage, std::uint8_t{1});
      std::thread guest([&] { compare_all(memory, 3, hidden); });
      serve(memory, {70});
      guest.join();
      balloon.join();
    }
    std::ofstream(knob) << before;
    if (!memory.valid()) GTEST_SKIP() << "no huge pages for us here";
  }
}

// What a VMM that its guest has taken over might send in the place of a userfaultfd.
class Hostile : public Serving {
 protected:
  Hostile() : Serving(4) {}
  Result<Served> served_with(Fd fd) {
    auto server = Server::make(image(reader()), HandOver{{{{1 << 20, image_.size(), 0}}, kSmallPage}, std::move(fd)});
    if (!server) return forward(server.error());
    return server->run([] {});
  }
  // A pipe full of such events: it takes no ioctl, so nothing can be served to it.
  Result<Served> served_with(const uffd_msg& event) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    const Fd write_end(ends[1]);
    EXPECT_EQ(write(ends[1], &event, sizeof event), static_cast<ssize_t>(sizeof event));
    return served_with(Fd(ends[0]));
  }
  static uffd_msg fault(std::uint64_t address) {
    uffd_msg event{};
    event.event = UFFD_EVENT_PAGEFAULT;
    event.arg.pagefault.address = address;
    return event;
  }
  static uffd_msg removal(std::uint64_t start, std::uint64_t end) {
    uffd_msg event{};
    event.event = UFFD_EVENT_REMOVE;
    event.arg.remove.start = start;
    event.arg.remove.end = end;
    return event;
  }
};

TEST_F(Hostile, DescriptorsThatAreNoUserfaultfdAreRefused) {
  EXPECT_FALSE(served_with(Fd(open("/dev/null", O_RDWR | O_CLOEXEC))));
  EXPECT_FALSE(served_with(Fd(open("/dev/zero", O_RDWR | O_CLOEXEC))));
  EXPECT_FALSE(served_with(Fd(open("/dev/urandom", O_RDWR | O_CLOEXEC))));
  EXPECT_FALSE(served_with(test::file_of(Bytes(100))));
  EXPECT_FALSE(served_with(test::file_of(Bytes(64 * 1024))));
  EXPECT_FALSE(served_with(Fd(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC))));
  EXPECT_FALSE(served_with(Fd(open("/", O_PATH | O_CLOEXEC))));
}

TEST_F(Hostile, EventsThatCannotBeAreRefused) {
  const std::uint64_t base = 1 << 20;
  const auto said = [&](const uffd_msg& event) {
    const auto served = served_with(event);
    return served ? std::string("served") : served.error().message();
  };
  using testing::HasSubstr;
  EXPECT_THAT(said(fault(base - 1)), HasSubstr("a fault outside the memory"));
  EXPECT_THAT(said(fault(base + image_.size())), HasSubstr("a fault outside the memory"));
  EXPECT_THAT(said(fault(~std::uint64_t{0})), HasSubstr("a fault outside the memory"));
  EXPECT_THAT(said(removal(base, base)), HasSubstr("a range"));
  EXPECT_THAT(said(removal(base + 1, base)), HasSubstr("a range"));
  uffd_msg event{};
  event.event = UFFD_EVENT_FORK;
  EXPECT_THAT(said(event), HasSubstr("not asked for"));
  // These are taken, and then nothing can be served to a pipe.
  EXPECT_THAT(said(fault(base + image_.size() - 1)), HasSubstr("put a page"));
  EXPECT_THAT(said(removal(0, ~std::uint64_t{0})), HasSubstr("let go of memory"));
}

TEST_F(Hostile, AUserfaultfdThatWatchesNothingIsRefused) { EXPECT_FALSE(served_with(test::new_userfaultfd())); }

}  // namespace
}  // namespace mvm::pages
