#include "sealing/seal.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "base/fd.h"
#include "tests/sealing/samples.h"

namespace mvm::sealing {
namespace {

using test::bytes_of;
using test::content_label;
using test::key_label;
using test::kTenantKey;
using test::sealed;

class Seal : public testing::Test {
 protected:
  // All that was taken of the arena, but the session's own page, has been given back, and overwritten.
  void TearDown() override {
    const auto all = arena.take(kSecretArenaBytes - 4096);
    ASSERT_TRUE(all) << "something is still taken";
    EXPECT_TRUE(std::ranges::all_of(all->bytes(), [](std::uint8_t byte) { return byte == 0; }));
  }
  SecretArena arena = SecretArena::make().value();
  Session session = Session::make(arena).value();
};

TEST_F(Seal, OpensAKeyThatWasSealedToIt) {
  const auto envelope = sealed(arena, key_label(), session.public_key(), kTenantKey);
  const Secret opened = session.open(key_label(), envelope).value();
  EXPECT_TRUE(std::ranges::equal(opened.bytes(), kTenantKey));
}

TEST_F(Seal, OpensContentUpToItsLimit) {
  for (const Purpose purpose : {Purpose::kSecrets, Purpose::kConfig}) {
    const std::string content(kMaxContent, 'c');
    const Label label = content_label(purpose, content);
    EXPECT_EQ(session.open(label, sealed(arena, label, session.public_key(), bytes_of(content))).value().size(), kMaxContent);
    const std::string more(kMaxContent + 1, 'c');
    EXPECT_FALSE(seal(arena, content_label(purpose, more), session.public_key(), test::kSigner, test::unsigned_, bytes_of(more)));
  }
}

TEST_F(Seal, SealsNothingThatIsNotWhatItsLabelSays) {
  const auto refused = [&](const Label& label, Bytes plaintext) {
    const auto envelope = seal(arena, label, session.public_key(), test::kSigner, test::unsigned_, plaintext);
    return !envelope && envelope.error().code == Errc::kDenied;
  };
  EXPECT_TRUE(refused(key_label(), Bytes(kTenantKey).first(31)));
  EXPECT_TRUE(refused(content_label(Purpose::kSecrets, "a"), bytes_of("b")));
}

TEST_F(Seal, OpensNothingForAnotherLabel) {
  const auto envelope = sealed(arena, key_label(), session.public_key(), kTenantKey);
  const auto refused = [&](const auto& change) {
    Label other = key_label();
    change(other);
    const auto opened = session.open(other, envelope);
    return !opened && opened.error().code == Errc::kDenied;
  };
  EXPECT_TRUE(refused([](Label& l) { l.node = *Name::from("node-8"); }));
  EXPECT_TRUE(refused([](Label& l) { l.tenant = *Name::from("bolt"); }));
  EXPECT_TRUE(refused([](Label& l) { l.version = 2; }));
  EXPECT_TRUE(refused([](Label& l) { l.generation = 43; }));
  EXPECT_TRUE(refused([](Label& l) { l.purpose = Purpose::kSecrets; }));
  EXPECT_TRUE(refused([](Label& l) { l.digest = sha256("x"); }));
}

// Whoever carries it rewrites the label in clear: HPKE knows.
TEST_F(Seal, OpensNothingWhoseHeaderWasChanged) {
  const auto envelope = sealed(arena, key_label(), session.public_key(), kTenantKey);
  unsigned looked_at = 0;
  for (std::size_t at = 0; at < kHeaderBytes + kTenantKeyBytes + kSealedTagBytes; ++at) {
    auto changed = envelope;
    changed[at] ^= 1;
    const auto read = read_envelope(changed);
    if (!read) continue;
    ++looked_at;
    const auto opened = session.open(read->label, changed);
    EXPECT_FALSE(opened) << at;
  }
  EXPECT_GT(looked_at, 150u);
}

TEST_F(Seal, OpensNothingThatWasSealedToAnotherStart) {
  const Session other = Session::make(arena).value();
  const auto envelope = sealed(arena, key_label(), other.public_key(), kTenantKey);
  const auto opened = session.open(key_label(), envelope);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kDenied);
  EXPECT_NE(opened.error().tried.find("another start"), std::string::npos) << opened.error().message();
  // Nor where it is said to be for this one.
  auto renamed = envelope;
  std::ranges::copy(key_id(session.public_key()).bytes, renamed.begin() + 120);
  EXPECT_EQ(session.open(key_label(), renamed).error().code, Errc::kDenied);
}

// By docs/keys.md: info is bytes 0 to 151, so node, tenant, purpose, version, generation and recipient are in it; aad has the signer too.
TEST_F(Seal, BindsTheLabelByInfoAndAad) {
  const hpke::Key key = hpke::generate().value();
  const auto envelope = sealed(arena, key_label(), hpke::public_of(key).value(), kTenantKey);
  const Bytes bytes(envelope);
  PublicKey enc{};
  std::ranges::copy(bytes.subspan(184, 32), enc.begin());
  const auto opens = [&](Bytes info, Bytes aad) { return hpke::open(arena, key, enc, info, aad, bytes.subspan(220, 48)).has_value(); };
  EXPECT_TRUE(opens(bytes.first(152), bytes.first(184)));
  EXPECT_FALSE(opens(bytes.first(151), bytes.first(184)));
  EXPECT_FALSE(opens({}, bytes.first(184)));
  EXPECT_FALSE(opens(bytes.first(152), {}));
}

// Content with another digest, sealed by someone who does not use seal().
TEST_F(Seal, BelievesNoDigestThatItHasNotComputed) {
  const Label label = content_label(Purpose::kSecrets, "a");
  auto draft = begin_envelope(label, session.public_key(), test::kSigner).value();
  const auto message = hpke::seal(arena, session.public_key(), draft.info(), draft.aad(), bytes_of("b")).value();
  auto envelope = to_be_signed(draft, message.enc, message.ciphertext);
  envelope.resize(envelope.size() + 64);
  EXPECT_EQ(session.open(label, envelope).error().code, Errc::kDenied);
}

TEST_F(Seal, SignsAllOfAnEnvelopeButTheSignature) {
  std::string signed_text;
  const auto sign = [&](std::string_view text) -> Result<Signature> {
    signed_text = text;
    return Signature{1};
  };
  const auto envelope = seal(arena, key_label(), session.public_key(), test::kSigner, sign, kTenantKey).value();
  EXPECT_EQ(signed_text.size(), envelope.size() - 64);
  EXPECT_TRUE(std::ranges::equal(read_envelope(envelope).value().signed_bytes, bytes_of(signed_text)));
}

TEST_F(Seal, LeavesNothingOfTheKeyBehind) {
  const auto envelope = sealed(arena, key_label(), session.public_key(), kTenantKey);
  const std::uint8_t* was = nullptr;
  {
    const Secret opened = session.open(key_label(), envelope).value();
    was = opened.bytes().data();
    ASSERT_EQ(was[31], 32);
  }
  for (std::size_t i = 0; i < kTenantKeyBytes; ++i) EXPECT_EQ(was[i], 0);
}

TEST_F(Seal, OpensInTheOtherProcessThatHasTheSession) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd one(ends[0]);
  Fd other(ends[1]);
  ASSERT_TRUE(session.give(one.get()));
  const Session same = Session::take(arena, other.get()).value();
  EXPECT_EQ(same.public_key(), session.public_key());
  const auto envelope = sealed(arena, key_label(), session.public_key(), kTenantKey);
  EXPECT_TRUE(std::ranges::equal(same.open(key_label(), envelope).value().bytes(), kTenantKey));
  ASSERT_EQ(send(one.get(), "short", 5, 0), 5);
  EXPECT_EQ(Session::take(arena, other.get()).error().code, Errc::kMalformed);
  const std::array<char, 33> long_one{};
  ASSERT_EQ(send(one.get(), long_one.data(), long_one.size(), 0), 33);
  EXPECT_EQ(Session::take(arena, other.get()).error().code, Errc::kMalformed);
  other.reset();
  EXPECT_FALSE(session.give(one.get()));
}

TEST_F(Seal, IsNotWaitedForFromWhoHasGone) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Fd one(ends[0]);
  Fd(ends[1]).reset();
  EXPECT_EQ(Session::take(arena, one.get()).error().code, Errc::kClosed);
}

}  // namespace
}  // namespace mvm::sealing
