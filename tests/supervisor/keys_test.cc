// Which statements need a key, and which envelopes do for them.
#include "broker/supervisor/keys.h"

#include <gtest/gtest.h>

#include "base/secret.h"
#include "broker/supervisor/node_policy.h"
#include "schemas/needs.h"
#include "sealing/seal.h"
#include "tests/schemas/samples.h"
#include "tests/supervisor/scene.h"

namespace mvm::supervisor {
namespace {

using lang::Sign;
using lang::Word;
using sealing::Label;
using sealing::Purpose;
using wire::needs_of;

const Name kNode = *Name::from("node-7");
constexpr std::uint64_t kGeneration = 42;
using Envelopes = std::vector<std::vector<std::uint8_t>>;

Label key_label(std::uint32_t version = 1) { return {kNode, Purpose::kTenantKey, *Name::from("acme"), version, {}, kGeneration}; }

class KeysOfAPlan : public testing::Test {
 protected:
  std::vector<std::uint8_t> sealed(const Label& label, const test::Key& signer = test::Key(), const sealing::PublicKey* to = nullptr) {
    const auto sign = [&](std::string_view bytes) -> Result<sealing::Signature> { return signer.sign(bytes); };
    const std::vector<std::uint8_t> key(sealing::kTenantKeyBytes, 7);
    const sealing::PublicKey& recipient = to == nullptr ? session.public_key() : *to;
    if (label.purpose == Purpose::kTenantKey) return sealing::seal(arena, label, recipient, signer.public_key().bytes, sign, key).value();
    const std::vector<std::uint8_t> content(content_text.begin(), content_text.end());
    return sealing::seal(arena, label, recipient, signer.public_key().bytes, sign, content).value();
  }
  Keys keys_of(const std::vector<std::vector<std::uint8_t>>& envelopes) {
    const auto bundle = sealing::write_bundle(envelopes).value();
    return Keys::read({bundle.begin(), bundle.end()}).value();
  }
  lang::Document plan_of(std::vector<lang::Statement> statements) {
    return {lang::Kind::kPlan, {kNode, kGeneration, true, {}, {}}, std::move(statements)};
  }
  lang::Checked<void> cover(const Keys& keys, const lang::Document& plan) {
    return keys.cover(plan, test::empty_state(), {sealing::key_id(session.public_key()), sealers});
  }
  void expect_refused(const lang::Checked<void>& covered, const std::string& why) {
    ASSERT_FALSE(covered);
    EXPECT_EQ(covered.error().rule, lang::Rule::kAuthority);
    EXPECT_EQ(covered.error().line, 6u);
    EXPECT_NE(covered.error().why.find(why), std::string::npos) << covered.error().why;
  }

