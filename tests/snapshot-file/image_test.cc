// A snapshot's memory, of one file or of a diff over its base.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/snapshot-file/image.h"

namespace mvm::snapshot_file {
namespace {

using test::Bytes;
using testing::HasSubstr;

constexpr std::uint32_t kChunk = 65'536;
constexpr std::size_t kMemory = 8 * kChunk;

struct SealedFile {
  Bytes bytes;
  Digest file;
};

SealedFile sealed(Header header, const Fd& memory) {
  const Fd state = test::file_of({1}), out(memfd_create("out", MFD_CLOEXEC));
  const auto done = seal(header, {.memory = memory.get(), .state = state.get()}, test::kTenantKey, test::arena(), out.get());
  EXPECT_TRUE(done) << done.error().message();
  return {test::bytes_of(out.get()), done->file};
}

Header diff_header(const Digest& base) {
  Header header = test::header_for(kMemory, kChunk, 1);
  header.kind = Kind::kDiff;
  header.base = base;
  return header;
}

class Layers : public testing::Test {
 protected:
  Layers() : base_memory_(test::mixed_memory(kMemory / kPage)), base_(sealed(test::header_for(kMemory, kChunk, 1), test::file_of(base_memory_))), whole_(base_memory_) {
    const Fd source(memfd_create("diff", MFD_CLOEXEC));
    EXPECT_EQ(ftruncate(source.get(), kMemory), 0);
    for (const std::size_t page : {0u, 2u, 3u, 40u, 41u, 42u, 127u}) {
      const Bytes own = page % 2 == 0 ? Bytes(kPage) : test::random_bytes(kPage, static_cast<std::uint32_t>(page));
      std::ranges::copy(own, whole_.begin() + static_cast<std::ptrdiff_t>(page * kPage));
      EXPECT_EQ(pwrite(source.get(), own.data(), kPage, static_cast<off_t>(page * kPage)), static_cast<ssize_t>(kPage));
    }
    diff_ = sealed(diff_header(base_.file), source);
  }
  static std::string refused(const SealedFile& own, std::optional<Reader> base) {
    const auto image = Image::make(*test::open_file(own.bytes), std::move(base));
    return image ? "taken" : image.error().message();
  }
  Bytes base_memory_;
  SealedFile base_;
  Bytes whole_;
  SealedFile diff_;
};

TEST_F(Layers, AreTheDiffWhereItHoldsAPageAndElseTheBase) {
  auto image = Image::make(*test::open_file(diff_.bytes), *test::open_file(base_.bytes));
  ASSERT_TRUE(image) << image.error().message();
  const Fd out(memfd_create("memory", MFD_CLOEXEC));
  ASSERT_TRUE(write_memory(*image, out.get()));
  EXPECT_EQ(test::bytes_of(out.get()), whole_);
}

TEST_F(Layers, OfOneFileAreThatFile) {
  auto image = Image::make(*test::open_file(base_.bytes), std::nullopt);
  ASSERT_TRUE(image);
  const Fd out(memfd_create("memory", MFD_CLOEXEC));
  ASSERT_TRUE(write_memory(*image, out.get()));
  EXPECT_EQ(test::bytes_of(out.get()), base_memory_);
}

TEST_F(Layers, AreRefusedWhereTheyDoNotBelongTogether) {
  EXPECT_THAT(refused(diff_, std::nullopt), HasSubstr("a diff without its base"));
  EXPECT_THAT(refused(base_, *test::open_file(base_.bytes)), HasSubstr("a base that nothing stands on"));
  const auto again = sealed(test::header_for(kMemory, kChunk, 1), test::file_of(base_memory_));
  EXPECT_THAT(refused(diff_, *test::open_file(again.bytes)), HasSubstr("another base"));
  const auto on = [&](Header under, std::size_t memory) {
    const auto base = sealed(under, test::file_of(Bytes(base_memory_.begin(), base_memory_.begin() + static_cast<std::ptrdiff_t>(memory))));
    return refused(sealed(diff_header(base.file), test::file_of(base_memory_)), *test::open_file(base.bytes));
  };
  EXPECT_EQ(on(test::header_for(kMemory, kChunk, 1), kMemory), "taken");
  EXPECT_THAT(on(diff_header(base_.file), kMemory), HasSubstr("a base that is a diff"));
  EXPECT_THAT(on(test::header_for(kMemory / 2, kChunk, 1), kMemory / 2), HasSubstr("a base of another shape"));
  EXPECT_THAT(on(test::header_for(kMemory, kChunk / 2, 1), kMemory), HasSubstr("a base of another shape"));
  Header header = test::header_for(kMemory, kChunk, 1);
  header.instance.pool = *Name::from("batch");
  EXPECT_THAT(on(header, kMemory), HasSubstr("a base of another pool"));
  header = test::header_for(kMemory, kChunk, 1);
  header.instance.tenant = *Name::from("evil");
  EXPECT_THAT(on(header, kMemory), HasSubstr("a base of another pool"));
  header = test::header_for(kMemory, kChunk, 1);
  header.fits.image = sha256("another");
  EXPECT_THAT(on(header, kMemory), HasSubstr("a base of another image"));
  header = test::header_for(kMemory, kChunk, 1);
  header.instance.instance = InstanceId{1};
  EXPECT_EQ(on(header, kMemory), "taken") << "of another instance of the pool it may be";
}

}  // namespace
}  // namespace mvm::snapshot_file
