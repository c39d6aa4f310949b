// Whole rounds: what agentd misses in, envelopes out that hostd's session opens.
#include "vault/round.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "planner/files.h"
#include "planner/offer.h"
#include "sealing/seal.h"
#include "sealing/wanted.h"
#include "tests/vault/samples.h"

namespace mvm::vault {
namespace {

using sealing::Label;
using test::VaultServer;

std::string_view text_of(sealing::Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

class Rounds : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(use_secure_heap());
    directory = testing::TempDir() + "rounds-" + std::to_string(getpid());
    std::filesystem::create_directories(directory + "/sealed");
    places = {directory + "/wanted", directory + "/sealed", directory + "/start"};
    VaultServer::Ways ways{authority.issue(test::kServerName), authority.certificate(), true, VaultServer::Way::kVault, false, 0, &test::key_in_vault};
    server.emplace(std::move(ways));
    config = parse_config(test::config_text(server->port(), false, to_hex(identity.public_key))).value();
    certificates.emplace(test::certificates_of(arena, authority.certificate(), authority.issue("node-7")));
    signer.emplace(Signer::of(test::secret_of(arena, std::string(32, 's'))).value());
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  std::vector<std::uint8_t> offer(const sealing::Session& to, std::uint64_t start, const char* node = "node-7") const {
    auto bytes = sealing::to_be_signed({*Name::from(node), start, to.public_key()});
    const auto signature = planner::sign(identity.private_pem, text_of(bytes)).value();
    bytes.insert(bytes.end(), signature.begin(), signature.end());
    return bytes;
  }
  static Label key(const char* tenant, std::uint32_t version = 1, std::uint64_t generation = 42) {
    return {*Name::from("node-7"), sealing::Purpose::kTenantKey, *Name::from(tenant), version, {}, generation};
  }
  void want(const std::vector<Label>& labels, const std::vector<std::uint8_t>& offered, std::uint64_t generation = 42) const {
    const auto bytes = sealing::write_wanted(offered, generation, labels).value();
    ASSERT_TRUE(planner::replace_file(places.wanted, text_of(bytes), 0644));
  }
  Report serve() { return serve_round({config, *certificates, *signer, arena, places, {2'000, 3'000}}); }
  [[nodiscard]] std::string path(const Label& label) const { return places.sealed + "/" + sealing::envelope_name(label); }
  [[nodiscard]] std::string opened(const Label& label, const sealing::Session& by) const {
    const auto text = planner::read_file(AT_FDCWD, path(label), sealing::kMaxEnvelope);
    if (!text) return text.error().message();
    const sealing::Bytes bytes(reinterpret_cast<const std::uint8_t*>(text->data()), text->size());
    const auto envelope = sealing::read_envelope(bytes);
    if (!envelope || !planner::signed_by(signer->public_key(), text_of(envelope->signed_bytes), envelope->signature)) return "not signed";
    const auto secret = by.open(label, bytes);
    return secret ? std::string(text_of(secret->bytes())) : secret.error().message();
  }
  [[nodiscard]] std::size_t asked() const { return server->requests().size(); }

  SecretArena arena = SecretArena::make().value();
  sealing::Session session = sealing::Session::make(arena).value(), later = sealing::Session::make(arena).value();
  planner::KeyPair identity = planner::generate_key().value();
  test::Authority authority;
  std::string directory;
  Places places;
  std::optional<VaultServer> server;
  Config config;
  std::optional<Certificates> certificates;
  std::optional<Signer> signer;
};

TEST_F(Rounds, SealWhatIsMissedToHostdAndSignIt) {
  want({key("acme", 1), key("acme", 2), key("bolt")}, offer(session, 1));
  const Report report = serve();
  EXPECT_TRUE(report.good()) << to_json(report);
  EXPECT_EQ(report.sealed.size(), 3u);
  EXPECT_EQ(opened(key("acme", 2), session), test::key_in_vault("acme", "2"));
  EXPECT_EQ(opened(key("bolt"), session), test::key_in_vault("bolt", "1"));
  EXPECT_EQ(server->tokens(), 0u);
  EXPECT_EQ(to_json(report), "{\n  \"outcome\": \"good\",\n  \"generation\": 42,\n  \"failure\": null,\n  \"missed\": []\n}\n");
}

TEST_F(Rounds, AskForNothingThatIsSealedAlready) {
  want({key("acme")}, offer(session, 1));
  ASSERT_TRUE(serve().good());
  const std::size_t before = asked();
  EXPECT_TRUE(serve().good());
  EXPECT_EQ(asked(), before);
  // What is there and is no such envelope is none.
  ASSERT_TRUE(planner::replace_file(path(key("acme")), "x", 0644));
  EXPECT_TRUE(serve().good());
  EXPECT_EQ(opened(key("acme"), session), test::key_in_vault("acme", "1"));
}

TEST_F(Rounds, HaveNothingToDoWhereNothingIsWanted) {
  EXPECT_TRUE(serve().good());
  want({}, offer(session, 1));
  EXPECT_TRUE(serve().good());
  Label secrets = key("acme", 0);
  secrets.purpose = sealing::Purpose::kSecrets;
  secrets.digest = sha256("content");
  want({secrets}, offer(session, 1));
  EXPECT_TRUE(serve().good());
  EXPECT_EQ(asked(), 0u) << "content is not a vault's";
}

TEST_F(Rounds, GoOnWhereOneKeyIsNotThere) {
  want({key("acme"), key("denied"), key("nobody"), key("zeta")}, offer(session, 1));
  const Report report = serve();
  EXPECT_FALSE(report.failure);
  ASSERT_EQ(report.missed.size(), 2u);
  EXPECT_EQ(report.missed[0].failure.problem, Problem::kDenied);
  EXPECT_EQ(report.missed[1].failure.problem, Problem::kNotFound);
  EXPECT_EQ(opened(key("zeta"), session), test::key_in_vault("zeta", "1"));
  EXPECT_NE(to_json(report).find("\"label\": \"key nobody/1\""), std::string::npos) << to_json(report);
  EXPECT_NE(to_json(report).find("\"outcome\": \"misses\""), std::string::npos);
}

TEST_F(Rounds, StopWhereItIsTheServerThatFails) {
  want({key("acme"), key("broken"), key("zeta")}, offer(session, 1));
  const Report report = serve();
  EXPECT_EQ(report.failure.value_or(Failure{}).problem, Problem::kServerError);
  ASSERT_EQ(report.missed.size(), 2u);
  EXPECT_EQ(report.missed[1].label, key("zeta"));
  EXPECT_EQ(server->requests().back(), "GET secret/data/mvm/broken?version=1");
  server->change(VaultServer::Way::kSealed);
  EXPECT_EQ(serve().failure.value_or(Failure{}).problem, Problem::kSealed);
}

TEST_F(Rounds, TrustNoOfferButThisNodesAndNoOlderStart) {
  want({key("acme")}, offer(session, 5));
  ASSERT_TRUE(serve().good());
  const std::size_t before = asked();
  const auto refused = [&](const std::vector<std::uint8_t>& offered) {
    want({key("bolt")}, offered);
    const Report report = serve();
    return report.failure && report.failure->problem == Problem::kHere && report.sealed.empty() && !std::filesystem::exists(path(key("bolt")));
  };
  EXPECT_TRUE(refused(offer(session, 4))) << "a start that is over";
  auto forged = offer(later, 6);
  forged.back() ^= 1;
  EXPECT_TRUE(refused(forged)) << "not signed by the identity";
  config.node = *Name::from("node-8");
  EXPECT_TRUE(refused(offer(later, 6))) << "another node's";
  EXPECT_EQ(asked(), before) << "the vault is not even asked";
  ASSERT_TRUE(planner::replace_file(places.wanted, "x", 0644));
  EXPECT_TRUE(serve().failure) << "no such file";
}

TEST_F(Rounds, SealAnewForAnotherStartAndTakeAwayWhatIsOver) {
  want({key("acme"), key("bolt")}, offer(session, 1));
  ASSERT_TRUE(serve().good());
  ASSERT_TRUE(planner::replace_file(places.sealed + "/status.json", "{}", 0644));
  want({key("acme")}, offer(later, 2));
  ASSERT_TRUE(serve().good());
  EXPECT_EQ(opened(key("acme"), later), test::key_in_vault("acme", "1"));
  EXPECT_FALSE(std::filesystem::exists(path(key("bolt"))));
  want({key("acme", 1, 43)}, offer(later, 2), 43);
  ASSERT_TRUE(serve().good());
  EXPECT_EQ(opened(key("acme", 1, 43), later), test::key_in_vault("acme", "1"));
  EXPECT_FALSE(std::filesystem::exists(path(key("acme"))));
  EXPECT_TRUE(std::filesystem::exists(places.sealed + "/status.json"));
}

TEST_F(Rounds, SealAnewWhatAnotherSignerSealed) {
  want({key("acme")}, offer(session, 1));
  ASSERT_TRUE(serve().good());
  signer.emplace(Signer::of(test::secret_of(arena, std::string(32, 't'))).value());
  ASSERT_EQ(opened(key("acme"), session), "not signed");
  ASSERT_TRUE(serve().good());
  EXPECT_EQ(opened(key("acme"), session), test::key_in_vault("acme", "1"));
}

// What agentd does not miss any more, it may need again.
TEST_F(Rounds, KeepWhatIsStillGood) {
  want({key("acme")}, offer(session, 1));
  ASSERT_TRUE(serve().good());
  want({}, offer(session, 1));
  ASSERT_TRUE(serve().good());
  EXPECT_EQ(opened(key("acme"), session), test::key_in_vault("acme", "1"));
}

TEST_F(Rounds, SayWhereAnEnvelopeCannotBeWritten) {
  want({key("acme")}, offer(session, 1));
  places.sealed = directory + "/none";
  const Report report = serve();
  ASSERT_EQ(report.missed.size(), 1u);
  EXPECT_EQ(report.missed[0].failure.problem, Problem::kHere);
}

TEST_F(Rounds, SignWithAKeyOf32BytesAlone) {
  for (const std::size_t size : {31, 33}) {
    const auto none = Signer::of(test::secret_of(arena, std::string(size, 's')));
    ASSERT_FALSE(none) << size;
    EXPECT_EQ(none.error().code, Errc::kMalformed);
  }
}

}  // namespace
}  // namespace mvm::vault
