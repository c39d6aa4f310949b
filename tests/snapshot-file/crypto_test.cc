// The two primitives against other people's numbers, and what wrapping binds.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "snapshot-file/wiped.h"
#include "tests/snapshot-file/image.h"

namespace mvm::snapshot_file {
namespace {

using test::arena;
using test::header_for;
using test::kOtherKey;
using test::kTenantKey;

TEST(Prepare, FindsThatAes256GcmIsWhatItHasToBe) { EXPECT_TRUE(prepare()); }

TEST(Wrap, GivesTheKeyBackToItsTenantAlone) {
  Header header = header_for(1 << 20, 65'536, 5000);
  const Secret key = *fresh_key(arena());
  ASSERT_TRUE(wrap(header, kTenantKey, key_of(key), arena()));
  const auto back = unwrap(header, kTenantKey, arena());
  ASSERT_TRUE(back);
  EXPECT_TRUE(std::ranges::equal(key.bytes(), back->bytes()));
  EXPECT_TRUE(std::ranges::any_of(key.bytes(), [](auto byte) { return byte != 0; }));
  const auto other = unwrap(header, kOtherKey, arena());
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::kCorrupt);
}

TEST(Wrap, BindsEveryByteOfTheHeader) {
  Header header = header_for(1 << 20, 65'536, 5000);
  const Secret key = *fresh_key(arena());
  ASSERT_TRUE(wrap(header, kTenantKey, key_of(key), arena()));
  const auto bytes = encode(header);
  int decoded = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto changed = bytes;
    changed[i] ^= 1;
    const auto other = decode_header(changed);
    if (!other) continue;
    ++decoded;
    EXPECT_FALSE(unwrap(*other, kTenantKey, arena())) << "byte " << i;
  }
  EXPECT_GT(decoded, 200) << "digests, seq and the wrapped key decode whatever they are";
}

TEST(Wrap, IsNeverTheSameTwice) {
  Header one = header_for(1 << 20, 65'536, 5000), two = one;
  const Secret key = *fresh_key(arena());
  ASSERT_TRUE(wrap(one, kTenantKey, key_of(key), arena()) && wrap(two, kTenantKey, key_of(key), arena()));
  EXPECT_NE(one.wrapped, two.wrapped);
}

// The key that wraps is HKDF-SHA256 (RFC 5869) of the tenant's with no salt: worked out here once more, from HMAC alone, and tried.
TEST(Wrap, IsAes256GcmUnderTheHkdfOfTheTenantsKey) {
  Header header = header_for(1 << 20, 65'536, 5000);
  const Secret key = *fresh_key(arena());
  ASSERT_TRUE(wrap(header, kTenantKey, key_of(key), arena()));
  const auto hmac = [](std::span<const std::uint8_t> mac_key, const test::Bytes& data) {
    std::array<std::uint8_t, 64> inner{}, outer{};
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint8_t byte = i < mac_key.size() ? mac_key[i] : std::uint8_t{0};
      inner[i] = byte ^ 0x36, outer[i] = byte ^ 0x5c;
    }
    const auto text = [](const auto& bytes) { return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()); };
    return sha256(text(outer), text(sha256(text(inner), text(data)).bytes));
  };
  const Digest extracted = hmac(std::array<std::uint8_t, 32>{}, {kTenantKey.begin(), kTenantKey.end()});
  test::Bytes info;
  for (const char c : std::string("mvm snapshot 1 wrap")) info.push_back(static_cast<std::uint8_t>(c));
  for (const char c : header.instance.tenant.padded()) info.push_back(static_cast<std::uint8_t>(c));
  info.insert(info.end(), {1, 0, 0, 0});
  info.push_back(1);
  const Digest wrapping = hmac(extracted.bytes, info);

  const auto bytes = encode(header);
  Owned<EVP_CIPHER_CTX, &EVP_CIPHER_CTX_free> context(EVP_CIPHER_CTX_new());
  std::array<std::uint8_t, kKeyBytes> opened{};
  int length = 0;
  ASSERT_EQ(EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, wrapping.bytes.data(), header.wrapped.data()), 1);
  ASSERT_EQ(EVP_DecryptUpdate(context.get(), nullptr, &length, bytes.data(), kHeaderBytes - kWrappedBytes), 1);
  ASSERT_EQ(EVP_DecryptUpdate(context.get(), opened.data(), &length, header.wrapped.data() + kNonceBytes, kKeyBytes), 1);
  ASSERT_EQ(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, header.wrapped.data() + kNonceBytes + kKeyBytes), 1);
  EXPECT_EQ(EVP_DecryptFinal_ex(context.get(), opened.data(), &length), 1);
  EXPECT_TRUE(std::ranges::equal(opened, key.bytes()));
}

