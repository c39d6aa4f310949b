// Sleep and wake with the real Firecracker, where MVM_FIRECRACKER_DIR names one and there is /dev/kvm: the guest is a few instructions that write to each of
// its pages again and again, and look first whether what they wrote there last is there; what it has counted is read out of the VMM's memory.
#include <elf.h>

#include <array>

#include "tests/jail/sleep_fixture.h"

namespace mvm::jail {
namespace {

constexpr std::uint64_t kEntry = 0x100000;
constexpr std::uint64_t kCounters = 0x200000;
constexpr std::uint64_t kMark = 0x5354534e554f434d;  // what the guest writes at kCounters first
constexpr std::uint64_t kPages = 0x2000;             // 32 MiB, from 16 MiB on

// 64-bit, as the boot protocol enters it, with 1 GiB mapped one to one. r8: rounds; at kCounters: the mark, rounds, writes, what was found wrong.
constexpr auto kGuest = std::to_array<unsigned char>({
    0xfa,                                                        // cli
    0xbb, 0x00, 0x00, 0x20, 0x00,                                // mov $0x200000, %ebx
    0x48, 0xb8, 0x4d, 0x43, 0x4f, 0x55, 0x4e, 0x53, 0x54, 0x53,  // movabs $kMark, %rax
    0x48, 0x89, 0x03,                                            // mov %rax, (%rbx)
    0x45, 0x31, 0xc0,                                            // xor %r8d, %r8d
    0xbe, 0x00, 0x00, 0x00, 0x01,                                // round: mov $0x1000000, %esi
    0x4d, 0x85, 0xc0,                                            // page: test %r8, %r8
    0x74, 0x10,                                                  // je write: nothing was written yet
    0x49, 0x8d, 0x40, 0xff,                                      // lea -1(%r8), %rax
    0x48, 0x31, 0xf0,                                            // xor %rsi, %rax
    0x48, 0x39, 0x06,                                            // cmp %rax, (%rsi)
    0x74, 0x04,                                                  // je write
    0x48, 0xff, 0x43, 0x18,                                      // incq 24(%rbx)
    0x4c, 0x89, 0xc0,                                            // write: mov %r8, %rax
    0x48, 0x31, 0xf0,                                            // xor %rsi, %rax
    0x48, 0x89, 0x06,                                            // mov %rax, (%rsi)
    0x48, 0xff, 0x43, 0x10,                                      // incq 16(%rbx)
    0x48, 0x81, 0xc6, 0x00, 0x10, 0x00, 0x00,                    // add $0x1000, %rsi
    0x48, 0x81, 0xfe, 0x00, 0x00, 0x00, 0x03,                    // cmp $0x3000000, %rsi
    0x75, 0xce,                                                  // jne page
    0x49, 0xff, 0xc0,                                            // inc %r8
    0x4c, 0x89, 0x43, 0x08,                                      // mov %r8, 8(%rbx)
    0xeb, 0xc0,                                                  // jmp round
});

std::string elf_of(std::span<const unsigned char> code) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_entry = kEntry;
  header.e_phoff = sizeof header;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = PT_LOAD;
  segment.p_flags = PF_R | PF_X;
  segment.p_offset = sizeof header + sizeof segment;
  segment.p_vaddr = segment.p_paddr = kEntry;
  segment.p_filesz = segment.p_memsz = code.size();
  const auto bytes = [](const auto& what, std::size_t size) { return std::string(reinterpret_cast<const char*>(&what), size); };
  return bytes(header, sizeof header) + bytes(segment, sizeof segment) + bytes(code.front(), code.size());
}

struct Counted {
  std::uint64_t mark, rounds, writes, wrong;
};

class RealSleep : public SleepFixture {
 protected:
  void SetUp() override {
    if (!real()) GTEST_SKIP() << "needs MVM_FIRECRACKER_DIR";
    if (access("/dev/kvm", R_OK | W_OK) != 0) GTEST_SKIP() << "needs /dev/kvm";
    SleepFixture::SetUp();
    if (IsSkipped()) return;
    const auto made = to_jail(jail_task(wire::Op::kMake));
    ASSERT_TRUE(made.ok) << made.error.message();
  }
  [[nodiscard]] std::string guest_kernel() const override { return elf_of(kGuest); }

