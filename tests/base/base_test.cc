#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/hasher.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"

namespace mvm {
namespace {

TEST(Digest, IsSha256OfFips180) {
  EXPECT_EQ(to_string(sha256("abc")), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("ab", "c"), sha256("abc"));
}

TEST(Digest, OfWhatComesInPiecesIsThatOfTheWhole) {
  Sha256 pieces;
  for (const char* piece : {"a", "", "bc"}) pieces.add(piece);
  EXPECT_EQ(pieces.digest(), sha256("abc"));
  EXPECT_EQ(Sha256().digest(), sha256(""));
}

TEST(Digest, HasOneSpelling) {
  const std::string good = to_string(sha256("abc"));
  EXPECT_EQ(parse_digest(good), sha256("abc"));
  std::string upper = good;
  upper[8] = 'A';
  EXPECT_FALSE(parse_digest(upper));
  EXPECT_FALSE(parse_digest(good + "0"));
  EXPECT_FALSE(parse_digest(good.substr(0, good.size() - 1)));
  EXPECT_FALSE(parse_digest(good.substr(7)));
}

TEST(Name, KnowsItsSizeAndComesInTheOrderOfItsText) {
  std::vector<std::string> texts;
  for (std::size_t size = 1; size <= kMaxName; ++size) {
    texts.push_back(std::string(size, 'm'));
    for (const char other : {'a', 'z', '7'}) texts.push_back(std::string(size, 'm') + other);
  }
  std::erase_if(texts, [](const std::string& text) { return text.size() > kMaxName; });
  for (const std::string& left : texts) {
    EXPECT_EQ(Name::from(left)->view(), left);
    for (const std::string& right : texts) {
      EXPECT_EQ(*Name::from(left) <=> *Name::from(right), left <=> right) << left << " and " << right;
      EXPECT_EQ(*Name::from(left) == *Name::from(right), left == right) << left << " and " << right;
    }
  }
  EXPECT_EQ(Name{}.size(), 0u);
}

TEST(Name, TakesWhatTheGrammarTakesAndNothingElse) {
  EXPECT_TRUE(Name::from("a"));
  EXPECT_TRUE(Name::from("acme-2"));
  EXPECT_TRUE(Name::from(std::string(32, 'a')));
  EXPECT_FALSE(Name::from(std::string(33, 'a')));
  for (const char* bad : {"", "-a", "a-", "2a", "A", "a_b", "a/b", "a.b", "a b"}) EXPECT_FALSE(Name::from(bad)) << bad;
  EXPECT_FALSE(Name::from(std::string_view("a\0b", 3)));
  EXPECT_EQ(Name::from(std::string(32, 'a'))->view(), std::string(32, 'a'));
}

TEST(InstanceId, RoundTrips) {
  EXPECT_EQ(to_string(*InstanceId::from("i-00c0ffee")), "i-00c0ffee");
  for (const char* bad : {"i-00c0ffe", "i-00c0ffee0", "i-00C0FFEE", "x-00c0ffee"}) EXPECT_FALSE(InstanceId::from(bad)) << bad;
}

TEST(Subject, ShorterStandsBeforeWhatItContains) {
  const Name t = *Name::from("acme"), p = *Name::from("web");
  EXPECT_LT(tenant_subject(t), pool_subject(t, p));
  EXPECT_LT(pool_subject(t, p), instance_subject(t, p, {0}));
  EXPECT_EQ(to_string(instance_subject(t, p, {0xa3f7b2c1})), "acme/web/i-a3f7b2c1");
}

TEST(Subnet, KnowsWhatItContainsAndOverlaps) {
  const Subnet twelve{0x0af00000, 12}, a{0x0af00300, 24}, b{0x0af00400, 24}, last{0xffffff00, 24};
  EXPECT_TRUE(twelve.contains(a));
  EXPECT_FALSE(a.contains(twelve));
  EXPECT_TRUE(a.overlaps(twelve));
  EXPECT_FALSE(a.overlaps(b));
  EXPECT_FALSE(twelve.contains(last));
  EXPECT_EQ(to_string(a), "10.240.3.0/24");
  EXPECT_EQ(Subnet::unpack(a.packed()), a);
  EXPECT_FALSE((Subnet{0x0af00301, 24}).aligned());
}

TEST(Error, SaysWhatWasTriedOnWhatAndWhy) {
  EXPECT_EQ(fail(Errc::kDenied, "open the plan", "plan").error().message(), "open the plan (plan): denied");
  EXPECT_EQ(fail_errno(2, "open").error().message(), "open: No such file or directory");
}

}  // namespace
}  // namespace mvm
