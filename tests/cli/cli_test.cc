// The program as people run it: what it prints and how it exits.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/owned.h"
#include "planner/files.h"
#include "planner/signing.h"
#include "drive/files.h"
#include "sealing/offer.h"
#include "sealing/seal.h"
#include "tests/planner/texts.h"

namespace mvm {
namespace {

struct Ran {
  int exit = -1;
  std::string out;
};

Ran run(const std::string& arguments) {
  Ran ran;
  FILE* const pipe = popen((MVM_BINARY " " + arguments + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer;
  std::size_t count = 0;
  while ((count = fread(buffer.data(), 1, buffer.size(), pipe)) > 0) ran.out.append(buffer.data(), count);
  const int status = pclose(pipe);
  ran.exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ran;
}

class Mvm : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = ::testing::TempDir() + "mvm-cli-" + std::to_string(getpid()) + "/";
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directory(dir_);
    put("policy", test::policy_text());
    put("state", lang::print(test::empty_state()));
    put("p1", test::projection_text(1, test::kPrune + test::tenant("acme", 3) + test::pool("acme/web", {.running = 2})));
    put("p2", test::projection_text(2, test::kPrune + test::tenant("acme", 3) + test::pool("acme/web", {.running = 1})));
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  void put(const std::string& name, const std::string& text) { ASSERT_TRUE(planner::replace_file(dir_ + name, text, 0600)); }
  std::string at(const std::string& name) { return dir_ + name; }
  std::string offline(const std::string& projection) {
    return " --projection " + at(projection) + " --policy " + at("policy") + " --state " + at("state");
  }
  std::string dir_;
};

TEST_F(Mvm, CollectsNoImageWhereThereAreNoProjectionsToAsk) {
  std::filesystem::create_directories(at("state-dir/images"));
  std::filesystem::create_directories(at("state-dir/records"));
  const std::string collect = "image --state-dir " + at("state-dir") + " collect --older-than 0 --desired " + at("desired");
  const Ran none = run(collect);
  EXPECT_EQ(none.exit, 2) << none.out;
  EXPECT_NE(none.out.find("nothing is collected: there is no directory of projections at " + at("desired")), std::string::npos) << none.out;
  std::filesystem::create_directory(at("desired"));
  EXPECT_EQ(run(collect).exit, 0);
}

TEST_F(Mvm, MakesAPlanThatItsOwnCheckAccepts) {
  const Ran made = run("plan make" + offline("p1"));
  ASSERT_EQ(made.exit, 0) << made.out;
  put("plan", made.out);
  const Ran checked = run("plan check " + at("plan") + offline("p1"));
  EXPECT_EQ(checked.exit, 0) << checked.out;
  EXPECT_NE(checked.out.find("accepted: 7 statements"), std::string::npos) << checked.out;  // a bridge, two of cgroup, tap, jail
}

TEST_F(Mvm, RefusesAnUnauthorisedPlanWithRuleLineAndRemedy) {
  put("plan", run("plan make" + offline("p1")).out);
  std::string text = planner::read_file(-100, at("plan"), 1 << 20).value();
  text.replace(text.find("vcpus=1"), 7, "vcpus=2");
  put("plan", text);
  const Ran torn = run("plan check " + at("plan") + offline("p1"));
  EXPECT_EQ(torn.exit, 1);
  EXPECT_NE(torn.out.find("V1 form"), std::string::npos) << torn.out;
  put("plan", run("plan fmt " + at("plan")).out);
  const Ran refused = run("plan check " + at("plan") + offline("p1") + " --json");
  EXPECT_EQ(refused.exit, 1);
  const auto json = nlohmann::json::parse(refused.out);
  EXPECT_EQ(json["rule"], "V5 authority");
  EXPECT_GT(json["line"], 5);
  EXPECT_FALSE(json["remedy"].get<std::string>().empty());
}

TEST_F(Mvm, DiffExitsAsDiffDoes) {
  put("plan1", run("plan make" + offline("p1")).out);
  put("plan2", run("plan make" + offline("p2")).out);
  EXPECT_EQ(run("plan diff " + at("plan1") + " " + at("plan1")).exit, 0);
  const Ran different = run("plan diff " + at("plan1") + " " + at("plan2"));
  EXPECT_EQ(different.exit, 1);
  EXPECT_NE(different.out.find("< + jail acme/web/"), std::string::npos) << different.out;
  EXPECT_EQ(run("plan diff " + at("plan1") + " " + at("nothing")).exit, 2);
  EXPECT_EQ(run("plan diff " + at("plan1") + " " + at("state")).exit, 2);
  const Ran host = run("plan diff " + at("plan1") + " --state " + at("state"));
  EXPECT_EQ(host.exit, 1);
  EXPECT_NE(host.out.find("> bridge acme net=3"), std::string::npos) << host.out;
}

TEST_F(Mvm, ReadsLinksAndPipesAsPeopleNameThem) {
  put("plan", run("plan make" + offline("p1")).out);
  std::filesystem::create_symlink(at("plan"), at("link"));
  EXPECT_EQ(run("plan show " + at("link")).exit, 0);
  EXPECT_EQ(run("plan show /dev/stdin < " + at("plan")).exit, 0);
  EXPECT_EQ(run("plan show - < " + at("plan")).exit, 0);
}

TEST_F(Mvm, KeysSignAndVerify) {
  const Ran made = run("keygen " + at("key"));
  ASSERT_EQ(made.exit, 0) << made.out;
  ASSERT_EQ(made.out.size(), 8 + 64 + 1u);
  const std::string key = made.out.substr(0, made.out.size() - 1);
  EXPECT_EQ(run("keygen " + at("key")).exit, 2) << "a key is never overwritten";
  EXPECT_EQ(run("sign " + at("p1") + " --key " + at("key")).exit, 0);
  EXPECT_EQ(run("verify " + at("p1") + " --key " + key).exit, 0);
  EXPECT_EQ(run("verify " + at("p2") + " --key " + key + " --signature " + at("p1.sig")).exit, 1);
  put("draft", "mvm-projection 1\n");
  EXPECT_EQ(run("sign " + at("draft") + " --key " + at("key")).exit, 1) << "what does not parse is not signed";
}

// A node's identity as a script has it, and the offer that its hostd would make.
struct PlayedNode {
  planner::PublicKey identity{};
  hpke::Key session = hpke::generate().value();
  std::vector<std::uint8_t> offer(const std::string& raw_identity, std::uint64_t start) const {
    auto bytes = sealing::to_be_signed({*Name::from("node-7"), start, hpke::public_of(session).value()});
    const hpke::Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(raw_identity.data()), raw_identity.size()));
    const Owned<EVP_MD_CTX, &EVP_MD_CTX_free> context(EVP_MD_CTX_new());
    sealing::Signature signature{};
    std::size_t size = signature.size();
    EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get());
    EVP_DigestSign(context.get(), signature.data(), &size, bytes.data(), bytes.size());
    bytes.insert(bytes.end(), signature.begin(), signature.end());
    return bytes;
  }
};

