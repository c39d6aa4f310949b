// Texts that the supervisor's tests use: a policy with a key of the test's own, projections signed with it, and states of a
// number of running instances.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "base/owned.h"
#include "policy-lang/diff.h"
#include "policy-lang/parse.h"
#include "policy-lang/print.h"
#include "schemas/broker.h"

namespace mvm::test {

using Signature = std::array<std::uint8_t, wire::kSignatureBytes>;

// RFC 8032, 7.1, TEST 1: nobody's secret.
class Key {
 public:
  explicit Key(std::uint8_t seed = 0) {
    std::array<std::uint8_t, 32> secret = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
                                           0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
    secret[0] = static_cast<std::uint8_t>(secret[0] + seed);
    key_.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, secret.data(), secret.size()));
  }
  [[nodiscard]] Digest public_key() const {
    Digest out;
    std::size_t size = out.bytes.size();
    EVP_PKEY_get_raw_public_key(key_.get(), out.bytes.data(), &size);
    return out;
  }
  [[nodiscard]] Signature sign(std::string_view message) const {
    Signature out{};
    std::size_t size = out.size();
    const Owned<EVP_MD_CTX, &EVP_MD_CTX_free> context(EVP_MD_CTX_new());
    EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get());
    EVP_DigestSign(context.get(), out.data(), &size, reinterpret_cast<const unsigned char*>(message.data()), message.size());
    return out;
  }

 private:
  Owned<EVP_PKEY, &EVP_PKEY_free> key_;
};

// Key(2) may seal keys, and nothing else.
inline std::string policy_text(const Key& key = Key()) {
  return "mvm-policy 1\nnode node-7\ncidr subnet=10.240.0.0/12\nuids first=100000 count=1048576\n"
         "limits tenants=64 instances=2048 vcpus=4096 mem=4194304 disk=1048576\ninstance pids=128 io=0 pps=0 mbps=0\n"
         "encrypt data=no snapshots=no\ncoordinator key=ed25519:" + to_hex(key.public_key().bytes) + "\nsealer key=ed25519:" +
         to_hex(Key(2).public_key().bytes) + "\nend\n";
}

// The text with its `end` line.
inline std::string ended(const std::string& above) { return above + "end " + to_string(sha256(above)) + "\n"; }

// An image's manifest, and its digest.
inline const std::string kManifest = ended("mvm-manifest 1\nflake path:test\nlock digest=sha256:" + std::string(64, '1') + "\nkernel digest=sha256:" +
                                           std::string(64, '2') + " bytes=4096\nrootfs root=sha256:" + std::string(64, '3') + " blocks=2\n");
inline const std::string kImage = to_string(sha256(kManifest));

// Tenants acme (net 3) and beta (net 4), a pool `workers` each.
inline std::string projection_text(std::uint64_t generation = 1, int running = 20, bool prune = true) {
  const std::string quota = " vcpus=400 mem=100000 running=200 warm=10 pools=10 instances=200 disk=0 secrets=none\n";
  const std::string pool = " image=" + kImage + " vcpus=2 mem=128 data=0 running=" + std::to_string(running) +
                           " warm=2 sleeping=0 pinned=no critical=no compression=none config=none\n";
  const std::string yes = prune ? "yes" : "no";
  return ended("mvm-projection 1\nnode node-7\ngeneration " + std::to_string(generation) + "\nprune tenants=" + yes + " pools=" + yes +
               "\ntenant acme net=3 subnet=10.240.3.0/24" + quota + "rule acme egress=nat pps=0 mbps=0 cps=0\npool acme/workers" + pool +
               "tenant beta net=4 subnet=10.240.4.0/24" + quota + "pool beta/workers" + pool);
}

inline std::string instance_name(int n) {
  char text[16];
  std::snprintf(text, sizeof text, "i-%08x", n);
  return text;
}

// What stands where `acme` and `beta` instances run, numbered from 1, with slots from 3.
inline std::vector<lang::Statement> running_lines(int acme, int beta) {
  std::string text = "mvm-state 1\nnode node-7\ngeneration 1\ndesired none\n";
  const auto tenant = [&](const std::string& name, int net, int instances, int first) {
    if (instances == 0) return;
    text += "bridge " + name + " net=" + std::to_string(net) + " subnet=10.240." + std::to_string(net) + ".0/24\n";
    if (name == "acme") text += "rule acme egress=nat pps=0 mbps=0 cps=0\n";
    for (int n = 0; n < instances; ++n) {
      const std::string subject = name + "/workers/" + instance_name(first + n);
      text += "cgroup " + subject + " cpu=200 mem=256 pids=64 io=0\ntap " + subject + " slot=" + std::to_string(3 + n) + " pps=0 mbps=0" + "\njail " +
              subject + " image=" + kImage + " vcpus=2 mem=128 boot=cold state=running guest=awake\n";
    }
  };
  tenant("acme", 3, acme, 1);
  tenant("beta", 4, beta, 1000);
  auto parsed = lang::parse(lang::Kind::kState, ended(text));
  if (!parsed) {
    std::cerr << parsed.error().message() << "\n" << text;
    std::abort();
  }
  return parsed->statements;
}

// The plan from one state to those lines, in the name of the projection.
inline std::string plan_text(const lang::Document& from, const std::vector<lang::Statement>& lines, const std::string& projection) {
  const auto wanted = lang::parse(lang::Kind::kProjection, projection);
  lang::Document to{lang::Kind::kState, from.header, lines};
  to.header.generation = wanted->header.generation;
  to.header.has_desired = true;
  to.header.desired = lang::text_digest(*wanted);
  return lang::print(lang::diff(from, to).value());
}

inline lang::Document empty_state() { return {lang::Kind::kState, {*Name::from("node-7"), 0, false, {}, {}}, {}}; }

inline lang::Document parsed(lang::Kind kind, const std::string& text) {
  auto document = lang::parse(kind, text);
  if (!document) {
    std::cerr << document.error().message() << "\n" << text;
    std::abort();
  }
  return *std::move(document);
}

}  // namespace mvm::test
