#include "planner/keys.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "planner/compile.h"
#include "planner/executed.h"
#include "planner/files.h"
#include "planner/offer.h"
#include "sealing/bundle.h"
#include "tests/planner/texts.h"
#include "tests/schemas/samples.h"
#include "tests/sealing/samples.h"

namespace mvm::planner {
namespace {

using lang::Sign;
using lang::Word;

class EnvelopesOfADirectory : public testing::Test {
 protected:
  void SetUp() override {
    directory = testing::TempDir() + "keys-" + std::to_string(getpid());
    std::filesystem::create_directories(directory);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }
  std::vector<std::uint8_t> sealed(const sealing::Label& label) { return test::sealed(arena, label, session.public_key(), test::kTenantKey); }
  void put(const std::string& name, const std::vector<std::uint8_t>& bytes) const {
    ASSERT_TRUE(replace_file(directory + "/" + name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, 0600));
  }
  Envelopes envelopes() { return Envelopes({*Name::from("node-7"), 42, sealing::key_id(session.public_key())}, {"", directory}); }

  std::string directory;
  SecretArena arena = SecretArena::make().value();
  sealing::Session session = sealing::Session::make(arena).value();
  lang::Statement volume = test::make(Sign::kAdd, Word::kVolume, test::instance(), {2048, 1}, {}, "acme");
  lang::Statement opened = test::make(Sign::kAdd, Word::kLuksOpen, test::instance(), {1}, {}, "acme");
  const std::string usual = envelope_name(test::key_label());
};

TEST_F(EnvelopesOfADirectory, GoIntoTheBundleOnceEach) {
  put(usual, sealed(test::key_label()));
  Envelopes there = envelopes();
  EXPECT_FALSE(there.hinders(volume));
  EXPECT_FALSE(there.hinders(opened));
  const auto bundle = there.bundle({volume, opened}).value();
  const auto read = sealing::read_bundle(bundle).value();
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].label, test::key_label());
  EXPECT_TRUE(there.missing().empty());
}

TEST_F(EnvelopesOfADirectory, AreMissedByTheirLabels) {
  Envelopes there = envelopes();
  EXPECT_NE(there.hinders(volume).value_or("").find("key acme/1"), std::string::npos);
  EXPECT_EQ(there.missing(), std::set{test::key_label()});
  EXPECT_TRUE(there.bundle({volume, opened}).value().empty());
}

TEST_F(EnvelopesOfADirectory, AreNotAskedForByWhatNeedsNone) {
  Envelopes there = envelopes();
  volume.sign = Sign::kRemove;
  EXPECT_FALSE(there.hinders(volume));
  EXPECT_TRUE(there.missing().empty());
}

TEST_F(EnvelopesOfADirectory, AreNamedByTheirLabels) {
  EXPECT_EQ(envelope_name(test::key_label(3)), "key.acme.3.42.sealed");
  EXPECT_EQ(envelope_name(test::content_label(sealing::Purpose::kSecrets, "x")), "secrets.acme." + to_hex(sha256("x").bytes) + ".42.sealed");
}

TEST_F(EnvelopesOfADirectory, CountAsNoneWhereHostdWouldRefuseThem) {
  put(usual, sealed(test::key_label(2)));
  EXPECT_TRUE(envelopes().hinders(volume)) << "another label under that name";
  const auto other = sealing::Session::make(arena).value();
  put(usual, test::sealed(arena, test::key_label(), other.public_key(), test::kTenantKey));
  EXPECT_TRUE(envelopes().hinders(volume)) << "sealed to another start";
  put(usual, {1, 2, 3});
  EXPECT_TRUE(envelopes().hinders(volume)) << "no envelope";
  put(usual, std::vector<std::uint8_t>(sealing::kMaxEnvelope + 1));
  EXPECT_TRUE(envelopes().hinders(volume)) << "longer than any";
  put("elsewhere", sealed(test::key_label()));
  std::filesystem::remove(directory + "/" + usual);
  std::filesystem::create_symlink(directory + "/elsewhere", directory + "/" + usual);
  EXPECT_TRUE(envelopes().hinders(volume)) << "a link";
  std::filesystem::rename(directory + "/elsewhere", directory + "/" + usual);
  EXPECT_FALSE(envelopes().hinders(volume)) << "the same, not by a link";
}

