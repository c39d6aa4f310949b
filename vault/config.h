// /etc/mvm/vault.conf: which vault, and where in it this node's keys are. Written by the node's owner; one line a thing, in one order,
// values that are names, numbers and addresses; lines that are empty or begin with '#' are left out (docs/vault.md). No path of it is a
// template: where a tenant's key lies follows from the tenant's name.
// Pure. Proven by: tests/vault/config_test.cc, fuzz/vault_config_fuzz.cc.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/ids.h"

namespace mvm::vault {

inline constexpr std::size_t kMaxConfig = 8192;
inline constexpr std::size_t kMaxServerName = 253;  // RFC 1035
inline constexpr std::size_t kMaxPathNames = 4;     // of a mount or a prefix

struct Transit {
  std::string mount, prefix;
};

struct Config {
  Name node;
  std::array<std::uint8_t, 32> identity{};  // the node's, that its hostd signs offers with
  std::string server;                       // the DNS name that its certificate must have; it is not looked up
  std::string address;                      // IPv4, dotted
  std::uint16_t port = 0;
  std::string login_mount;  // of the auth method `cert`
  Name role;
  std::string kv_mount, kv_prefix;
  Name field;
  std::optional<Transit> transit;  // where there is one, what lies in KV is wrapped by it
};

// kMalformed with the line, kLimit.
[[nodiscard]] Result<Config> parse_config(std::string_view text);

// The paths below /v1/: of letters a-z, digits, '-', '/', '=' and '?' alone.
[[nodiscard]] std::string login_path(const Config& config);
[[nodiscard]] std::string kv_path(const Config& config, const Name& tenant, std::uint32_t version);
[[nodiscard]] std::string transit_path(const Transit& transit, const Name& tenant);

}  // namespace mvm::vault
