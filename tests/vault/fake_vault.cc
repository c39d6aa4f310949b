// fake_vault DIRECTORY PORT [transit]: a VaultServer until it is ended. Writes ca.pem, client.pem and client.key into DIRECTORY, and its port
// into `port` (0: any), last. Keys are DIRECTORY/keys/TENANT-VERSION. While there is DIRECTORY/sealed, it is sealed. Says on stdout what it was asked.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/vault/vault_server.h"

namespace {

void put(const std::string& path, const std::string& text) {
  std::ofstream(path + ".new") << text;
  std::filesystem::rename(path + ".new", path);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace mvm::test;
  if (argc < 3) return 64;
  const std::string directory = argv[1];
  const Authority authority;
  const Identity ours = authority.issue("node-7", {-86'400, 86'400});
  put(directory + "/ca.pem", authority.certificate());
  put(directory + "/client.pem", ours.certificate);
  put(directory + "/client.key", ours.key);
  const auto key = [directory](const std::string& tenant, const std::string& version) -> std::optional<std::string> {
    std::ifstream file(directory + "/keys/" + tenant + "-" + version, std::ios::binary);
    if (!file) return std::nullopt;
    return std::string{std::istreambuf_iterator<char>(file), {}};
  };
  VaultServer server({authority.issue(kServerName), authority.certificate(), true, VaultServer::Way::kVault, argc > 3, static_cast<std::uint16_t>(std::atoi(argv[2])), key});
  put(directory + "/port", std::to_string(server.port()));
  std::size_t told = 0;
  while (true) {
    usleep(20'000);
    server.change(std::filesystem::exists(directory + "/sealed") ? VaultServer::Way::kSealed : VaultServer::Way::kVault);
    const auto requests = server.requests();
    for (; told < requests.size(); ++told) std::printf("%s\n", requests[told].c_str());
    std::fflush(stdout);
  }
}
