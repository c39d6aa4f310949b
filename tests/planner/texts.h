// Texts for tests: written short, sealed with their digest, parsed. A text that does not parse ends the test run.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/digest.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"

namespace mvm::test {

inline std::string sealed(const std::string& body) { return body + "end " + to_string(sha256(body)) + "\n"; }

inline lang::Document parsed(lang::Kind kind, const std::string& text) {
  auto document = lang::parse(kind, text);
  if (!document) {
    std::fprintf(stderr, "%s\nin\n%s", document.error().message().c_str(), text.c_str());
    std::abort();
  }
  return *document;
}

inline const std::string kKeyHex(64, 'a');

inline std::string policy_text(const std::string& key_hex = kKeyHex) {
  return "mvm-policy 1\nnode node-7\n"
         "cidr subnet=10.240.0.0/12\n"
         "uids first=1000000 count=1048576\n"
         "limits tenants=8 instances=200 vcpus=200 mem=262144 disk=1048576\n"
         "instance pids=64 io=0 pps=0 mbps=0\n"
         "encrypt data=yes snapshots=yes\n"
         "coordinator key=ed25519:" + key_hex + "\nend\n";
}
inline lang::Document policy() { return parsed(lang::Kind::kPolicy, policy_text()); }

inline std::string projection_text(std::uint64_t generation, const std::string& statements, const std::string& node = "node-7") {
  return sealed("mvm-projection 1\nnode " + node + "\ngeneration " + std::to_string(generation) + "\n" + statements);
}
inline lang::Document projection(std::uint64_t generation, const std::string& statements) {
  return parsed(lang::Kind::kProjection, projection_text(generation, statements));
}

inline const std::string kPrune = "prune tenants=yes pools=yes\n";
inline std::string tenant(const std::string& name, int net, const std::string& quota = "vcpus=64 mem=65536 running=40 warm=20 pools=10 instances=64 disk=65536") {
  return "tenant " + name + " net=" + std::to_string(net) + " subnet=10.240." + std::to_string(net) + ".0/24 " + quota + " secrets=none\n";
}
struct PoolText {
  int running = 0, warm = 0, sleeping = 0;
  int data = 0;
  std::string pinned = "no", critical = "no";
  char image = '5';
  int vcpus = 1, mem = 256;
};
inline std::string pool(const std::string& name, const PoolText& p) {
  return "pool " + name + " image=sha256:" + std::string(64, p.image) + " vcpus=" + std::to_string(p.vcpus) + " mem=" + std::to_string(p.mem) +
         " data=" + std::to_string(p.data) + " running=" + std::to_string(p.running) + " warm=" + std::to_string(p.warm) +
         " sleeping=" + std::to_string(p.sleeping) + " pinned=" + p.pinned + " critical=" + p.critical + " compression=zstd config=none\n";
}

inline lang::Document empty_state() {
  return parsed(lang::Kind::kState, sealed("mvm-state 1\nnode node-7\ngeneration 0\ndesired none\n"));
}

}  // namespace mvm::test
