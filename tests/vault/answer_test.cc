#include "vault/answer.h"

#include <gtest/gtest.h>

#include "tests/vault/vault_server.h"
#include "vault/base64.h"

namespace mvm::vault {
namespace {

Bytes bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
std::string text_of(const Secret& secret) { return {secret.bytes().begin(), secret.bytes().end()}; }

class Answers : public testing::Test {
 protected:
  Problem token(std::string_view json) { return problem(read_token(arena, bytes_of(json))); }
  Problem stored(std::string_view json) { return problem(read_stored(arena, bytes_of(json), *Name::from("key"), 7)); }
  Problem problem(const Fetched<Secret>& answer) {
    if (answer) ADD_FAILURE() << "it has a value: " << text_of(*answer);
    return answer ? Problem::kHere : answer.error().problem;
  }
  SecretArena arena = SecretArena::make().value();
};

TEST_F(Answers, HaveWhatIsWantedAmongMuchElse) {
  EXPECT_EQ(text_of(read_token(arena, bytes_of(R"({"a":[1,{"auth":{"client_token":"no"}}],"auth":{"x":null,"client_token":"hvs.CA-_=9"},"z":-1.5e9})")).value()), "hvs.CA-_=9");
  EXPECT_EQ(text_of(read_stored(arena, bytes_of(R"({"data":{"metadata":{"version":7,"key":"no"},"data":{"key":"yes","version":8},"key":"no"},"key":1})"), *Name::from("key"), 7).value()), "yes");
  EXPECT_EQ(text_of(read_plaintext(arena, bytes_of(R"({"data":{"plaintext":"QQ=="}})")).value()), "QQ==");
}

TEST_F(Answers, HaveNothingWhereAValueIsMissingOrOfAnotherKind) {
  for (const char* json : {"", "{", "[]", "null", "1", "{}", R"({"auth":null})", R"({"auth":"x"})", R"({"auth":{"client_token":1}})", R"({"auth":{"client_token":null}})",
                           R"({"auth":{"client_token":""}})", R"({"auth":{"client_token":["x"]}})", R"({"auth":{"client_token":{}}})", R"([{"auth":{"client_token":"x"}}])",
                           R"({"auth":[{"client_token":"x"}]})", R"({"auth":{"client_token":"x"}} {})", R"({"auth":{"client_token":"x"})", R"({"auth":{"client_token":true}})",
                           "{\"auth\":{\"client_token\":\"\xff\"}}", R"({"auth":{"client_token":"x",}})"}) {
    EXPECT_EQ(token(json), Problem::kGarbage) << json;
  }
  for (const char* json : {R"({"data":{"data":{"key":"x"}}})", R"({"data":{"data":{},"metadata":{"version":7}}})", R"({"data":{"data":{"key":"x"},"metadata":{"version":"7"}}})",
                           R"({"data":{"data":{"key":"x"},"metadata":{"version":7.0}}})", R"({"data":{"data":{"key":"x"},"metadata":{"version":-7}}})", R"({"data":{"key":"x","metadata":{"version":7}}})",
                           R"({"data":{"data":{"key":"x"},"metadata":{"version":99999999999999999999999}}})"}) {
    EXPECT_EQ(stored(json), Problem::kGarbage) << json;
  }
}

TEST_F(Answers, HaveNoValueThatStandsTwice) {
  EXPECT_EQ(token(R"({"auth":{"client_token":"a","client_token":"a"}})"), Problem::kGarbage);
  EXPECT_EQ(token(R"({"auth":{"client_token":"a"},"auth":{"client_token":"b"}})"), Problem::kGarbage);
  EXPECT_EQ(stored(R"({"data":{"data":{"key":"x"},"metadata":{"version":7,"version":7}}})"), Problem::kGarbage);
}

// Whatever kind the other one is of, and whichever comes first.
TEST_F(Answers, HaveNoValueThatStandsTwiceInTwoKinds) {
  for (const std::string other : {"null", "true", "-1", "1", "1.5", "{}", "[]", R"(["a"])", R"({"client_token":"a"})"}) {
    EXPECT_EQ(token(R"({"auth":{"client_token":)" + other + R"(,"client_token":"a"}})"), Problem::kGarbage) << other;
    EXPECT_EQ(token(R"({"auth":{"client_token":"a","client_token":)" + other + "}}"), Problem::kGarbage) << other;
  }
  for (const std::string other : {"null", "true", "-7", "7.0", R"("7")", "{}", "[]", "[7]"}) {
    EXPECT_EQ(stored(R"({"data":{"data":{"key":"x"},"metadata":{"version":)" + other + R"(,"version":7}}})"), Problem::kGarbage) << other;
    EXPECT_EQ(stored(R"({"data":{"data":{"key":"x"},"metadata":{"version":7,"version":)" + other + "}}}"), Problem::kGarbage) << other;
  }
  for (const std::string other : {"null", "7", "{}"}) {
    EXPECT_EQ(stored(R"({"data":{"data":{"key":)" + other + R"(,"key":"x"},"metadata":{"version":7}}})"), Problem::kGarbage) << other;
  }
}

TEST_F(Answers, AreOfTheVersionThatWasAskedFor) {
  EXPECT_EQ(stored(R"({"data":{"data":{"key":"x"},"metadata":{"version":8}}})"), Problem::kWrongVersion);
  EXPECT_EQ(stored(R"({"data":{"data":{"key":"x"},"metadata":{"version":0}}})"), Problem::kWrongVersion);
}

TEST_F(Answers, HaveTokensThatAreOneLineOfAHeader) {
  for (const char* bad : {"a b", "a\\nb", "a\\r\\nX: y", "a\\u0000b", "a\\u00e9", "a:b"}) EXPECT_EQ(token(R"({"auth":{"client_token":")" + std::string(bad) + R"("}})"), Problem::kGarbage) << bad;
  const auto of_length = [&](std::size_t length) { return read_token(arena, bytes_of(R"({"auth":{"client_token":")" + std::string(length, 'x') + R"("}})")).has_value(); };
  EXPECT_TRUE(of_length(kMaxToken));
  EXPECT_FALSE(of_length(kMaxToken + 1));
}

TEST_F(Answers, AreBoundedInDepthAndLength) {
  const auto within = [&](std::size_t lists) { return read_plaintext(arena, bytes_of(R"({"x":)" + std::string(lists, '[') + std::string(lists, ']') + R"(,"data":{"plaintext":"x"}})")).has_value(); };
  EXPECT_TRUE(within(kMaxDepth - 1));
  EXPECT_FALSE(within(kMaxDepth));
  const std::string short_one = R"({"data":{"plaintext":"x"}})";
  const auto of_length = [&](std::size_t length) { return read_plaintext(arena, bytes_of(short_one + std::string(length - short_one.size(), ' '))).has_value(); };
  EXPECT_TRUE(of_length(kMaxAnswer));
  EXPECT_FALSE(of_length(kMaxAnswer + 1));
}

TEST_F(Answers, HaveKeysOf32Bytes) {
  const auto key = [&](const std::string& bytes) { return read_key(arena, bytes_of(test::base64_of(bytes))); };
  EXPECT_EQ(text_of(key(std::string(32, 'k')).value()), std::string(32, 'k'));
  for (const std::size_t size : {0, 1, 31, 33, 64}) EXPECT_EQ(problem(key(std::string(size, 'k'))), Problem::kNotAKey) << size;
  EXPECT_EQ(problem(read_key(arena, bytes_of(std::string(64, 'a')))), Problem::kNotAKey) << "hex";
}

TEST(Base64, HasOneSpellingOfEachValue) {
  std::array<std::uint8_t, 64> out{};
  for (std::size_t size = 1; size <= out.size(); ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(i * 37 + size));
    const auto decoded = decode_base64(bytes_of(test::base64_of(bytes)), out);
    ASSERT_EQ(decoded, size);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), reinterpret_cast<const char*>(out.data())));
  }
  for (const char* bad : {"", "Q", "QQ", "A", "AA", "AAA", "QUFBAA", "QQ=", "QR==", "QUF=", "Q===", "====", "QQ==QQ==", "QUFB\n", " QUFB", "QU-B", "QU_B", "QUFBQ"}) EXPECT_FALSE(decode_base64(bytes_of(bad), out)) << bad;
  EXPECT_FALSE(decode_base64(bytes_of("QUFB"), std::span(out).first(2)));
}

TEST(Ciphertext, IsWhatTransitWrites) {
  for (const char* good : {"vault:v1:QUFB", "vault:v12:QQ==", "vault:v999999999:+/"}) EXPECT_TRUE(is_ciphertext(bytes_of(good))) << good;
  for (const char* bad : {"", "vault:", "vault:v", "vault:v:QQ==", "vault:vx:QQ==", "vault:v1:", "vault:v1:Q\"", "vault:v1:Q\\", "vault:v1000000000:QQ==", "vault:v1 :QQ==", "QUFB", "fault:v1:QQ==", "vault:w1:QQ=="}) EXPECT_FALSE(is_ciphertext(bytes_of(bad))) << bad;
  EXPECT_TRUE(is_ciphertext(bytes_of("vault:v1:" + std::string(kMaxCiphertext - 9, 'x'))));
  EXPECT_FALSE(is_ciphertext(bytes_of("vault:v1:" + std::string(kMaxCiphertext - 8, 'x'))));
}

}  // namespace
}  // namespace mvm::vault
