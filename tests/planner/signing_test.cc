#include "planner/signing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/digest.h"
#include "planner/files.h"

namespace mvm::planner {
namespace {

Signature signature_of(const std::string& hex) {
  Signature signature{};
  for (const std::size_t half : {0u, 1u}) {
    const auto part = hex32(std::string_view(hex).substr(half * 64, 64));
    std::ranges::copy(*part, signature.begin() + static_cast<std::ptrdiff_t>(half * 32));
  }
  return signature;
}

TEST(Signing, AcceptsTheVectorsOfRfc8032AndNothingNear) {
  const PublicKey key = *hex32("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  const Signature good = signature_of(
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
  EXPECT_TRUE(signed_by(key, "", good));
  EXPECT_FALSE(signed_by(key, "x", good));
  for (const std::size_t at : {0u, 31u, 32u, 63u}) {
    Signature bad = good;
    bad[at] ^= 1;
    EXPECT_FALSE(signed_by(key, "", bad)) << at;
  }
  PublicKey other = key;
  other[5] ^= 1;
  EXPECT_FALSE(signed_by(other, "", good));
}

TEST(Signing, Works) { EXPECT_TRUE(check_signatures_work()); }

TEST(Signing, AgreesWithOpensslInBothDirections) {
  const std::string dir = ::testing::TempDir() + "signing-" + std::to_string(getpid()) + "/";
  std::filesystem::create_directory(dir);
  const auto pair = generate_key();
  ASSERT_TRUE(pair);
  EXPECT_EQ(public_of(pair->private_pem).value(), pair->public_key);
  ASSERT_TRUE(create_file(dir + "key.pem", pair->private_pem, 0600));
  ASSERT_TRUE(create_file(dir + "text", "exact bytes\n", 0600));
  const auto ours = sign(pair->private_pem, "exact bytes\n");
  ASSERT_TRUE(ours);
  ASSERT_TRUE(create_file(dir + "sig", {reinterpret_cast<const char*>(ours->data()), ours->size()}, 0600));
  const std::string quiet = " >/dev/null 2>&1";
  EXPECT_EQ(std::system(("openssl pkey -in " + dir + "key.pem -pubout -out " + dir + "pub.pem" + quiet).c_str()), 0);
  EXPECT_EQ(std::system(("openssl pkeyutl -verify -rawin -pubin -inkey " + dir + "pub.pem -in " + dir + "text -sigfile " + dir + "sig" + quiet).c_str()), 0);
  EXPECT_EQ(std::system(("openssl pkeyutl -sign -rawin -inkey " + dir + "key.pem -in " + dir + "text -out " + dir + "theirs" + quiet).c_str()), 0);
  const auto theirs = read_file(-100, dir + "theirs", 64);
  ASSERT_TRUE(theirs);
  Signature signature{};
  std::ranges::copy(*theirs, signature.begin());
  EXPECT_TRUE(signed_by(pair->public_key, "exact bytes\n", signature));
  std::filesystem::remove_all(dir);
}

TEST(Signing, RefusesWhatIsNoEd25519Key) {
  EXPECT_FALSE(sign("not a key", "x"));
  EXPECT_FALSE(sign(std::string(kMaxPem + 1, 'x'), "x"));
  const std::string pem = generate_key()->private_pem;
  EXPECT_TRUE(sign(pem + std::string(kMaxPem - pem.size(), '\n'), "x"));
  EXPECT_EQ(sign(pem + std::string(kMaxPem + 1 - pem.size(), '\n'), "x").error().code, Errc::kLimit);
  const std::string file = ::testing::TempDir() + "x25519-" + std::to_string(getpid());
  ASSERT_EQ(std::system(("openssl genpkey -algorithm X25519 -out " + file).c_str()), 0);
  const auto other = read_file(-100, file, kMaxPem);
  std::filesystem::remove(file);
  ASSERT_TRUE(other);
  EXPECT_EQ(public_of(*other).error().code, Errc::kMalformed) << "32 bytes too, and signs nothing";
}

}  // namespace
}  // namespace mvm::planner