class Cipher : public testing::Test {
 protected:
  test::Bytes sealed(Part part, std::uint32_t number, std::uint32_t count) {
    auto cipher = PartCipher::make(PartCipher::Way::kSeal, kTenantKey, sha256("header"));
    test::Bytes out(head_.size() + body_.size() + kTagBytes);
    EXPECT_EQ(cipher->seal(part, number, count, head_, body_, out.data()).value_or(0), out.size());
    return out;
  }
  bool opens(test::Bytes bytes, Part part, std::uint32_t number, std::uint32_t count, Key key = kTenantKey, const Digest& header = sha256("header")) {
    auto cipher = PartCipher::make(PartCipher::Way::kOpen, key, header);
    const auto text = cipher->open(part, number, count, bytes);
    const bool wiped = std::all_of(bytes.begin(), bytes.end() - kTagBytes, [](auto byte) { return byte == 0; });
    EXPECT_NE(text.has_value(), wiped) << "what did not verify is wiped";
    return text && std::equal(text->begin(), text->begin() + 16, head_.begin());
  }
  test::Bytes head_ = test::random_bytes(16, 1), body_ = test::random_bytes(100, 2);
};

TEST_F(Cipher, OpensAPartOnlyInItsPlace) {
  const auto part = sealed(Part::kMemory, 3, 8);
  EXPECT_TRUE(opens(part, Part::kMemory, 3, 8));
  EXPECT_FALSE(opens(part, Part::kState, 3, 8));
  EXPECT_FALSE(opens(part, Part::kMemory, 4, 8));
  EXPECT_FALSE(opens(part, Part::kMemory, 3, 9));
  EXPECT_FALSE(opens(part, Part::kMemory, 3, 8, kOtherKey));
  EXPECT_FALSE(opens(part, Part::kMemory, 3, 8, kTenantKey, sha256("another header")));
}

// The same bytes under another number or kind are other bytes all through: two parts never share a nonce, and so no key stream.
TEST_F(Cipher, SealsEveryPartUnderANonceOfItsOwn) {
  const auto one = sealed(Part::kMemory, 3, 8);
  for (const auto& other : {sealed(Part::kMemory, 4, 8), sealed(Part::kMemory, 3 + (1 << 16), 8), sealed(Part::kState, 3, 8), sealed(Part::kIndex, 3, 8)}) {
    int same = 0;
    for (std::size_t i = 0; i < one.size(); ++i) same += one[i] == other[i];
    EXPECT_LT(same, 10) << "of " << one.size();
  }
}

TEST_F(Cipher, DoesNotSealWithWhatOpensNorOpenWithWhatSeals) {
  auto opener = PartCipher::make(PartCipher::Way::kOpen, kTenantKey, {});
  auto sealer = PartCipher::make(PartCipher::Way::kSeal, kTenantKey, {});
  test::Bytes out(200);
  EXPECT_EQ(opener->seal(Part::kState, 0, 1, head_, body_, out.data()).error().code, Errc::kDenied);
  EXPECT_EQ(sealer->open(Part::kState, 0, 1, out).error().code, Errc::kDenied);
}

TEST_F(Cipher, RefusesWhatIsShorterThanATag) {
  EXPECT_EQ(PartCipher::make(PartCipher::Way::kOpen, kTenantKey, {})->open(Part::kState, 0, 1, std::span(body_).first(15)).error().code, Errc::kCorrupt);
}

// The heap hands out again what was just given back to it, so what is in it can be looked at.
TEST(Wiped, BytesAreZeroedBeforeTheyAreGivenBack) {
  constexpr std::size_t kSize = 1000;
  {
    WipedBytes secret(kSize, std::uint8_t{7});
  }
  const std::unique_ptr<std::uint8_t[]> again(new std::uint8_t[kSize]);
  EXPECT_EQ(std::count(again.get() + 32, again.get() + kSize, std::uint8_t{7}), 0);
}

}  // namespace
}  // namespace mvm::snapshot_file
