// A small node for tests of the verifier: a policy, a projection and a state that tests change, and a verdict as one string.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "build.h"
#include "policy-lang/print.h"
#include "policy-lang/verify.h"

namespace mvm::lang::build {

inline const std::string kFirst = "acme/web/i-00000001";
inline const std::string kSecond = "acme/web/i-00000002";
inline const std::string kThird = "acme/web/i-00000003";
inline const std::string kOfBeta = "beta/db/i-0000000b";

// `texts` with `from` replaced by `to`; it must be there.
inline std::string with(std::string text, std::string_view from, std::string_view to) {
  const auto found = text.find(from);
  if (found == std::string::npos) bad("not there", from);
  return text.replace(found, from.size(), to);
}

// Lines of an instance of acme/web, on which a jail may stand.
inline Texts stand(const std::string& instance, int slot = 3) {
  return {"cgroup " + instance + " cpu=200 mem=1152 pids=64 io=10",
          "volume " + instance + " mib=2048 key=acme/1",
          "luksOpen " + instance + " key=acme/1",
          "secrets " + instance + " digest=d7",
          "config " + instance + " digest=d8",
          "tap " + instance + " slot=" + std::to_string(slot) + " pps=0 mbps=0"};
}
inline std::string jail(const std::string& instance, const std::string& state = "running", const std::string& guest = "awake",
                        const std::string& boot = "cold") {
  return "jail " + instance + " image=d1 vcpus=2 mem=1024 boot=" + boot + " state=" + state + " guest=" + guest;
}
inline Texts running(const std::string& instance, int slot = 3) { return stand(instance, slot) + Texts{jail(instance)}; }
inline Texts warm(const std::string& instance, int slot = 3) { return stand(instance, slot) + Texts{jail(instance, "warm", "parked")}; }
inline std::string volume(const std::string& instance) { return stand(instance).at(1); }
inline std::string snapshot(const std::string& instance, int slot = 3, int seq = 1) {
  return "snapshot " + instance + " kind=full base=none key=acme/1 compression=zstd slot=" + std::to_string(slot) + " seq=" + std::to_string(seq);
}
// The base of acme/web that is a copy of that snapshot, and a diff on a base.
inline std::string base(const std::string& snapshot_line, const std::string& key = "acme/1") {
  return "base acme/web snapshot=" + to_string(snapshot_digest(line(snapshot_line))) + " image=d1 mem=1024 key=" + key;
}
inline std::string diff_on(const std::string& base_line, const std::string& instance, int slot = 3, int seq = 1) {
  return "snapshot " + instance + " kind=diff base=" + to_string(snapshot_digest(line(base_line))) + " key=acme/1 compression=zstd slot=" + std::to_string(slot) + " seq=" + std::to_string(seq);
}
inline std::string boots(const std::string& snapshot_line) { return "snapshot:" + to_string(snapshot_digest(line(snapshot_line))); }
inline Texts sleeping(const std::string& instance, int slot = 3, int seq = 1) { return {volume(instance), snapshot(instance, slot, seq)}; }

inline const std::string kBridge = "bridge acme net=3 subnet=10.240.3.0/24";
inline const std::string kRule = "rule acme egress=nat pps=0 mbps=100 cps=0";
inline const Texts kNetwork = {kBridge, kRule};

struct World {
  Texts policy = {"cidr subnet=10.240.0.0/12",
                  "uids first=100000 count=1048576",
                  "limits tenants=4 instances=20 vcpus=40 mem=40960 disk=81920",
                  "instance pids=64 io=10 pps=0 mbps=0",
                  "encrypt data=yes snapshots=yes",
                  "coordinator key=d99"};
  Texts projection = {"prune tenants=no pools=no",
                      "tenant acme net=3 subnet=10.240.3.0/24 vcpus=8 mem=4096 running=4 warm=2 pools=2 instances=6 disk=12288 secrets=d7",
                      kRule,
                      "pool acme/web image=d1 vcpus=2 mem=1024 data=2048 running=3 warm=1 sleeping=1 pinned=no critical=no compression=zstd config=d8",
                      "tenant beta net=4 subnet=10.240.4.0/24 vcpus=8 mem=8192 running=4 warm=2 pools=2 instances=8 disk=16384 secrets=none",
                      "pool beta/db image=d2 vcpus=1 mem=512 data=0 running=2 warm=1 sleeping=1 pinned=no critical=no compression=none config=none"};
  Texts state = kNetwork;
  std::uint64_t generation = 7;        // of plan and projection
  std::uint64_t state_generation = 6;

  // One word of one line of a text, exchanged.
  static void edit(Texts& texts, std::string_view line_start, std::string_view from, std::string_view to) {
    const auto found = std::ranges::find_if(texts, [&](const std::string& text) { return text.starts_with(line_start); });
    if (found == texts.end()) bad("no such line", line_start);
    *found = with(*found, from, to);
  }
  static void drop(Texts& texts, std::string_view line_start) {
    if (std::erase_if(texts, [&](const std::string& text) { return text.starts_with(line_start); }) == 0) bad("no such line", line_start);
  }

  [[nodiscard]] Document header(Document text, std::uint64_t of_generation) const {
    text.header.node = name("node-7");
    text.header.generation = of_generation;
    return text;
  }
  [[nodiscard]] Document policy_text() const { return header(document(Kind::kPolicy, policy), 0); }
  [[nodiscard]] Document projection_text() const { return header(document(Kind::kProjection, projection), generation); }
  [[nodiscard]] Document state_text() const { return header(document(Kind::kState, state), state_generation); }
  [[nodiscard]] Document plan_text(const Texts& statements) const {
    Document plan = header(document(Kind::kPlan, statements), generation);
    plan.header.has_desired = true;
    plan.header.desired = text_digest(projection_text());
    plan.header.base = text_digest(state_text());
    return plan;
  }

  [[nodiscard]] std::string verdict(const Texts& statements) const { return verdict(plan_text(statements)); }
  [[nodiscard]] std::string verdict(Document plan) const { return verdict(std::move(plan), policy_text(), projection_text(), state_text()); }
  // "accepted", or "V2 line 6: why".
  [[nodiscard]] static std::string verdict(Document plan, const Document& policy, const Document& projection, const Document& state) {
    return told(verify(std::move(plan), {.state = state, .projection = projection, .policy = policy}));
  }
  template <class T>
  [[nodiscard]] static std::string told(const Checked<T>& checked) {
    if (checked) return "accepted";
    const Refusal& refusal = checked.error();
    EXPECT_NE(refusal.why, "");
    EXPECT_NE(refusal.remedy, "") << refusal.why;
    EXPECT_EQ(refusal.statement.empty(), refusal.line == 0) << refusal.why;
    return "V" + std::to_string(static_cast<int>(refusal.rule)) + " line " + std::to_string(refusal.line) + ": " + refusal.why;
  }
};

inline auto refused(std::string_view rule, int line, std::string_view why) {
  return testing::AllOf(testing::StartsWith(std::string(rule) + " line " + std::to_string(line) + ": "), testing::HasSubstr(std::string(why)));
}

// A test case with a World of its own.
class Verify : public testing::Test, public World {};

}  // namespace mvm::lang::build
