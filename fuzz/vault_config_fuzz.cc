// /etc/mvm/vault.conf. Whatever it says, what is asked for is a path of few characters, and stays below its mount.
#include "vault/config.h"

#include <algorithm>

#include "fuzz/check.h"

namespace {

void must_be_a_path(const std::string& path) {
  mvm::fuzz::must(std::ranges::all_of(path, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '/' || c == '?' || c == '='; }),
                  "a path is of few characters");
  mvm::fuzz::must(path.find("//") == std::string::npos && !path.starts_with('/') && path.size() < 700, "a path has no empty name");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  const auto config = vault::parse_config({reinterpret_cast<const char*>(data), size});
  if (!config) return 0;
  const Name tenant = *Name::from("acme");
  must_be_a_path(vault::login_path(*config));
  must_be_a_path(vault::kv_path(*config, tenant, 7));
  if (config->transit) must_be_a_path(vault::transit_path(*config->transit, tenant));
  fuzz::must(config->port != 0 && config->server.find_first_of("/:@?# %") == std::string::npos, "a server's name is one");
  fuzz::must(config->address.find_first_not_of("0123456789.") == std::string::npos, "an address is one");
  return 0;
}
