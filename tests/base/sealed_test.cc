#include "base/sealed.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

namespace mvm {
namespace {

Fd unsealed(std::string_view content, int seals) {
  Fd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(write(fd.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  if (seals != 0) {
    EXPECT_EQ(fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  }
  return fd;
}

TEST(Sealed, GivesBackWhatWasPutInAndNobodyCanChangeIt) {
  const auto fd = make_sealed("mvm-plan 1\n");
  ASSERT_TRUE(fd);
  EXPECT_EQ(pwrite(fd->get(), "X", 1, 0), -1);
  EXPECT_NE(ftruncate(fd->get(), 0), 0);
  EXPECT_NE(ftruncate(fd->get(), 100), 0);
  EXPECT_EQ(read_sealed(*fd, 100).value(), "mvm-plan 1\n");
  EXPECT_EQ(read_sealed(*fd, 100).value(), "mvm-plan 1\n") << "reading does not move the offset";
}

TEST(Sealed, RefusesAMemfdThatLacksAnyOneOfTheSeals) {
  constexpr int kSeals[] = {F_SEAL_WRITE, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL};
  for (const int missing : kSeals) {
    int seals = 0;
    for (const int seal : kSeals) seals |= seal == missing ? 0 : seal;
    const auto read = read_sealed(unsealed("text", seals), 100);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, Errc::kDenied);
  }
}

TEST(Sealed, RefusesADescriptorThatIsNoMemfd) {
  const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(read_sealed(null, 100).error().code, Errc::kDenied);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd reader(ends[0]), writer(ends[1]);
  EXPECT_EQ(read_sealed(reader, 100).error().code, Errc::kDenied);
}

TEST(Sealed, TakesAsMuchAsTheLimitAndNotOneByteMore) {
  const auto fd = make_sealed("12345");
  ASSERT_TRUE(fd);
  EXPECT_TRUE(read_sealed(*fd, 5));
  EXPECT_EQ(read_sealed(*fd, 4).error().code, Errc::kLimit);
}

}  // namespace
}  // namespace mvm
