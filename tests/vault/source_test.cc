// mvm-vault's client against a server by TLS: what it gets, and each way in which it gets nothing.
#include "vault/source.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/sandbox/child.h"
#include "tests/vault/samples.h"

namespace mvm::vault {
namespace {

using test::Identity;
using test::VaultServer;
using Way = VaultServer::Way;

const test::Authority& authority() {
  static const test::Authority one;
  return one;
}

struct Case {
  Way way = Way::kVault;
  bool transit = false, strict = true;
  std::string name = test::kServerName;           // of the server's certificate
  test::Validity validity = {};                   // of it
  const test::Authority* servers = &authority();  // who signed it
  const test::Authority* clients = &authority();  // who signs what the server takes
  Identity ours = authority().issue("node-7");
  Timeouts timeouts = {2'000, 3'000};
};

class AVault : public testing::Test {
 protected:
  void start(Case c = {}) {
    VaultServer::Ways ways{c.servers->issue(c.name, c.validity), c.clients->certificate(), c.strict, c.way, c.transit, 0, &test::key_in_vault};
    server.emplace(std::move(ways));
    config = parse_config(test::config_text(server->port(), c.transit)).value();
    certificates.emplace(test::certificates_of(arena, authority().certificate(), c.ours));
    timeouts = c.timeouts;
  }
  Fetched<Source> log_in() { return Source::log_in(config, *certificates, arena, timeouts); }
  // What is wrong with logging in.
  Problem refuses() {
    const auto source = log_in();
    if (source) ADD_FAILURE() << "it logs in";
    else said = source.error().detail;
    return source ? Problem::kHere : source.error().problem;
  }
  // What is wrong with that tenant's key, where logging in works.
  Problem problem(const std::string& tenant, std::uint32_t version = 1) {
    auto source = log_in();
    if (!source) {
      ADD_FAILURE() << source.error().message();
      return Problem::kHere;
    }
    const auto key = source->key(*Name::from(tenant), version);
    if (key) ADD_FAILURE() << "it has a key";
    else said = key.error().detail;
    return key ? Problem::kHere : key.error().problem;
  }

