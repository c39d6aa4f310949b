// Needs root. A whole mvm-vault below a directory of its own, and a vault that it asks; hostd's and agentd's part is the test's.
#include <sysexits.h>

#include <csignal>

#include "tests/sandbox/vault_process.h"

namespace mvm::test {
namespace {

// What is wanted is sealed; what is over is taken away; agentd, which is another user, may read it.
bool seals(VaultProcess& vault) {
  const auto first = VaultProcess::key("acme"), next = VaultProcess::key("acme", 1, 43);
  vault.want({first, VaultProcess::key("bolt", 2)});
  if (!vault.has(first) || !vault.has(VaultProcess::key("bolt", 2)) || !vault.says("\"good\"")) return false;
  struct stat status {};
  if (stat((vault.sealed() + "/" + sealing::envelope_name(first)).c_str(), &status) != 0 || (status.st_mode & 07777) != 0644) return false;
  vault.want({next}, 43);
  return vault.has(next) && vault.comes_to([&] { return !vault.opened(first); });
}

// A vault that is not there, and then is. As much is missed as may be, so that memory has to grow.
bool waits_for_the_vault(VaultProcess& vault) {
  const std::uint16_t port = vault.vault().port();
  vault.close_vault();
  std::vector<sealing::Label> labels;
  for (std::uint32_t version = 1; version <= sealing::kMaxWantedLabels; ++version) labels.push_back(VaultProcess::key("acme", version, 44));
  vault.want(labels, 44);
  if (!vault.says("\"unreachable\"")) return false;
  vault.want({VaultProcess::key("acme", 2, 44)}, 44);
  vault.signal(SIGSTOP);
  usleep(20'000);
  vault.signal(SIGCONT);
  vault.open_vault_again(port);
  return vault.has(VaultProcess::key("acme", 2, 44));
}

bool serves(const std::vector<seccomp::Line>& lines) {
  VaultProcess vault;
  vault.start(lines);
  if (!vault.says("\"generation\": 0")) return false;
  if (!seals(vault) || !waits_for_the_vault(vault)) return false;
  std::filesystem::rename(vault.sealed(), vault.sealed() + ".old");  // at once: the vault may be writing into it
  std::filesystem::create_directory(vault.sealed());
  vault.want({}, 45);
  return vault.ended() == EX_TEMPFAIL;
}

MVM_ABLATION(VaultGrant, "vault", serves)

TEST(Vault, IsInASandboxOfItsOwn) {
  VaultProcess vault;
  vault.start(policy_of("vault"));
  ASSERT_TRUE(vault.says("\"generation\": 0"));
  const std::string status = vault.process_status();
  for (const char* line : {"Name:\tmvm-vault\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n", "CapPrm:\t0000000000000000\n", "CapEff:\t0000000000000000\n", "Threads:\t1\n"}) {
    EXPECT_NE(status.find(line), std::string::npos) << line << status;
  }
}

TEST(Vault, IsSteeredByNoVariable) {
  VaultProcess vault;
  vault.start(policy_of("vault"));
  vault.want({VaultProcess::key("acme")});
  ASSERT_TRUE(vault.has(VaultProcess::key("acme")));
  EXPECT_FALSE(std::filesystem::exists(vault.sealed() + "/keylog")) << "the secrets of its connections";
}

TEST(Vault, HasItsSigningKeyWhereNothingIsDumped) {
  VaultProcess vault;
  vault.start(policy_of("vault"));
  vault.want({VaultProcess::key("acme")});
  ASSERT_TRUE(vault.has(VaultProcess::key("acme")));
  EXPECT_TRUE(vault.is_where_it_is_dumped("BEGIN CERTIFICATE")) << "control: what is no secret is found";
  EXPECT_FALSE(vault.is_where_it_is_dumped(VaultProcess::kSigningKey));
}

// What a server may answer does not end it: the filter knows these ways, too.
TEST(Vault, LivesWithAllThatAServerMayDo) {
  VaultProcess vault;
  vault.start(policy_of("vault"));
  std::uint64_t generation = 100;
  const std::pair<const char*, const char*> tenants[] = {{"denied", "denied"}, {"nobody", "not-found"}, {"broken", "server-error"}, {"moved", "redirected"}, {"huge", "too-long"},
                                                         {"garbage", "garbage"}, {"cut", "cut"}, {"other", "wrong-version"}, {"short", "not-a-key"}};
  for (const auto& [tenant, problem] : tenants) {
    ++generation;
    vault.want({VaultProcess::key(tenant, 1, generation)}, generation);
    EXPECT_TRUE(vault.says("\"problem\": \"" + std::string(problem) + "\"")) << vault.status();
  }
  ++generation;
  vault.want({VaultProcess::key("acme", 1, generation)}, generation);
  EXPECT_TRUE(vault.has(VaultProcess::key("acme", 1, generation)));
}

TEST(Vault, DoesNotStartWithoutWhatItNeeds) {
  const auto exits = [](const auto& spoil) {
    VaultProcess vault;
    spoil(vault);
    vault.start(policy_of("vault"));
    return vault.ended();
  };
  EXPECT_EQ(exits([](VaultProcess& v) { v.put("/conf/vault.conf", "mvm-vault 2\n"); }), EX_CONFIG);
  EXPECT_EQ(exits([](VaultProcess& v) { v.put_credential("mvm-vault-signer", std::string(31, 's')); }), EX_CONFIG);
  EXPECT_EQ(exits([](VaultProcess& v) { std::filesystem::permissions(v.prefix() + "/credentials/mvm-vault-key", std::filesystem::perms::others_read, std::filesystem::perm_options::add); }),
            EX_CONFIG) << "a key that anyone may read";
  EXPECT_EQ(exits([](VaultProcess& v) {
              std::filesystem::rename(v.prefix() + "/credentials/mvm-vault-key", v.prefix() + "/credentials/elsewhere");
              std::filesystem::create_symlink("elsewhere", v.prefix() + "/credentials/mvm-vault-key");
            }),
            EX_CONFIG) << "a link";
  EXPECT_EQ(exits([](VaultProcess& v) { v.put_credential("mvm-vault-cert", ""); }), EX_CONFIG);
  EXPECT_EQ(exits([](VaultProcess& v) { v.put_credential("mvm-vault-cert", std::string(vault::kMaxPem + 1, 'c')); }), EX_CONFIG);
  EXPECT_EQ(exits([](VaultProcess& v) { std::filesystem::remove(v.prefix() + "/credentials/mvm-vault-cert"); }), EX_CONFIG);
  EXPECT_EQ(exits([](VaultProcess& v) { std::filesystem::remove(v.prefix() + "/conf/ca.pem"); }), EX_CONFIG);
  EXPECT_EQ(exits([](VaultProcess& v) { std::filesystem::remove_all(v.prefix() + "/wanted"); }), EX_TEMPFAIL);
}

}  // namespace
}  // namespace mvm::test
