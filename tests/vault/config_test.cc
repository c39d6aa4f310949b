#include "vault/config.h"

#include <gtest/gtest.h>

#include "tests/vault/samples.h"

namespace mvm::vault {
namespace {

// The text with its line that begins with the same word replaced.
std::string with(const std::string& line) {
  std::string text = test::config_text(8200, true);
  const auto begin = text.find(line.substr(0, line.find(' ')) + " ");
  return text.replace(begin, text.find('\n', begin) - begin, line);
}

TEST(VaultConfig, SaysWhichVaultAndWhereInIt) {
  const Config config = parse_config("# which vault\n\n" + test::config_text(8200, true)).value();
  EXPECT_EQ(config.node.view(), "node-7");
  EXPECT_EQ(config.server, "vault.test");
  EXPECT_EQ(config.address, "127.0.0.1");
  EXPECT_EQ(config.port, 8200);
  EXPECT_EQ(config.identity[31], 0xaa);
  EXPECT_EQ(config.field.view(), "key");
  EXPECT_EQ(login_path(config), "auth/cert/login");
  EXPECT_EQ(kv_path(config, *Name::from("acme"), 3), "secret/data/mvm/acme?version=3");
  EXPECT_EQ(transit_path(*config.transit, *Name::from("acme")), "transit/decrypt/mvm-acme");
  EXPECT_FALSE(parse_config(test::config_text(8200)).value().transit);
}

TEST(VaultConfig, TakesPathsOfFourNames) {
  EXPECT_TRUE(parse_config(with("kv mount=a/b/c/d prefix=e/f field=key")));
  EXPECT_FALSE(parse_config(with("kv mount=a/b/c/d/e prefix=e/f field=key")));
}

TEST(VaultConfig, IsRefusedWhereAValueIsNone) {
  for (const char* line :
       {"node Node", "node ", "node node-7 x", "identity ed25519:abc", "identity sha256:aaaa", "server name=10.0.0.5 address=10.0.0.5 port=8200", "server name=vault address=vault port=8200",
        "server name=vault address=10.0.0 port=8200", "server name=vault address=10.0.0.256 port=8200", "server name=vault address=10.0.0.05 port=8200", "server name=vault address=10.0.0.5. port=8200",
        "server name=vault address=::1 port=8200", "server name=vault address=10.0.0.5 port=0", "server name=vault address=10.0.0.5 port=65536", "server name=vault address=10.0.0.5 port=08200",
        "server name=vault address=10.0.0.5", "server address=10.0.0.5 name=vault port=8200", "server name=Vault address=10.0.0.5 port=8200", "server name=va_ult address=10.0.0.5 port=8200",
        "server name=a..b address=10.0.0.5 port=8200", "server name=vault. address=10.0.0.5 port=8200", "server name=-a address=10.0.0.5 port=8200", "server name=a/b address=10.0.0.5 port=8200",
        "server  name=vault address=10.0.0.5 port=8200", "server name=a- address=10.0.0.5 port=8200", "server name=a-.b address=10.0.0.5 port=8200", "login mxunt=cert role=r", "login mount:cert role=r", "login mount=cert rule=r", "login mount= role=r", "login mount=../x role=r", "login mount=a//b role=r", "login mount=/a role=r", "login mount=a/ role=r", "login mount=a?b role=r",
        "login mount=a role=r%2f", "kv mount=a prefix=b field=a/b", "kv mount=a prefix={tenant} field=key", "kv mount=a prefix=b", "transit mount=A prefix=b", "transit mount= prefix=b", "transit mount=a prefix=b/c", "transit mount=a prefix=", "transit prefix=b mount=a"}) {
    EXPECT_FALSE(parse_config(with(line))) << line;
  }
  const auto named = [](std::size_t length) { return parse_config(with("server name=" + std::string(length, 'a') + ".b address=10.0.0.5 port=1")).has_value(); };
  EXPECT_TRUE(named(63));
  EXPECT_FALSE(named(64)) << "no label of a DNS name";
  EXPECT_TRUE(parse_config(with("identity ed25519:" + std::string(64, 'b'))));
  EXPECT_FALSE(parse_config(with("identity ed25520:" + std::string(64, 'b')))) << "of another kind";
}

TEST(VaultConfig, HasOneSpaceBetweenWords) {
  for (const char* line : {"login mount=cert role=node-7", "node node-7"}) {
    for (const char* other : {"\t", "=", "  ", ""}) {
      std::string text = test::config_text(8200);
      text.replace(text.find(line) + std::string_view(line).find(' '), 1, other);
      EXPECT_FALSE(parse_config(text)) << text;
    }
  }
}

TEST(VaultConfig, NamesTheLineThatIsWrong) {
  const auto refused = parse_config("# a comment\n" + with("login mount=A role=r"));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("line 6 is not: login mount=PATH role=NAME"), std::string::npos) << refused.error().message();
}

TEST(VaultConfig, HasEachLineOnceAndInOrder) {
  const std::string text = test::config_text(8200, true);
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    const std::string line = text.substr(at, text.find('\n', at) + 1 - at);
    const bool may_be_left_out = line.starts_with("transit");
    EXPECT_EQ(parse_config(text.substr(0, at) + text.substr(at + line.size())).has_value(), may_be_left_out) << line;
    EXPECT_FALSE(parse_config(text.substr(0, at) + line + text.substr(at))) << line;
  }
  for (const char* more : {"x", "end\n", " ", "\n \n"}) EXPECT_FALSE(parse_config(text + more)) << more;
  EXPECT_TRUE(parse_config(text + "# the end\n\n"));
  EXPECT_FALSE(parse_config(text.substr(0, text.size() - 1))) << "no line feed";
  EXPECT_FALSE(parse_config(""));
  std::string with_crlf = text;
  EXPECT_FALSE(parse_config(with_crlf.insert(11, "\r")));
}

TEST(VaultConfig, IsTakenAtItsLimitAndNotAbove) {
  const std::string text = test::config_text(8200);
  const auto of_length = [&](std::size_t length) { return parse_config(text + std::string(length - text.size(), '\n')); };
  EXPECT_TRUE(of_length(kMaxConfig));
  EXPECT_EQ(of_length(kMaxConfig + 1).error().code, Errc::kLimit);
  const auto named = [&](std::size_t length) {
    std::string name;
    while (name.size() + 50 < length) name += std::string(49, 'a') + ".";
    name += std::string(length - name.size(), 'a');
    return parse_config(with("server name=" + name + " address=10.0.0.5 port=1")).has_value();
  };
  EXPECT_TRUE(named(kMaxServerName));
  EXPECT_FALSE(named(kMaxServerName + 1));
}

}  // namespace
}  // namespace mvm::vault
