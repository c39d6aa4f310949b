#include "broker/supervisor/signature.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/supervisor/directory.h"
#include "tests/supervisor/scene.h"

namespace mvm::supervisor {
namespace {

TEST(Signature, IsOneOfTheKeysOverExactlyTheseBytes) {
  const test::Key key, other(1);
  const std::string message = test::projection_text();
  const std::vector<Digest> keys = {other.public_key(), key.public_key()};
  EXPECT_TRUE(is_signed_by_one(keys, message, key.sign(message)));
  EXPECT_FALSE(is_signed_by_one(std::span(keys).first(1), message, key.sign(message)));
  EXPECT_FALSE(is_signed_by_one({}, message, key.sign(message)));
  EXPECT_FALSE(is_signed_by_one(keys, message + "\n", key.sign(message)));
  EXPECT_FALSE(is_signed_by_one(keys, message.substr(1), key.sign(message)));
  for (const std::size_t at : {0u, 31u, 32u, 63u}) {
    auto wrong = key.sign(message);
    wrong[at] ^= 1;
    EXPECT_FALSE(is_signed_by_one(keys, message, wrong)) << at;
  }
}

TEST(Signature, IsTheOneThatOpensslMakes) {
  const test::Directory directory;
  std::ofstream(directory.path("text")) << test::projection_text();
  const std::string command = "cd " + directory.path(".") +
                              " && openssl genpkey -algorithm ed25519 -out key.pem 2>/dev/null && openssl pkey -in key.pem -pubout -outform DER"
                              " | tail -c 32 >public && openssl pkeyutl -sign -rawin -inkey key.pem -in text -out signature";
  ASSERT_EQ(std::system(command.c_str()), 0);
  const auto read = [&](const char* name) {
    std::ifstream file(directory.path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  Digest key;
  Signature signature{};
  const std::string key_bytes = read("public"), signature_bytes = read("signature");
  ASSERT_EQ(key_bytes.size(), key.bytes.size());
  ASSERT_EQ(signature_bytes.size(), signature.size());
  std::ranges::copy(key_bytes, key.bytes.begin());
  std::ranges::copy(signature_bytes, signature.begin());
  EXPECT_TRUE(is_signed_by_one({{key}}, test::projection_text(), signature));
}

TEST(Signature, WorksBeforeHostdReliesOnIt) { EXPECT_TRUE(check_signatures_work()); }

}  // namespace
}  // namespace mvm::supervisor
