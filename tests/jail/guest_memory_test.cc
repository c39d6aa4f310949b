#include "broker/jail/guest_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace mvm::jail {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Stretch = Stretch;

constexpr std::uint64_t kMib = 1 << 20, kGib = 1 << 30;
// As Firecracker v1.16.1 writes it.
constexpr Root kRoot = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ', 0x2b, 'F', 'I', 'R', 'E', 'C', 'K', 2, 0, 0, 0, 0};

// What a VMM has mapped, and in which places there is such a root.
struct Vmm {
  std::vector<Mapping> mappings;
  std::map<std::uint64_t, Root> roots;
  void begins_at(std::uint64_t address) { roots[address + kAcpiRoot] = kRoot; }
  [[nodiscard]] Result<GuestMemory> find(std::uint64_t bytes) const {
    return find_guest_memory(mappings, bytes, [&](std::uint64_t address) -> std::optional<Root> {
      const auto found = roots.find(address);
      return found == roots.end() ? std::nullopt : std::optional(found->second);
    });
  }
};
GuestMemory one(std::uint64_t at, std::uint64_t bytes, bool anonymous = true) { return {{{{at, bytes}, {}}}, anonymous}; }

TEST(Mappings, AreThoseThatArePrivateAndMayBeReadAndWritten) {
  const auto read = read_mappings(
      "7fbf1c021000-7fbf20000000 ---p 00000000 00:00 0 \n"
      "7fbf24000000-7fbf28021000 rw-p 00000000 00:00 0 \n"
      "7fbf28021000-7fbf2c000000 rw-s 00000000 00:01 1025                       /memfd:x (deleted)\n"
      "7fbf2f57c000-7fbf2f77c000 rw-p 00001000 fe:00 1090597                    /memory/memory (deleted)\n"
      "7fbf2faed000-7fbf2fdee000 r-xp 000ec000 fe:00 1090597                    /a b\\012c\n"
      "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_THAT(*read, ElementsAre(Mapping{0x7fbf24000000, 0x7fbf28021000, true}, Mapping{0x7fbf2f57c000, 0x7fbf2f77c000, false}, Mapping{0x7ffc00000000, 0x7ffc00021000, true}));
  EXPECT_THAT(*read_mappings(""), IsEmpty());
}

TEST(Mappings, AreNotReadOfWhatIsNoSuchText) {
  for (const char* text : {"x", "\n", "1000-2000", "1000-2000 rw-p", "1000-2000 rw-p 0 00:00", "1000 2000 rw-p 0 00:00 0", "2000-2000 rw-p 0 00:00 0", "g-2000 rw-p 0 00:00 0", "1000-2000 rw- 0 00:00 0",
                           "10000000000000000-2 rw-p 0 00:00 0"}) {
    EXPECT_EQ(read_mappings(text).error().code, Errc::kMalformed) << text;
  }
}

TEST(Mappings, AreNoMoreThanAreLookedThrough) {
  std::string text;
  for (std::size_t i = 0; i < kMaxMappings; ++i) text += "1000-2000 rw-p 0 00:00 0\n1000-2000 r--p 0 00:00 0\n";
  EXPECT_EQ(read_mappings(text)->size(), kMaxMappings);
  EXPECT_EQ(read_mappings(text + "1000-2000 rw-p 0 00:00 0\n").error().code, Errc::kLimit);
}

TEST(AcpiRoot, IsFirecrackersWithItsSum) {
  EXPECT_TRUE(is_acpi_root(kRoot));
  for (std::size_t i = 0; i < kRoot.size(); ++i) {
    Root other = kRoot;
    other[i] ^= 0x10;
    EXPECT_FALSE(is_acpi_root(other)) << i;
  }
  Root same_sum = kRoot;
  std::swap(same_sum[9], same_sum[10]);
  EXPECT_FALSE(is_acpi_root(same_sum)) << "IFRECK";
}

TEST(GuestMemory, IsTheMappingOfItsSize) {
  Vmm vmm{{{0x10000, 0x31000, true}, {16 * kMib, 80 * kMib, true}, {96 * kMib, 160 * kMib, true}}, {}};
  vmm.begins_at(96 * kMib);
  EXPECT_EQ(vmm.find(64 * kMib).value_or(GuestMemory{}), one(96 * kMib, 64 * kMib));
}

// The kernel joins what is alike: a heap of another thread is behind it, or before.
TEST(GuestMemory, IsFoundWhereTheKernelJoinedItWithWhatLiesNextToIt) {
  Vmm behind{{{16 * kMib, 80 * kMib + 0x21000, true}}, {}};
  behind.begins_at(16 * kMib);
  EXPECT_EQ(behind.find(64 * kMib).value_or(GuestMemory{}), one(16 * kMib, 64 * kMib));
  Vmm before{{{16 * kMib, 80 * kMib + 0x21000, true}}, {}};
  before.begins_at(16 * kMib + 0x21000);
  EXPECT_EQ(before.find(64 * kMib).value_or(GuestMemory{}), one(16 * kMib + 0x21000, 64 * kMib));
}

// As it is after it woke from a file, and gave some of it up.
TEST(GuestMemory, MayBeOfManyMappingsOneBehindTheOther) {
  Vmm vmm{{{16 * kMib, 40 * kMib, false}, {40 * kMib, 41 * kMib, true}, {41 * kMib, 80 * kMib, false}}, {}};
  vmm.begins_at(16 * kMib);
  EXPECT_EQ(vmm.find(64 * kMib).value_or(GuestMemory{}), one(16 * kMib, 64 * kMib, false));
  vmm.mappings[2].begin += 4096;
  EXPECT_EQ(vmm.find(64 * kMib).error().code, Errc::kNotFound) << "a gap";
}

// As the kernel lays them: what is above the hole for devices before what is below it.
TEST(GuestMemory, OfALargeGuestIsInTwoStretches) {
  for (const std::uint64_t hole : kHoles) {
    const std::uint64_t bytes = 4 * kGib, high = bytes - hole;
    Vmm joined{{{kGib, kGib + bytes + 0x21000, true}}, {}};
    joined.begins_at(kGib + high);
    EXPECT_EQ(joined.find(bytes).value_or(GuestMemory{}), (GuestMemory{{{{kGib + high, hole}, {kGib, high}}}, true}));
    Vmm apart{{{kGib, kGib + high, true}, {16 * kGib, 16 * kGib + hole, true}}, {}};
    apart.begins_at(16 * kGib);
    EXPECT_EQ(apart.find(bytes).value_or(GuestMemory{}), (GuestMemory{{{{16 * kGib, hole}, {kGib, high}}}, true}));
    apart.mappings.push_back({32 * kGib, 32 * kGib + high, true});
    EXPECT_EQ(apart.find(bytes).error().code, Errc::kNotFound) << "either of two";
  }
}

TEST(GuestMemory, IsInNoPlaceOfWhichItCannotBeSure) {
  Vmm nowhere{{{16 * kMib, 80 * kMib, true}}, {}};
  EXPECT_EQ(nowhere.find(64 * kMib).error().code, Errc::kNotFound) << "no root";
  nowhere.begins_at(16 * kMib);
  EXPECT_EQ(nowhere.find(128 * kMib).error().code, Errc::kNotFound) << "too small";
  EXPECT_EQ(nowhere.find(kAcpiRoot).error().code, Errc::kNotFound) << "the root lies behind it";
  Vmm twice{{{16 * kMib, 80 * kMib, true}, {96 * kMib, 160 * kMib, true}}, {}};
  twice.begins_at(16 * kMib);
  twice.begins_at(96 * kMib);
  EXPECT_EQ(twice.find(64 * kMib).error().code, Errc::kNotFound) << "either of two";
}

}  // namespace
}  // namespace mvm::jail