  SecretArena arena = SecretArena::make().value();
  sealing::Session session = sealing::Session::make(arena).value();
  std::vector<Digest> sealers = {test::Key().public_key()};
  std::string content_text = "what is in the drive";
  lang::Statement volume = test::make(Sign::kAdd, Word::kVolume, test::instance(), {2048, 1}, {}, "acme");
};

TEST_F(KeysOfAPlan, AreBothNeededWhereOneTakesTheOthersPlace) {
  const lang::Statement rekey = test::make(Sign::kMove, Word::kVolume, test::instance(), {1, 2});
  EXPECT_EQ(needs_of(rekey, kNode, kGeneration), (std::vector<Label>{key_label(1), key_label(2)}));
  const auto plan = plan_of({rekey});
  expect_refused(cover(keys_of({sealed(key_label(1))}), plan), "acme/2");
  expect_refused(cover(keys_of({sealed(key_label(2))}), plan), "acme/1");
  const auto both = keys_of({sealed(key_label(1)), sealed(key_label(2))});
  EXPECT_TRUE(cover(both, plan));
  EXPECT_EQ(both.for_statement(rekey, kNode, kGeneration).size(), 2u);
  EXPECT_TRUE(needs_of(test::make(Sign::kMove, Word::kJail, test::instance(), {0, 1}), kNode, kGeneration).empty());
}

TEST_F(KeysOfAPlan, AreNeededByWhatIsMadeWithOneAlone) {
  for (const auto& statement : test::one_of_each(Sign::kAdd)) {
    const auto needs = needs_of(statement, kNode, kGeneration);
    const bool has_key = statement.word == Word::kVolume || statement.word == Word::kLuksOpen || statement.word == Word::kSnapshot || statement.word == Word::kBase;
    const bool has_content = statement.word == Word::kSecrets || statement.word == Word::kConfig;
    ASSERT_EQ(needs.size(), has_key || has_content ? 1u : 0u) << lang::print(statement);
    if (has_key) {
      EXPECT_EQ(needs[0], key_label());
    }
    if (has_content) {
      EXPECT_EQ(needs[0].digest, statement.digests[0]);
    }
  }
  for (const auto& statement : test::one_of_each(Sign::kRemove)) EXPECT_TRUE(needs_of(statement, kNode, kGeneration).empty());
  EXPECT_TRUE(needs_of(test::make(Sign::kAdd, Word::kVolume, test::instance(), {2048, 0}), kNode, kGeneration).empty()) << "key=none";
}

// It is the storage worker and the verifier that refuse it; what is looked for has the name that the statement says.
TEST_F(KeysOfAPlan, AreOfTheTenantAndTheVersionThatTheStatementNames) {
  const auto needs = needs_of(test::make(Sign::kAdd, Word::kLuksOpen, test::instance(), {7}, {}, "bolt"), kNode, kGeneration);
  ASSERT_EQ(needs.size(), 1u);
  EXPECT_EQ(needs[0].tenant.view(), "bolt");
  EXPECT_EQ(needs[0].version, 7u);
}

// So no undo ever needs a key: what cannot be made again without one is never made again.
TEST_F(KeysOfAPlan, AreNeverNeededByAnUndo) {
  for (const auto& statement : test::one_of_each(Sign::kRemove)) {
    lang::Statement again = statement;
    again.sign = Sign::kAdd;
    if (needs_of(again, kNode, kGeneration).empty()) continue;
    EXPECT_TRUE(lang::row(statement.word).irreversible) << lang::print(statement);
  }
}

TEST_F(KeysOfAPlan, CoverItWithAnEnvelopeForEachNeed) {
  Label secrets = key_label(0);
  secrets.purpose = Purpose::kSecrets;
  secrets.digest = sha256(content_text);
  const auto key = sealed(key_label()), content = sealed(secrets);
  const Keys keys = keys_of({key, content});
  const auto drive = test::make(Sign::kAdd, Word::kSecrets, test::instance(), {1}, {secrets.digest});
  EXPECT_TRUE(cover(keys, plan_of({volume, drive})));
  EXPECT_EQ(keys.for_statement(volume, kNode, kGeneration), Envelopes{key});
  EXPECT_EQ(keys.for_statement(drive, kNode, kGeneration), Envelopes{content});
  auto removal = volume;
  removal.sign = Sign::kRemove;
  EXPECT_TRUE(keys.for_statement(removal, kNode, kGeneration).empty());
}

TEST_F(KeysOfAPlan, AreRefusedWhereOneIsMissing) {
  expect_refused(cover(Keys(), plan_of({volume})), "no envelope with it");
  expect_refused(cover(keys_of({sealed(key_label(2))}), plan_of({volume})), "no envelope with it");
  EXPECT_TRUE(cover(Keys(), plan_of({}))) << "a plan that needs none";
}

TEST_F(KeysOfAPlan, AreRefusedForAnotherNodeTenantOrGeneration) {
  for (const auto& change : {+[](Label& l) { l.node = *Name::from("node-8"); }, +[](Label& l) { l.tenant = *Name::from("bolt"); },
                             +[](Label& l) { --l.generation; }, +[](Label& l) { ++l.generation; }}) {
    Label other = key_label();
    change(other);
    expect_refused(cover(keys_of({sealed(other)}), plan_of({volume})), "no envelope with it");
  }
}

TEST_F(KeysOfAPlan, AreRefusedWhereTheyAreSealedToAnotherStart) {
  const auto another = sealing::Session::make(arena).value();
  expect_refused(cover(keys_of({sealed(key_label(), test::Key(), &another.public_key())}), plan_of({volume})), "another start");
}

TEST_F(KeysOfAPlan, AreRefusedWhereNobodyWhoMaySealSignedThem) {
  expect_refused(cover(keys_of({sealed(key_label(), test::Key(1))}), plan_of({volume})), "nobody whom");
  // Signed by a stranger in a sealer's name.
  const auto stranger = test::Key(1);
  const auto sign = [&](std::string_view bytes) -> Result<sealing::Signature> { return stranger.sign(bytes); };
  const std::vector<std::uint8_t> key(sealing::kTenantKeyBytes, 7);
  const auto forged = sealing::seal(arena, key_label(), session.public_key(), test::Key().public_key().bytes, sign, key).value();
  expect_refused(cover(keys_of({forged}), plan_of({volume})), "nobody whom");
  auto changed = sealed(key_label());
  changed[sealing::kHeaderBytes] ^= 1;
  expect_refused(cover(keys_of({changed}), plan_of({volume})), "nobody whom");
}

TEST_F(KeysOfAPlan, MayBeSealedByWhoMaySignNoProjection) {
  const NodePolicy policy = read_node_policy(test::parsed(lang::Kind::kPolicy, test::policy_text()));
  EXPECT_EQ(policy.coordinators, std::vector{test::Key().public_key()});
  sealers = policy.sealers;
  for (const std::uint8_t who : {std::uint8_t{0}, std::uint8_t{2}}) EXPECT_TRUE(cover(keys_of({sealed(key_label(), test::Key(who))}), plan_of({volume}))) << +who;
  expect_refused(cover(keys_of({sealed(key_label(), test::Key(1))}), plan_of({volume})), "nobody whom");
}

TEST_F(KeysOfAPlan, AreRefusedWhereTheNodeHasNoIdentity) {
  const auto refused = keys_of({sealed(key_label())}).cover(plan_of({volume}), test::empty_state(), {std::nullopt, sealers});
  expect_refused(refused, "no identity");
}

TEST_F(KeysOfAPlan, AreNotLookedAtWhereNobodyNeedsThem) {
  EXPECT_TRUE(cover(keys_of({sealed(key_label()), sealed(key_label(2), test::Key(1))}), plan_of({volume})));
}

TEST_F(KeysOfAPlan, AreStillThereWhenTheyHaveMoved) {
  const auto envelope = sealed(key_label());
  Keys keys = keys_of({envelope});
  const Keys moved = std::move(keys);
  EXPECT_EQ(moved.for_statement(volume, kNode, kGeneration), Envelopes{envelope});
}

TEST_F(KeysOfAPlan, AreNoBundleWhereTheyAreNotOfItsForm) { EXPECT_FALSE(Keys::read("mvmkeys1")); }

}  // namespace
}  // namespace mvm::supervisor