  // Out of the memory of the VMM, in whichever of its mappings the guest's begins.
  [[nodiscard]] std::optional<Counted> counted() const {
    if (members().size() != 1) return std::nullopt;
    const std::string proc = "/proc/" + std::to_string(members().front());
    const Fd memory(open((proc + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
    std::ifstream maps(proc + "/maps");
    for (std::string line; std::getline(maps, line);) {
      std::uint64_t from = 0, to = 0;
      if (std::sscanf(line.c_str(), "%lx-%lx", &from, &to) != 2 || to - from < std::uint64_t{kMib} << 20) continue;
      Counted found{};
      const auto got = pread(memory.get(), &found, sizeof found, static_cast<off_t>(from + kCounters));
      if (got == sizeof found && found.mark == kMark) return found;
    }
    return std::nullopt;
  }
  // Until it has been at each of its pages twice more.
  [[nodiscard]] Counted goes_on() const {
    std::uint64_t rounds = 0;
    for (int i = 0; i < 6000; ++i) {
      const auto found = counted();
      if (found && rounds == 0) rounds = found->rounds + 3;
      if (found && found->rounds >= rounds) return *found;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return {};
  }
  void expect_it_sleeps_and_wakes(std::uint32_t seq) {
    const Counted before = goes_on();
    ASSERT_EQ(before.mark, kMark) << "it does not run";
    ASSERT_EQ(before.wrong, 0u);
    ASSERT_TRUE(to_jail(move_task(lang::kRunning, lang::kWarm)).ok);
    const auto paused = counted();
    ASSERT_TRUE(paused);
    const auto asleep = sleeps_warm(seq);
    ASSERT_TRUE(asleep) << asleep.error().message();
    EXPECT_TRUE(held_) << "all of its memory was written";
    ASSERT_TRUE(to_sealer(wake_task(wire::Op::kHandOver, seq)).ok);
    const auto loaded = to_jail(wake_task(wire::Op::kMake, seq));
    ASSERT_TRUE(loaded.ok) << loaded.error.message();
    const auto woken = counted();
    ASSERT_TRUE(woken);
    EXPECT_EQ(woken->writes, paused->writes) << "it ran before its snapshot was spent";
    ASSERT_TRUE(to_sealer(wake_task(wire::Op::kSpend, seq)).ok);
    ASSERT_TRUE(to_jail(wake_task(wire::Op::kRelease, seq)).ok);
    ASSERT_TRUE(to_sealer(snapshot_task(wire::Op::kUnmake, seq)).ok);
    const Counted after = goes_on();
    EXPECT_GT(after.writes, paused->writes);
    EXPECT_EQ(after.wrong, 0u) << "of " << kPages << " pages a round";
    EXPECT_EQ(after.writes / kPages, after.rounds);
    for (int i = 0; i < 3000 && fs::exists(memory_path() + "/waking"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_FALSE(fs::exists(memory_path() + "/waking"));
  }
};

TEST_F(RealSleep, GoesOnWhereItWasPageByPage) {
  for (std::uint32_t seq = 1; seq <= 3; ++seq) expect_it_sleeps_and_wakes(seq);
}

// It was held, and let go: for it, a snapshot that could not be made.
TEST_F(RealSleep, GoesOnWhereItsSleepWasBrokenOff) {
  const Counted before = goes_on();
  ASSERT_EQ(before.mark, kMark) << "it does not run";
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(to_jail(move_task(lang::kRunning, lang::kWarm)).ok);
    const auto dumped = to_jail(snapshot_task(wire::Op::kDump, 1));
    ASSERT_TRUE(dumped.ok) << dumped.error.message();
    EXPECT_THAT(in_memory(), testing::ElementsAre("firecracker.log", "hold", "state"));
    ASSERT_TRUE(to_jail(snapshot_task(wire::Op::kClear, 1)).ok);
    EXPECT_THAT(in_memory(), testing::ElementsAre("firecracker.log"));
    ASSERT_TRUE(to_jail(move_task(lang::kWarm, lang::kRunning)).ok);
    EXPECT_EQ(goes_on().wrong, 0u);
  }
  expect_it_sleeps_and_wakes(1);
}

TEST_F(RealSleep, GoesOnWhereItWasFromAllOfItsMemoryAtOnce) {
  test::kill_and_wait(worker_);
  has_userfaultfd_ = false;
  start_workers();
  for (std::uint32_t seq = 1; seq <= 3; ++seq) expect_it_sleeps_and_wakes(seq);
}

}  // namespace
}  // namespace mvm::jail