class MvmKey : public Mvm {
 protected:
  void SetUp() override {
    Mvm::SetUp();
    const Ran made = run("key identity " + at("identity"));
    ASSERT_EQ(made.exit, 0) << made.out;
    offer_of(2);
    ASSERT_EQ(run("keygen " + at("signer")).exit, 0);
    put("key", key);
    std::filesystem::create_directory(at("sealed"));
    trust = " --offer " + at("offer") + " --identity " + made.out.substr(0, made.out.size() - 1) + " --node node-7 --starts " + at("starts");
    seal = "key seal" + trust + " --signer " + at("signer") + " --tenant acme --version 1 --generation 42 --out " + at("sealed");
  }
  void offer_of(std::uint64_t start) {
    const auto bytes = node.offer(planner::read_file(AT_FDCWD, at("identity"), 32).value(), start);
    put("offer", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  std::string envelope() { return at("sealed/key.acme.1.42.sealed"); }
  PlayedNode node;
  std::string key = std::string(31, 'k') + '\n', trust, seal;
};

TEST_F(MvmKey, SealsToTheOfferOfANodeThatItKnows) {
  EXPECT_EQ(run("key identity " + at("identity")).exit, 2) << "an identity is never overwritten";
  EXPECT_EQ(run("key check" + trust).exit, 0);
  ASSERT_EQ(run(seal + " --from " + at("key")).out, envelope() + "\n");
  const std::string bytes = planner::read_file(AT_FDCWD, envelope(), sealing::kMaxEnvelope).value();
  const std::vector<std::uint8_t> whole(bytes.begin(), bytes.end());
  const auto read = sealing::read_envelope(whole).value();
  EXPECT_EQ(to_string(read.label), "key acme/1");
  EXPECT_EQ(read.label.generation, 42u);
  const auto signer = planner::public_of(planner::read_file(AT_FDCWD, at("signer"), planner::kMaxPem).value()).value();
  EXPECT_TRUE(planner::signed_by(signer, {reinterpret_cast<const char*>(read.signed_bytes.data()), read.signed_bytes.size()}, read.signature));
  const auto opened = hpke::open(SecretArena::make().value(), node.session, read.enc, read.info, read.aad, read.ciphertext);
  ASSERT_TRUE(opened);
  EXPECT_EQ(std::string(opened->bytes().begin(), opened->bytes().end()), key);
}

TEST_F(MvmKey, SealsWhatComesOnStandardInput) {
  EXPECT_EQ(run(seal + " < " + at("key")).exit, 0);
  EXPECT_TRUE(std::filesystem::exists(envelope()));
}

TEST_F(MvmKey, SealsToNoNodeThatItDoesNotKnow) {
  EXPECT_EQ(run(seal + " --from " + at("key") + " --node node-8").exit, 2) << "said twice";
  std::string other = seal;
  other.replace(other.find("--node node-7"), 13, "--node node-8");
  EXPECT_EQ(run(other + " --from " + at("key")).exit, 1);
  std::string stranger = seal;
  stranger.replace(stranger.find("ed25519:") + 8, 64, std::string(64, 'a'));
  EXPECT_EQ(run(stranger + " --from " + at("key")).exit, 1);
  EXPECT_FALSE(std::filesystem::exists(envelope()));
}

TEST_F(MvmKey, SealsToNoOlderStartThanItHasSeen) {
  EXPECT_EQ(run("key check" + trust).exit, 0);
  offer_of(1);
  EXPECT_EQ(run("key check" + trust).exit, 1);
  EXPECT_EQ(run(seal + " --from " + at("key")).exit, 1);
  EXPECT_FALSE(std::filesystem::exists(envelope()));
  offer_of(3);
  EXPECT_EQ(run(seal + " --from " + at("key")).exit, 0);
}

TEST_F(MvmKey, TakesNoKeyThatOthersMayReadOrThatIsNone) {
  std::filesystem::permissions(at("key"), std::filesystem::perms{0640});
  EXPECT_EQ(run(seal + " --from " + at("key")).exit, 1);
  put("key", key + "k");
  EXPECT_NE(run(seal + " --from " + at("key")).exit, 0) << "33 bytes";
  put("key", key.substr(1));
  EXPECT_NE(run(seal + " --from " + at("key")).exit, 0) << "31 bytes";
  EXPECT_FALSE(std::filesystem::exists(envelope()));
}

TEST_F(MvmKey, SealsWhatADriveCarriesByItsDigest) {
  std::string content = seal;
  content.replace(content.find("--version 1"), 11, "--secrets " + at("content"));
  put("content", key);
  EXPECT_EQ(run(content).exit, 2) << "no drive could be made of that";
  std::filesystem::remove(at("content"));
  std::filesystem::create_directory(at("files"));
  put("files/token", "hunter2");
  put("single", "1");
  const Ran packed = run("drive pack " + at("files") + " " + at("single") + " --out " + at("content"));
  ASSERT_EQ(packed.exit, 0) << packed.out;
  const auto bytes = planner::read_file(AT_FDCWD, at("content"), drive::kMaxContent).value();
  EXPECT_EQ(packed.out, to_string(sha256(bytes)) + "\n");
  EXPECT_EQ(bytes, std::string("MVMFILE1\0\2" "\6single\0\0\0\1" "1" "\5token\0\0\0\7hunter2", 8 + 2 + 7 + 4 + 1 + 6 + 4 + 7)) << "as docs/drives.md has it";
  EXPECT_EQ(run(content).out, at("sealed/secrets.acme." + to_hex(sha256(bytes).bytes) + ".42.sealed") + "\n");
  EXPECT_EQ(run(content + " --version 1").exit, 2);
}

TEST_F(Mvm, PacksNothingThatADriveCannotCarryAndOverwritesNothing) {
  const auto pack = [&](const std::string& what) { return run("drive pack " + at(what) + " --out " + at("out")).exit; };
  put("bad name", "x");
  EXPECT_EQ(run("drive pack '" + at("bad name") + "' --out " + at("out")).exit, 2);
  EXPECT_EQ(pack("nothing"), 2);
  std::filesystem::create_symlink(at("policy"), at("link"));
  EXPECT_EQ(pack("link"), 2);
  put("large", std::string(drive::kMaxContent - 8 - 2 - 1 - 5 - 4, 'x'));
  EXPECT_EQ(pack("large"), 0) << "at the limit";
  EXPECT_EQ(std::filesystem::status(at("out")).permissions(), std::filesystem::perms(0600));
  EXPECT_EQ(pack("policy"), 2) << "it is there";
  std::filesystem::remove(at("out"));
  put("large", std::string(drive::kMaxContent - 8 - 2 - 1 - 5 - 4 + 1, 'x'));
  EXPECT_EQ(pack("large"), 2);
  EXPECT_FALSE(std::filesystem::exists(at("out")));
}

TEST_F(Mvm, EveryCommandHasAnExample) {
  for (const char* command : {"plan make", "plan check", "plan fmt", "plan show", "plan diff", "plan apply", "state", "watch", "preflight",
                              "audit verify", "net verify", "policy fmt", "projection fmt", "grammar", "primitives", "wake", "hold", "sleep", "readings", "keygen", "sign", "verify", "key identity", "key offer", "key check", "key seal", "drive pack", "completion"}) {
    const Ran help = run(std::string(command) + " --help");
    EXPECT_EQ(help.exit, 0) << command;
    EXPECT_NE(help.out.find("Example:\n  mvm " + std::string(command)), std::string::npos) << command << "\n" << help.out;
  }
}

TEST_F(Mvm, UnknownCommandsAndMissingFilesAreErrors) {
  for (const char* wrong : {"", "plan", "plan burn", "plan make", "plan show /nonexistent", "--socket /nonexistent state"}) EXPECT_EQ(run(wrong).exit, 2) << wrong;
}

TEST_F(Mvm, CompletionOffersWhatThereIs) {
  put("completion", run("completion").out);
  FILE* const pipe = popen(("bash -c \"" + std::string("source ") + at("completion") + "; COMP_WORDS=(mvm plan d); COMP_CWORD=2; _mvm; echo \\${COMPREPLY[*]}\"").c_str(), "r");
  std::array<char, 256> buffer{};
  const std::size_t size = fread(buffer.data(), 1, buffer.size() - 1, pipe);
  pclose(pipe);
  EXPECT_EQ(std::string(buffer.data(), size), "diff\n");
}

TEST_F(Mvm, PrintsTheGrammarAndTheTable) {
  EXPECT_NE(run("grammar").out.find("luksOpen"), std::string::npos);
  EXPECT_NE(run("primitives").out.find("luksOpen"), std::string::npos);
  const auto json = nlohmann::json::parse(run("primitives --json").out);
  EXPECT_FALSE(json.empty());
}

}  // namespace
}  // namespace mvm