TEST_F(EnvelopesOfADirectory, CountAsNoneWhereHostdOffersNothing) {
  put(usual, sealed(test::key_label()));
  Envelopes there({*Name::from("node-7"), 42, std::nullopt}, {directory});
  EXPECT_NE(there.hinders(volume).value_or("").find("no identity"), std::string::npos);
  EXPECT_TRUE(there.bundle({volume}).value().empty());
}

class CheckedOffer : public testing::Test {
 protected:
  std::vector<std::uint8_t> offered(std::uint64_t start) const {
    auto bytes = sealing::to_be_signed({node, start, sealing::PublicKey{1}});
    const Signature signature = sign(identity.private_pem, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}).value();
    bytes.insert(bytes.end(), signature.begin(), signature.end());
    return bytes;
  }
  Name node = *Name::from("node-7");
  KeyPair identity = generate_key().value(), other = generate_key().value();
};

TEST_F(CheckedOffer, IsSignedByTheNodesIdentityAndForItsName) {
  const auto bytes = offered(3);
  EXPECT_EQ(check_offer(bytes, identity.public_key, node).value().start, 3u);
  EXPECT_EQ(check_offer(bytes, other.public_key, node).error().code, Errc::kDenied);
  EXPECT_EQ(check_offer(bytes, identity.public_key, *Name::from("node-8")).error().code, Errc::kDenied);
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    auto changed = bytes;
    changed[at] ^= 1;
    EXPECT_FALSE(check_offer(changed, identity.public_key, node)) << at;
  }
}

TEST_F(CheckedOffer, IsOfNoOlderStartThanWasSeen) {
  const std::string file = testing::TempDir() + "starts-" + std::to_string(getpid());
  const auto note = [&](std::uint64_t start) { return note_start({node, start, {}}, file); };
  EXPECT_TRUE(note(3));
  EXPECT_TRUE(note(3));
  EXPECT_EQ(note(2).error().code, Errc::kDenied);
  EXPECT_TRUE(note(4));
  EXPECT_EQ(note(3).error().code, Errc::kDenied);
  for (const char* spoilt : {"4", "\n", "x\n", "4 \n", "99999999999999999999\n"}) {
    std::ofstream(file) << spoilt;
    EXPECT_EQ(note(5).error().code, Errc::kMalformed) << "half of a file says nothing: " << spoilt;
  }
  std::ofstream(file) << "000000000000000000004\n";
  EXPECT_FALSE(note(5)) << "longer than any that was written here";
  std::filesystem::remove(file);
}

// An instance whose key is not there stays as it is; the others go on.
TEST(CompileWithKeys, LeavesOutWhatHasNoKeyAndSaysSo) {
  const auto policy = test::parsed(lang::Kind::kPolicy, test::policy_text(std::string(64, '1')));
  const auto wanted = test::parsed(lang::Kind::kProjection, test::projection_text(4, test::kPrune + test::tenant("acme", 3) + test::pool("acme/db", {.running = 3, .data = 16}) +
                                                                                         test::tenant("bolt", 4) + test::pool("bolt/web", {.running = 2})));
  const auto empty = test::empty_state();
  const Inputs inputs{empty, wanted, policy, kExecuted, 1};
  const auto instances = [](const Compiled& compiled, Word word, const char* tenant) {
    return std::ranges::count_if(compiled.plan.statements, [&](const auto& line) { return line.word == word && line.subject.tenant.view() == tenant; });
  };
  ASSERT_EQ(instances(compile(inputs), Word::kLuksOpen, "acme"), 3);
  const Compiled compiled = compile(inputs, [&](const lang::Statement& line) -> std::optional<std::string> {
    if (line.word != Word::kLuksOpen) return std::nullopt;
    return "it waits";
  });
  for (const Word word : {Word::kCgroup, Word::kVolume, Word::kLuksOpen, Word::kTap, Word::kJail}) EXPECT_EQ(instances(compiled, word, "acme"), 0);
  EXPECT_EQ(instances(compiled, Word::kJail, "bolt"), 2);
  EXPECT_EQ(std::ranges::count(compiled.notes, "it waits", &Note::text), 3);
}

}  // namespace
}  // namespace mvm::planner