  SecretArena arena = SecretArena::make().value();
  std::optional<VaultServer> server;
  Config config;
  std::optional<Certificates> certificates;
  Timeouts timeouts;
  std::string said;
};

std::string text_of(const Secret& secret) { return {secret.bytes().begin(), secret.bytes().end()}; }

TEST_F(AVault, GivesTheKeyOfATenantsVersionAndTakesItsTokenBack) {
  start();
  auto source = log_in();
  ASSERT_TRUE(source) << source.error().message();
  EXPECT_EQ(server->tokens(), 1u);
  EXPECT_EQ(text_of(source->key(*Name::from("acme"), 2).value()), test::key_in_vault("acme", "2"));
  EXPECT_EQ(text_of(source->key(*Name::from("bolt"), 1).value()), test::key_in_vault("bolt", "1"));
  EXPECT_TRUE((*std::move(source)).log_out());
  EXPECT_EQ(server->tokens(), 0u);
  EXPECT_EQ(server->requests(), (std::vector<std::string>{"POST auth/cert/login", "GET secret/data/mvm/acme?version=2", "GET secret/data/mvm/bolt?version=1", "POST auth/token/revoke-self"}));
}

TEST_F(AVault, UnwrapsWhatTransitWrapped) {
  start({.transit = true});
  auto source = log_in().value();
  EXPECT_EQ(text_of(source.key(*Name::from("acme"), 1).value()), test::key_in_vault("acme", "1"));
  EXPECT_EQ(text_of(source.key(*Name::from("bolt"), 2).value()), test::key_in_vault("bolt", "2"));
  EXPECT_EQ(server->requests()[2], "POST transit/decrypt/mvm-acme");
  EXPECT_EQ(server->requests()[4], "POST transit/decrypt/mvm-bolt");
}

TEST_F(AVault, IsNotBelievedWhereAKeyIsNotWrappedThatShouldBe) {
  start();
  config.transit = Transit{"transit", "mvm"};
  EXPECT_EQ(problem("acme"), Problem::kNotAKey);
}

TEST_F(AVault, RefusesToUnwrapOneTenantsKeyAsAnothers) {
  start({.transit = true});
  config.transit->prefix = "mvm-of";
  EXPECT_EQ(problem("acme"), Problem::kOtherStatus);
  EXPECT_EQ(server->requests().back(), "POST transit/decrypt/mvm-of-acme");
}

TEST_F(AVault, SaysNoInManyWays) {
  start();
  EXPECT_EQ(problem("denied"), Problem::kDenied);
  EXPECT_EQ(problem("stranger"), Problem::kDenied);
  EXPECT_EQ(problem("nobody"), Problem::kNotFound);
  EXPECT_EQ(problem("acme", 4), Problem::kNotFound) << "a version that there is not";
  EXPECT_EQ(problem("broken"), Problem::kServerError);
  EXPECT_EQ(problem("busy"), Problem::kBusy);
  EXPECT_EQ(problem("teapot"), Problem::kOtherStatus);
}

TEST_F(AVault, IsNotFollowedElsewhere) {
  start();
  EXPECT_EQ(problem("moved"), Problem::kRedirected);
  EXPECT_EQ(server->requests().size(), 2u);
  server->change(Way::kSendsElsewhere);
  EXPECT_EQ(refuses(), Problem::kRedirected);
}

TEST_F(AVault, IsNotBelievedWhereItsAnswerIsNotOfTheForm) {
  start();
  EXPECT_EQ(problem("other"), Problem::kWrongVersion);
  EXPECT_EQ(problem("short"), Problem::kNotAKey);
  EXPECT_EQ(problem("long"), Problem::kNotAKey);
  for (const char* tenant : {"garbage", "half", "deep", "first"}) EXPECT_EQ(problem(tenant), Problem::kGarbage) << tenant;
}

TEST_F(AVault, IsHeardToItsLimitAndNoFurther) {
  start();
  EXPECT_EQ(problem("huge"), Problem::kTooLong);
  EXPECT_EQ(problem("headers"), Problem::kTooLong);
}

TEST_F(AVault, IsNotBelievedWhereItsAnswerIsCutOff) {
  start();
  EXPECT_EQ(problem("cut"), Problem::kCut) << said;
  server->change(Way::kHangsUp);
  EXPECT_EQ(refuses(), Problem::kCut) << said;
}

TEST_F(AVault, IsNotWaitedForWithoutEnd) {
  start({.timeouts = {300, 500}});
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(problem("slow"), Problem::kTimeout);
  server->change(Way::kSilent);
  EXPECT_EQ(refuses(), Problem::kTimeout);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(3));
}

// Connecting has a bound of its own: without it this would take as long as a request may.
TEST_F(AVault, IsNotWaitedForAsLongAsARequestWhereItDoesNotEvenConnect) {
  start({.way = Way::kSilent, .timeouts = {300, 3'600'000}});
  EXPECT_EQ(refuses(), Problem::kTimeout);
}

TEST_F(AVault, IsNotAskedByALibcurlThatDoesNotTakeASetting) {
  start();
  certificates->authority.assign(8'000'001, 'x');  // longer than libcurl takes anything
  EXPECT_EQ(refuses(), Problem::kHere) << said;
  EXPECT_TRUE(server->requests().empty());
}

TEST_F(AVault, IsNotBelievedWithoutAStatus) {
  start();
  server->change(Way::kHeadless);
  EXPECT_EQ(refuses(), Problem::kGarbage) << said;
}

TEST_F(AVault, MayBeSealedOrBrokenOrGone) {
  start();
  server->change(Way::kSealed);
  EXPECT_EQ(refuses(), Problem::kSealed);
  server->change(Way::kFails);
  EXPECT_EQ(refuses(), Problem::kServerError);
  server.reset();
  EXPECT_EQ(refuses(), Problem::kUnreachable);
}

TEST_F(AVault, MayRefuseALogin) {
  start();
  server->change(Way::kRefusesLogins);
  EXPECT_EQ(refuses(), Problem::kDenied);
  server->change(Way::kForbidsLogins);
  EXPECT_EQ(refuses(), Problem::kDenied);
}

// Whether anything in the arena, of which `first` is the first byte, begins as tokens do.
bool has_a_token(const std::uint8_t* first) {
  return std::string_view(reinterpret_cast<const char*>(first), kSecretArenaBytes).find("hvs.CAESI-") != std::string_view::npos;
}

TEST_F(AVault, HasItsTokenOverwrittenWhenItIsTakenBack) {
  start();
  const std::uint8_t* const first = certificates->key.bytes().data();  // taken before all else
  auto source = log_in();
  ASSERT_TRUE(source);
  EXPECT_TRUE(has_a_token(first));
  EXPECT_TRUE((*std::move(source)).log_out());
  EXPECT_FALSE(has_a_token(first)) << "though what had it is still there";
}

TEST_F(AVault, SaysWhereATokenIsNotTakenBack) {
  start();
  auto source = log_in();
  ASSERT_TRUE(source);
  server->change(Way::kKeepsTokens);
  EXPECT_EQ((*std::move(source)).log_out().error().problem, Problem::kDenied);
}

TEST_F(AVault, IsNotTrustedByAnotherAuthoritysCertificate) {
  const test::Authority other;
  start({.servers = &other});
  EXPECT_EQ(refuses(), Problem::kNotTrusted) << said;
  EXPECT_TRUE(server->requests().empty());
}

TEST_F(AVault, IsNotTrustedByACertificateOutOfItsTime) {
  start({.validity = {-7200, -3600}});
  EXPECT_EQ(refuses(), Problem::kNotTrusted) << said;
  start({.validity = {3600, 7200}});
  EXPECT_EQ(refuses(), Problem::kNotTrusted) << said;
}

TEST_F(AVault, IsNotTrustedByAnotherName) {
  start({.name = "other.test"});
  EXPECT_EQ(refuses(), Problem::kNotTrusted) << said;
}

TEST_F(AVault, MustSpeakTls13) {
  start({.way = Way::kOldTls});
  EXPECT_EQ(refuses(), Problem::kNotTrusted) << said;
  start({.way = Way::kNoTls});
  EXPECT_EQ(refuses(), Problem::kNotTrusted) << said;
}

TEST_F(AVault, DoesNotTakeEveryCertificate) {
  const test::Authority other;
  start({.clients = &other});
  EXPECT_EQ(refuses(), Problem::kNotTrustedByIt) << said;
  start({.ours = authority().issue("node-7", {-7200, -3600})});
  EXPECT_EQ(refuses(), Problem::kNotTrustedByIt) << said;
}

TEST_F(AVault, IsNotAskedByACertificateWithAnotherKey) {
  Identity ours = authority().issue("node-7");
  ours.key = authority().issue("node-8").key;
  start({.ours = ours});
  EXPECT_EQ(refuses(), Problem::kHere) << said;
  ours.certificate = "none";
  start({.ours = ours});
  EXPECT_EQ(refuses(), Problem::kHere) << said;
}

// What the environment says of proxies and of TLS secrets is of no consequence, and no file of the host's trusts anyone.
TEST_F(AVault, IsAskedWhateverTheEnvironmentSays) {
  start();
  setenv("https_proxy", "http://127.0.0.1:1", 1);
  setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  EXPECT_TRUE(log_in());
  unsetenv("https_proxy");
  unsetenv("ALL_PROXY");
}

// Nor does a file of passwords in the home directory, which is for other programs.
TEST_F(AVault, IsToldNoPasswordOfTheHosts) {
  start();
  const std::string home = testing::TempDir() + "home-" + std::to_string(getpid());
  std::filesystem::create_directories(home);
  std::ofstream(home + "/.netrc") << "machine " << test::kServerName << " login operator password of-the-operator\n";
  const char* const was = getenv("HOME");
  const std::string before = was == nullptr ? "" : was;
  setenv("HOME", home.c_str(), 1);
  EXPECT_TRUE(log_in());
  setenv("HOME", before.c_str(), 1);
  std::filesystem::remove_all(home);
  EXPECT_EQ(server->requests(), std::vector<std::string>{"POST auth/cert/login"});
}

// Needs root: the authorities that the host's other programs trust are the test's own, in a mount namespace of its own.
TEST_F(AVault, IsNotTrustedByWhomTheHostTrusts) {
  constexpr const char* kOfTheHost = "/etc/ssl/certs";
  if (geteuid() != 0 || !std::filesystem::is_directory(kOfTheHost)) GTEST_SKIP() << "needs root and " << kOfTheHost;
  EXPECT_TRUE(test::worked(test::in_child([&] {
    MUST(unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    MUST(mount("none", kOfTheHost, "tmpfs", 0, nullptr) == 0);
    const test::Authority other("whom this host trusts");  // by another name: a store that has one of it looks no further
    const Owned<BIO, &BIO_free_all> bio(BIO_new_mem_buf(other.certificate().data(), static_cast<int>(other.certificate().size())));
    const Owned<X509, &X509_free> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    char name[16];
    std::snprintf(name, sizeof name, "/%08lx.0", X509_subject_name_hash(certificate.get()));
    std::ofstream(std::string(kOfTheHost) + name) << other.certificate();
    SecretArena own = SecretArena::make().value();  // the test's is not inherited
    VaultServer::Ways ways{other.issue(test::kServerName), authority().certificate(), true, Way::kVault, false, 0, &test::key_in_vault};
    VaultServer theirs(std::move(ways));
    const Config to = parse_config(test::config_text(theirs.port())).value();
    const Certificates trusted = test::certificates_of(own, other.certificate(), authority().issue("node-7"));
    MUST(Source::log_in(to, trusted, own, {2'000, 3'000}).has_value());
    const Certificates ours = test::certificates_of(own, authority().certificate(), authority().issue("node-7"));
    const auto refused = Source::log_in(to, ours, own, {2'000, 3'000});
    MUST(!refused && refused.error().problem == Problem::kNotTrusted);
  })));
}

// A session of before would be taken up without a certificate; each connection shows both anew.
TEST_F(AVault, IsMetAnewByEachConnection) {
  start();
  auto source = log_in();
  ASSERT_TRUE(source);
  server->change(Way::kHangsUp);
  EXPECT_EQ(source->key(*Name::from("acme"), 1).error().problem, Problem::kCut);
  server->change(Way::kVault);
  EXPECT_TRUE(source->key(*Name::from("acme"), 1));
  EXPECT_EQ(server->resumed(), 0u);
}

// A name that the resolver knows, too, is not looked up: it is the address of the configuration that counts.
TEST_F(AVault, IsAskedAtTheAddressThatIsConfigured) {
  start({.name = "localhost"});
  config.server = "localhost";
  EXPECT_TRUE(log_in());
  config.address = "127.0.0.2";
  EXPECT_EQ(refuses(), Problem::kUnreachable) << said;
}

}  // namespace
}  // namespace mvm::vault
