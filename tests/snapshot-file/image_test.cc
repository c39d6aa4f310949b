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

Header own_header(std::uint64_t memory = kMemory, std::uint32_t chunk = kChunk) { return test::header_for(memory, chunk, 1); }

// Pages are changed, made zeros, and made of zeros; whole chunks too.
Bytes changed(Bytes memory) {
  for (const std::size_t page : {0u, 2u, 3u, 40u, 41u, 42u, 127u}) {
    const Bytes own = page % 2 == 0 ? Bytes(kPage) : test::random_bytes(kPage, static_cast<std::uint32_t>(page));
    std::ranges::copy(own, memory.begin() + static_cast<std::ptrdiff_t>(page * kPage));
  }
  std::fill_n(memory.begin() + 5 * kChunk, kChunk, std::uint8_t{0});
  return memory;
}

class Layers : public testing::Test {
 protected:
  static std::string refused(const Bytes& own, std::optional<Reader> base) {
    const auto image = Image::make(*test::open_file(own), std::move(base));
    return image ? "taken" : image.error().message();
  }
  static std::string sealed_on(const Header& header, const Bytes& base, const Bytes& memory) {
    const auto diff = test::try_diff(header, base, memory, {1});
    return diff ? "taken" : diff.error().message();
  }
  const Bytes base_memory_ = test::mixed_memory(kMemory / kPage), whole_ = changed(base_memory_);
  const test::Written full_ = test::write_file(own_header(), base_memory_, {1});
  const test::Written base_ = test::write_base(full_.bytes);
  const test::Written diff_ = *test::try_diff(own_header(), base_.bytes, whole_, {1});
};

TEST_F(Layers, AreTheDiffWhereItHoldsAPageAndElseTheBase) {
  auto image = Image::make(*test::open_file(diff_.bytes), *test::open_file(base_.bytes));
  ASSERT_TRUE(image) << image.error().message();
  const Fd out(memfd_create("memory", MFD_CLOEXEC));
  ASSERT_TRUE(write_memory(*image, out.get()));
  EXPECT_EQ(test::bytes_of(out.get()), whole_);
}

TEST_F(Layers, OfOneFileAreThatFile) {
  auto image = Image::make(*test::open_file(full_.bytes), std::nullopt);
  ASSERT_TRUE(image);
  const Fd out(memfd_create("memory", MFD_CLOEXEC));
  ASSERT_TRUE(write_memory(*image, out.get()));
  EXPECT_EQ(test::bytes_of(out.get()), base_memory_);
}

TEST_F(Layers, OfABaseHoldTheMemoryThatItIsACopyOfAndNoState) {
  auto reader = test::open_file(base_.bytes);
  ASSERT_TRUE(reader);
  EXPECT_EQ(*test::memory_of(*reader), base_memory_);
  EXPECT_TRUE(reader->state()->empty());
}

TEST_F(Layers, AreRefusedWhereTheyDoNotBelongTogether) {
  EXPECT_THAT(refused(diff_.bytes, std::nullopt), HasSubstr("a diff without its base"));
  EXPECT_THAT(refused(full_.bytes, *test::open_file(base_.bytes)), HasSubstr("a base that nothing stands on"));
  EXPECT_THAT(refused(base_.bytes, std::nullopt), HasSubstr("a base, which is nobody's"));
  const auto again = test::write_base(full_.bytes);
  EXPECT_THAT(refused(diff_.bytes, *test::open_file(again.bytes)), HasSubstr("another base"));
}

TEST_F(Layers, AreNotSealedOnWhatIsNoBaseOfTheirs) {
  EXPECT_EQ(sealed_on(own_header(), base_.bytes, base_memory_), "taken");
  EXPECT_THAT(sealed_on(own_header(), full_.bytes, base_memory_), HasSubstr("a base that is none"));
  EXPECT_THAT(sealed_on(own_header(), diff_.bytes, base_memory_), HasSubstr("a base that is none"));
  EXPECT_THAT(sealed_on(own_header(kMemory / 2), base_.bytes, Bytes(kMemory / 2)), HasSubstr("a base of another shape"));
  EXPECT_THAT(sealed_on(own_header(kMemory, kChunk / 2), base_.bytes, base_memory_), HasSubstr("a base of another shape"));
  Header header = own_header();
  header.instance.pool = *Name::from("batch");
  EXPECT_THAT(sealed_on(header, base_.bytes, base_memory_), HasSubstr("a base of another pool"));
  header = own_header();
  header.instance.tenant = *Name::from("evil");
  EXPECT_THAT(sealed_on(header, base_.bytes, base_memory_), HasSubstr("a base of another pool"));
  header = own_header();
  header.fits.image = sha256("another");
  EXPECT_THAT(sealed_on(header, base_.bytes, base_memory_), HasSubstr("a base of another image"));
  header = own_header();
  header.instance.instance = InstanceId{1};
  EXPECT_EQ(sealed_on(header, base_.bytes, base_memory_), "taken") << "of another instance of the pool it may be";
}

TEST_F(Layers, HaveABaseThatIsACopyOfAFullSnapshotOfItsPoolAlone) {
  const auto made_of = [](const Bytes& file, const auto& change) {
    auto reader = test::open_file(file);
    Header header = test::base_header(reader->header());
    change(header);
    const Fd out(memfd_create("out", MFD_CLOEXEC));
    const auto made = seal(header, {.copied = &*reader}, test::kTenantKey, test::arena(), out.get());
    return made ? "taken" : made.error().message();
  };
  EXPECT_EQ(made_of(full_.bytes, [](Header&) {}), "taken");
  EXPECT_THAT(made_of(diff_.bytes, [](Header&) {}), HasSubstr("of what is no full snapshot"));
  EXPECT_THAT(made_of(base_.bytes, [](Header&) {}), HasSubstr("of what is no full snapshot"));
  EXPECT_THAT(made_of(full_.bytes, [](Header& header) { header.instance.pool = *Name::from("batch"); }), HasSubstr("of another pool's snapshot"));
  EXPECT_THAT(made_of(full_.bytes, [](Header& header) { header.instance.tenant = *Name::from("evil"); }), HasSubstr("of another pool's snapshot"));
  EXPECT_THAT(made_of(full_.bytes, [](Header& header) { header.fits.image = sha256("another"); }), HasSubstr("of another image"));
  EXPECT_THAT(made_of(full_.bytes, [](Header& header) { header.memory /= 2; }), HasSubstr("of another shape"));
}

}  // namespace
}  // namespace mvm::snapshot_file
