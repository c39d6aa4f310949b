// The names that a policy may use, and their values in this machine's headers. The build's and the tests' only.
#pragma once

#include <cstdint>
#include <string>

namespace mvm::seccomp {

// Each throws std::runtime_error where it does not know the name.
[[nodiscard]] std::uint64_t constant(const std::string& name);        // TUNSETIFF, AF_NETLINK, 0x10, 7
[[nodiscard]] unsigned capability(const std::string& name);           // net_admin
[[nodiscard]] int resource_limit(const std::string& name);            // nofile
[[nodiscard]] std::uint64_t access_rights(const std::string& names);  // read-file,read-dir; or ro, rw
[[nodiscard]] int errno_number(const std::string& name);              // ENOSYS

}  // namespace mvm::seccomp
