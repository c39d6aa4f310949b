// What a host must show before tenants run on it, each with the reading and the remedy. Reads; changes nothing (the
// nftables probe runs in a network namespace of its own).
// The required ones are asked by hostd's unit before hostd starts (ExecStartPre= of deploy/systemd/mvm-hostd.service).
// Proven by: tests/cli/preflight_test.cc, and in the node VM by tests/deploy/preflight_test.sh.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mvm::cli {

enum class Verdict : std::uint8_t { kPass, kWarn, kFail, kNotApplicable };
[[nodiscard]] std::string_view to_string(Verdict verdict);

struct Finding {
  std::string check;
  Verdict verdict = Verdict::kFail;
  std::string reading;  // what was found
  std::string remedy;   // empty where it passes
};

struct PreflightPaths {
  std::string state = "/var/lib/mvm";
  std::string binaries = "/usr/libexec/mvm/firecracker";  // firecracker and jailer
  std::string pins = "/etc/mvm/firecracker.sha256";  // as sha256sum(1) prints it, for firecracker and jailer
  std::string root;                          // before /proc and /sys; empty on a real host
};

// In the order of the list of host checks; required ones first.
[[nodiscard]] std::vector<Finding> preflight(const PreflightPaths& paths);
[[nodiscard]] bool may_start(const std::vector<Finding>& findings);

// Firecracker releases whose jailer or VMM has a known hole: CVE-2026-1386 (up to 1.13.1, and 1.14.0) and CVE-2026-5747 (1.13.0 to
// 1.14.3, and 1.15.0). `version` like "v1.16.1"; what is not of that form has one.
[[nodiscard]] bool has_known_hole(const std::string& version);

}  // namespace mvm::cli
