#include "sealing/envelope.h"

#include <gtest/gtest.h>

#include "sealing/bundle.h"
#include "sealing/bytes.h"
#include "sealing/offer.h"
#include "tests/sealing/samples.h"

namespace mvm::sealing {
namespace {

using test::content_label;
using test::key_label;

const PublicKey kRecipient = {5, 5, 5};

// Of the form of an envelope; nothing is sealed in it.
std::vector<std::uint8_t> form(const Label& label, std::size_t plaintext = kTenantKeyBytes) {
  auto bytes = to_be_signed(begin_envelope(label, kRecipient, test::kSigner).value(), PublicKey{7}, std::vector<std::uint8_t>(plaintext + kSealedTagBytes, 8));
  bytes.resize(bytes.size() + 64, 6);
  return bytes;
}

TEST(FixedFormatDeathTest, EndsTheProcessWhereMoreIsTakenThanThereIs) {
  const std::array<std::uint8_t, 3> three{};
  EXPECT_DEATH((void)Reader(three).take(4), "");
}

TEST(Envelope, SaysWhatItWasMadeOf) {
  const Label label = key_label(3);
  const auto bytes = form(label);
  const Envelope envelope = read_envelope(bytes).value();
  EXPECT_EQ(envelope.label, label);
  EXPECT_EQ(envelope.recipient, key_id(kRecipient));
  EXPECT_EQ(envelope.signer, test::kSigner);
  EXPECT_EQ(envelope.enc, PublicKey{7});
  EXPECT_EQ(envelope.ciphertext.size(), 48u);
  EXPECT_EQ(envelope.signature[0], 6);
  EXPECT_EQ(envelope.signed_bytes.size(), bytes.size() - 64);
  EXPECT_EQ(to_string(envelope.label), "key acme/3");
}

// docs/keys.md has these offsets.
TEST(Envelope, HasEachFieldInItsPlace) {
  const Label label = content_label(Purpose::kConfig, "x");
  const auto bytes = form(label, 1);
  const auto at = [&](std::size_t offset, std::size_t size) { return std::string(bytes.begin() + static_cast<long>(offset), bytes.begin() + static_cast<long>(offset + size)); };
  EXPECT_EQ(at(0, 8), "mvmseal1");
  EXPECT_EQ(bytes[8], 3);
  EXPECT_EQ(at(16, 8), std::string("\0\0\0\0\0\0\0\x2a", 8));
  EXPECT_EQ(at(24, 7), std::string("node-7\0", 7));
  EXPECT_EQ(at(56, 5), std::string("acme\0", 5));
  EXPECT_EQ(at(88, 32), std::string(label.digest.bytes.begin(), label.digest.bytes.end()));
  EXPECT_EQ(at(152, 3), "\x09\x09\x09");
  EXPECT_EQ(bytes[184], 7);
  EXPECT_EQ(at(216, 4), std::string("\0\0\0\x11", 4));
  EXPECT_EQ(bytes.size(), 220u + 17 + 64);
}

TEST(Envelope, IsTakenAtItsLimitAndNotAbove) {
  EXPECT_TRUE(read_envelope(form(content_label(Purpose::kSecrets, "x"), kMaxContent)));
  EXPECT_EQ(form(content_label(Purpose::kSecrets, "x"), kMaxContent).size(), kMaxEnvelope);
  EXPECT_EQ(read_envelope(form(content_label(Purpose::kSecrets, "x"), kMaxContent + 1)).error().code, Errc::kLimit);
}

TEST(Envelope, IsRefusedAtEveryOtherLength) {
  const auto bytes = form(key_label());
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(read_envelope(Bytes(bytes).first(size))) << size;
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(read_envelope(longer));
}

TEST(Envelope, RefusesWhatNoLabelMaySay) {
  const auto refused = [](const auto& change) {
    Label label = key_label();
    change(label);
    return !check_label(label) && !begin_envelope(label, kRecipient, test::kSigner);
  };
  EXPECT_TRUE(refused([](Label& l) { l.node = {}; }));
  EXPECT_TRUE(refused([](Label& l) { l.tenant = {}; }));
  EXPECT_TRUE(refused([](Label& l) { l.version = 0; }));
  EXPECT_TRUE(refused([](Label& l) { l.version = kMaxKeyVersion + 1; }));
  EXPECT_TRUE(refused([](Label& l) { l.generation = 0; }));
  EXPECT_TRUE(refused([](Label& l) { l.generation = kMaxGeneration + 1; }));
  EXPECT_TRUE(refused([](Label& l) { l.digest = sha256("x"); }));
  EXPECT_TRUE(refused([](Label& l) { l.purpose = static_cast<Purpose>(0); }));
  EXPECT_TRUE(refused([](Label& l) { l.purpose = static_cast<Purpose>(4); }));
  EXPECT_TRUE(refused([](Label& l) { l.purpose = Purpose::kSecrets; }));
  for (const std::uint8_t none : {std::uint8_t{0}, std::uint8_t{4}}) {
    EXPECT_TRUE(refused([&](Label& l) { l = content_label(static_cast<Purpose>(none), "x"); })) << "of the form of content: " << +none;
  }
  EXPECT_FALSE(refused([](Label& l) { l.version = kMaxKeyVersion; }));
  EXPECT_FALSE(refused([](Label& l) { l.generation = kMaxGeneration; }));
}

// Each byte of the header that has but one value, and some that names may not have.
TEST(Envelope, RefusesAHeaderThatIsNotCanonical) {
  const auto bytes = form(key_label());
  const auto with = [&](std::size_t at, std::uint8_t value) {
    auto changed = bytes;
    changed[at] = value;
    return read_envelope(changed).has_value();
  };
  for (std::size_t at = 0; at < 8; ++at) EXPECT_FALSE(with(at, 'x'));
  for (std::size_t at = 9; at < 12; ++at) EXPECT_FALSE(with(at, 1)) << "reserved";
  EXPECT_FALSE(with(24, 'N')) << "a name with a capital";
  EXPECT_FALSE(with(24 + 31, 'a')) << "a name with something behind its end";
  EXPECT_FALSE(with(56, 0)) << "no tenant";
  EXPECT_FALSE(with(88, 1)) << "a key with a digest";
  EXPECT_FALSE(with(219, 47)) << "a length that is not its own";
  EXPECT_TRUE(with(24, 'o'));
}

TEST(Envelope, HasSomethingInIt) {
  EXPECT_TRUE(read_envelope(form(content_label(Purpose::kSecrets, "x"), 1)));
  EXPECT_FALSE(read_envelope(form(content_label(Purpose::kSecrets, "x"), 0)));
}

TEST(Envelope, OfAKeyHasAKeysLength) {
  EXPECT_FALSE(read_envelope(form(key_label(), 31)));
  EXPECT_FALSE(read_envelope(form(key_label(), 33)));
}

TEST(Offer, SaysWhatItWasMadeOf) {
  const Offer offer{*Name::from("node-7"), 9, PublicKey{1, 2, 3}};
  auto bytes = to_be_signed(offer);
  EXPECT_EQ(bytes.size(), kSignedOfferBytes);
  bytes.resize(kOfferBytes, 4);
  const SignedOffer read = read_offer(bytes).value();
  EXPECT_EQ(read.offer, offer);
  EXPECT_EQ(read.signature[63], 4);
}

TEST(Offer, RefusesWhatIsNoOffer) {
  auto bytes = to_be_signed(Offer{*Name::from("node-7"), 9, {}});
  bytes.resize(kOfferBytes);
  ASSERT_TRUE(read_offer(bytes));
  for (std::size_t size = 0; size < kOfferBytes; ++size) EXPECT_FALSE(read_offer(Bytes(bytes).first(size)));
  auto longer = bytes;
  longer.push_back(0);
  EXPECT_FALSE(read_offer(longer));
  const auto with = [&](std::size_t at, std::uint8_t value) {
    auto changed = bytes;
    changed[at] = value;
    return read_offer(changed).has_value();
  };
  for (std::size_t at = 0; at < 8; ++at) EXPECT_FALSE(with(at, 'x'));
  EXPECT_FALSE(with(15, 0)) << "start 0";
  EXPECT_FALSE(with(16, '-')) << "a name that is none";
}

TEST(Bundle, HasItsEnvelopesInOrder) {
  const std::vector<std::vector<std::uint8_t>> envelopes = {form(key_label(2)), form(content_label(Purpose::kSecrets, "x"), 1), form(key_label(1))};
  const auto bytes = write_bundle(envelopes).value();
  const auto read = read_bundle(bytes).value();
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[0].label, key_label(1));
  EXPECT_EQ(read[1].label, key_label(2));
  EXPECT_TRUE(std::ranges::equal(read[1].whole, envelopes[0]));
}

TEST(Bundle, OfNothingIsNoBytes) {
  EXPECT_TRUE(write_bundle({}).value().empty());
  EXPECT_TRUE(read_bundle({}).value().empty());
}

TEST(Bundle, HasNoLabelTwice) {
  const std::vector<std::vector<std::uint8_t>> envelopes = {form(key_label()), form(key_label())};
  EXPECT_EQ(write_bundle(envelopes).error().code, Errc::kExists);
}

TEST(Bundle, IsRefusedWhereItIsNotOfTheForm) {
  const std::vector<std::vector<std::uint8_t>> envelopes = {form(key_label(1)), form(key_label(2))};
  const auto bytes = write_bundle(envelopes).value();
  for (std::size_t size = 1; size < bytes.size(); ++size) EXPECT_FALSE(read_bundle(Bytes(bytes).first(size))) << size;
  auto changed = bytes;
  changed.push_back(0);
  EXPECT_FALSE(read_bundle(changed)) << "bytes behind its end";
  changed = bytes;
  changed[11] = 1;
  EXPECT_FALSE(read_bundle(changed)) << "fewer than it has";
  changed = bytes;
  changed[11] = 0;
  EXPECT_FALSE(read_bundle(changed)) << "none";
  changed.resize(12);
  EXPECT_FALSE(read_bundle(changed)) << "none, and nothing else either";
  for (const std::size_t at : {0, 7}) {
    changed = bytes;
    changed[at] = 'x';
    EXPECT_FALSE(read_bundle(changed)) << "it does not begin as one";
  }
  changed = bytes;
  const std::size_t each = envelopes[0].size() + 4;
  std::swap_ranges(changed.begin() + 12, changed.begin() + 12 + static_cast<long>(each), changed.begin() + 12 + static_cast<long>(each));
  EXPECT_FALSE(read_bundle(changed)) << "out of order";
  std::copy_n(changed.begin() + 12, each, changed.begin() + 12 + static_cast<long>(each));
  EXPECT_FALSE(read_bundle(changed)) << "twice the same";
}

TEST(Bundle, IsTakenAtItsLimitAndNotAbove) {
  std::vector<std::vector<std::uint8_t>> envelopes;
  for (std::uint32_t version = 1; version <= kMaxBundledEnvelopes; ++version) envelopes.push_back(form(key_label(version)));
  EXPECT_EQ(read_bundle(write_bundle(envelopes).value()).value().size(), kMaxBundledEnvelopes);
  envelopes.push_back(form(key_label(kMaxBundledEnvelopes + 1)));
  EXPECT_EQ(write_bundle(envelopes).error().code, Errc::kLimit);
  std::vector<std::uint8_t> claimed = write_bundle(std::span(envelopes).first(1)).value();
  claimed[10] = kMaxBundledEnvelopes >> 8, claimed[11] = 1;
  EXPECT_EQ(read_bundle(claimed).error().code, Errc::kLimit) << "said to be of one more";
}

TEST(Bundle, IsNoLongerThanItsLimit) {
  constexpr std::size_t kFit = 254;
  std::vector<std::vector<std::uint8_t>> envelopes;
  for (std::size_t i = 0; i <= kFit; ++i) envelopes.push_back(form(content_label(Purpose::kSecrets, std::to_string(i)), kMaxContent));
  EXPECT_TRUE(read_bundle(write_bundle(std::span(envelopes).first(kFit)).value()));
  EXPECT_EQ(write_bundle(envelopes).error().code, Errc::kLimit);
  EXPECT_EQ(read_bundle(std::vector<std::uint8_t>(kMaxBundle + 1)).error().code, Errc::kLimit);
  EXPECT_EQ(read_bundle(std::vector<std::uint8_t>(kMaxBundle)).error().code, Errc::kMalformed);
}

}  // namespace
}  // namespace mvm::sealing
