#include "sealing/hpke.h"

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include "sealing/key_schedule.h"
#include "tests/sealing/samples.h"

namespace mvm::hpke {
namespace {

using test::array_of;
using test::from_hex;

// RFC 9180's test vectors (test-vectors.json of the CFRG's repository): mode 0, kem_id 32, kdf_id 1, aead_id 2.
const auto kInfo = from_hex("4f6465206f6e2061204772656369616e2055726e");
const auto kRecipientPrivate = from_hex("497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d");
const auto kEphemeralPrivate = from_hex("179d4b53b6365c45b600c4163b61d95cbc2f4d9e36f1695558dce265ab8bab11");
const auto kRecipient = array_of("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c");
const auto kEnc = array_of("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256");
const auto kAad = from_hex("436f756e742d30");
const auto kPlaintext = from_hex("4265617574792069732074727574682c20747275746820626561757479");
const auto kCiphertext = from_hex("e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a");

class Hpke : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(use_secure_heap());
    recipient = private_key(kRecipientPrivate).value();
  }
  SecretArena arena = SecretArena::make().value();
  Key recipient;
};

TEST_F(Hpke, SealsAsTheRfcDoes) {
  const Key ephemeral = private_key(kEphemeralPrivate).value();
  const auto message = seal_with(arena, ephemeral, kRecipient, kInfo, kAad, kPlaintext).value();
  EXPECT_EQ(message.enc, kEnc);
  EXPECT_EQ(message.ciphertext, kCiphertext);
}

TEST_F(Hpke, OpensWhatTheRfcSealed) {
  EXPECT_EQ(public_of(recipient).value(), kRecipient);
  const auto opened = open(arena, recipient, kEnc, kInfo, kAad, kCiphertext).value();
  EXPECT_TRUE(std::ranges::equal(opened.bytes(), kPlaintext));
}

// The second and the 257th message of the same vector: the nonce of message n is the base nonce, its last bytes xored with n.
TEST_F(Hpke, DerivesTheKeyAndNonceOfTheRfc) {
  const auto context = derive(arena, recipient, kEnc, kEnc, kRecipient, kInfo).value();
  std::array<std::uint8_t, kNonceBytes> nonce{};
  std::ranges::copy(context.nonce(), nonce.begin());
  nonce.back() ^= 1;
  const auto aad = from_hex("436f756e742d31");
  const auto sealed = from_hex("2c43aff25343fdbff864506f0818b9d87df84ea01b1a2144d23b4d40c26bf655fdf197fe40297a8aebeed5cc2d");
  const Owned<EVP_CIPHER_CTX, &EVP_CIPHER_CTX_free> cipher(EVP_CIPHER_CTX_new());
  std::vector<std::uint8_t> out(kPlaintext.size() + 16);
  int wrote = 0;
  ASSERT_EQ(EVP_EncryptInit_ex2(cipher.get(), EVP_aes_256_gcm(), context.key().data(), nonce.data(), nullptr), 1);
  ASSERT_EQ(EVP_EncryptUpdate(cipher.get(), nullptr, &wrote, aad.data(), static_cast<int>(aad.size())), 1);
  ASSERT_EQ(EVP_EncryptUpdate(cipher.get(), out.data(), &wrote, kPlaintext.data(), static_cast<int>(kPlaintext.size())), 1);
  ASSERT_EQ(EVP_EncryptFinal_ex(cipher.get(), out.data() + wrote, &wrote), 1);
  ASSERT_EQ(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, 16, out.data() + kPlaintext.size()), 1);
  EXPECT_EQ(out, sealed);
}

TEST_F(Hpke, OpensNothingThatIsOtherInOneBit) {
  const auto with = [&](std::size_t which, std::size_t bit) {
    auto enc = kEnc;
    auto info = kInfo, aad = kAad, ciphertext = kCiphertext;
    const std::array<std::span<std::uint8_t>, 4> parts = {enc, info, aad, ciphertext};
    parts[which][bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    return open(arena, recipient, enc, info, aad, ciphertext);
  };
  const std::size_t sizes[] = {kEnc.size(), kInfo.size(), kAad.size(), kCiphertext.size()};
  for (std::size_t which = 0; which < 4; ++which) {
    for (std::size_t bit = 0; bit < 8 * sizes[which]; ++bit) {
      // X25519 masks the last bit of a public key (RFC 7748), but the KEM's context has it.
      const auto opened = with(which, bit);
      ASSERT_FALSE(opened) << which << " " << bit;
      EXPECT_EQ(opened.error().code, Errc::kDenied);
    }
  }
}

TEST_F(Hpke, OpensNothingWithAnotherKey) {
  const Key other = generate().value();
  EXPECT_EQ(open(arena, other, kEnc, kInfo, kAad, kCiphertext).error().code, Errc::kDenied);
}

TEST_F(Hpke, SharesNoSecretOfZeros) {
  const PublicKey zero{}, one{1};
  for (const PublicKey& low_order : {zero, one}) {
    EXPECT_EQ(open(arena, recipient, low_order, kInfo, kAad, kCiphertext).error().code, Errc::kMalformed);
    EXPECT_EQ(seal(arena, low_order, kInfo, kAad, kPlaintext).error().code, Errc::kMalformed);
  }
}

TEST_F(Hpke, RefusesWhatIsShorterThanItsTag) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kTagBytes}) {
    EXPECT_EQ(open(arena, recipient, kEnc, kInfo, kAad, Bytes(kCiphertext).first(size)).error().code, Errc::kMalformed);
  }
}

TEST_F(Hpke, SealsSomething) { EXPECT_EQ(seal(arena, kRecipient, kInfo, kAad, {}).error().code, Errc::kLimit); }

TEST_F(Hpke, HasPrivateKeysOf32Bytes) {
  for (const std::size_t size : {0, 31, 33}) {
    const std::vector<std::uint8_t> raw(size, 1);
    const auto key = private_key(raw);
    ASSERT_FALSE(key) << size;
    EXPECT_EQ(key.error().code, Errc::kMalformed);
  }
}

TEST_F(Hpke, KeepsPrivateKeysInTheSecureHeap) {
  const std::size_t before = CRYPTO_secure_used();
  const Key key = generate().value();
  EXPECT_GE(CRYPTO_secure_used(), before + 32);
}

TEST_F(Hpke, SealsTheSameTwiceToDifferentBytes) {
  const auto once = seal(arena, kRecipient, kInfo, kAad, kPlaintext).value(), again = seal(arena, kRecipient, kInfo, kAad, kPlaintext).value();
  EXPECT_NE(once.enc, again.enc);
  EXPECT_NE(once.ciphertext, again.ciphertext);
}

}  // namespace
}  // namespace mvm::hpke
