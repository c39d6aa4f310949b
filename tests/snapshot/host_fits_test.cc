#include "broker/snapshot/host_fits.h"

#include <gtest/gtest.h>

#include <string>

namespace mvm::snapshot {
namespace {

const std::string kCpu = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nstepping\t: 1\nmicrocode\t: 0x1\ncpu MHz\t\t: 2445.4\nflags\t\t: fpu sse2 avx\n\n";

TEST(HostFits, AreReadOfThisHost) {
  const auto fits = read_host_fits();
  ASSERT_TRUE(fits) << fits.error().message();
  EXPECT_NE(fits->kernel, Digest{});
  EXPECT_EQ(read_host_fits()->cpu, fits->cpu);
}

TEST(HostFits, AreOfWhatAGuestSees) {
  const Digest cpu = cpu_digest(kCpu).value();
  const auto with = [&](const std::string& was, const std::string& is) {
    std::string text = kCpu;
    text.replace(text.find(was), was.size(), is);
    return cpu_digest(text).value();
  };
  EXPECT_NE(with("AMD EPYC", "AMD Ryzen"), cpu);
  EXPECT_NE(with("sse2 avx", "sse2"), cpu);
  EXPECT_NE(with("stepping\t: 1", "stepping\t: 2"), cpu);
  EXPECT_EQ(with("2445.4", "3000.0"), cpu);
  EXPECT_EQ(with("microcode\t: 0x1", "microcode\t: 0x2"), cpu);
  EXPECT_EQ(cpu_digest(kCpu + "processor\t: 1\nvendor_id\t: Another\n").value(), cpu) << "the first speaks for all";
}

TEST(HostFits, AreRefusedWhereNothingIsSaid) {
  EXPECT_EQ(cpu_digest("").error().code, Errc::kUnsupported);
  EXPECT_EQ(cpu_digest("processor\t: 0\n").error().code, Errc::kUnsupported);
}

}  // namespace
}  // namespace mvm::snapshot
