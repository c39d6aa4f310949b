// Each grant of a process taken away in turn: something must fail, or nothing needed it. A scenario starts the worker under
// test with the grants it is given, makes it do all that it is for, and says whether all of that worked.
#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "broker/sandbox/spawn.h"
#include "tests/sandbox/given_grants.h"
#include "tests/sandbox/worker_process.h"

namespace mvm::test {

inline std::vector<seccomp::Line> policy_of(const std::string& process) {
  return seccomp::read_policy(MVM_POLICIES "/" + process + ".policy");
}

// What gives a process something, and can be seen to be needed here. A user and a limit take away. jail.policy says what the
// first words of a reason mean: "real" is seen only with the real Firecracker and jailer, "published" and "musl" are held to
// what is known of them (jail_calls_test.cc), "slow" takes half a minute; "drives" has to do with
// devices of device-mapper, and is seen in the node VM (tests/node/storage/); "where the vDSO" depends on the machine's clock, "where there is no
// memfd_secret" on its kernel, and "later" takes minutes, or somebody who stops it.
inline bool gives(const seccomp::Line& line) {
  if (line.what == "user" || line.what == "limit") return false;
  for (const char* elsewhere : {"musl", "published", "drives", "where the vDSO", "where there is no memfd_secret", "later"}) {
    if (line.reason.starts_with(elsewhere)) return false;
  }
  if (line.reason.starts_with("real")) return std::getenv("MVM_FIRECRACKER_DIR") != nullptr;
  return !line.reason.starts_with("slow") || std::getenv("MVM_SLOW_TESTS") != nullptr;
}

// The numbers of the policy's lines that give something.
inline std::vector<std::size_t> grants_of(const std::string& process) {
  std::vector<std::size_t> found;
  const auto lines = policy_of(process);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (gives(lines[i])) found.push_back(i);
  }
  return found;
}

inline std::vector<seccomp::Line> without(std::vector<seccomp::Line> lines, std::size_t taken) {
  lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(taken));
  return lines;
}

inline std::string name_of_grant(const std::string& process, std::size_t number) {
  std::string name = policy_of(process)[number].text();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return std::to_string(number) + "_" + name;
}

// A worker under test with those grants. `executable` begins with given_grants().
inline sandbox::Worker start_with(const Runnable& executable, const std::string& process, const std::vector<seccomp::Line>& lines,
                                  sandbox::Channel channel, std::vector<int> extra = {}, std::vector<std::string> arguments = {}) {
  const seccomp::Compiled compiled(process, lines);
  const Fd policy = to_give(lines);
  extra.insert(extra.begin(), policy.get());
  const bool root = compiled.grants().over_exec == sandbox::OverExec::kCapabilities;
  const sandbox::User user = root ? sandbox::User{0, 0} : sandbox::User{kNobodyElse, kNobodyElse};
  return started({.executable = executable.fd(), .grants = compiled.grants(), .user = user, .channel = channel, .extra = extra, .arguments = arguments});
}

}  // namespace mvm::test

// One test a grant, named after it, and one that all of them together are enough. `scenario`: bool(const std::vector<Line>&).
#define MVM_ABLATION(Suite, process, scenario)                                                                         \
  class Suite : public ::testing::TestWithParam<std::size_t> {};                                                       \
  TEST_P(Suite, IsNeeded) {                                                                                            \
    const auto lines = ::mvm::test::policy_of(process);                                                                \
    EXPECT_FALSE(scenario(::mvm::test::without(lines, GetParam()))) << "nothing needs: " << lines[GetParam()].text();  \
  }                                                                                                                    \
  INSTANTIATE_TEST_SUITE_P(Grant, Suite, ::testing::ValuesIn(::mvm::test::grants_of(process)),                         \
                           [](const auto& test) { return ::mvm::test::name_of_grant(process, test.param); });          \
  TEST(Suite##Whole, IsEnough) { EXPECT_TRUE(scenario(::mvm::test::policy_of(process))); }
