// The hostd that systemd runs on this node, asked as agentd's user. The test itself is root, to see what is on the node before and
// after; the node's policy names the tests' key beside its own (refusals_test.sh).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "tests/supervisor/hostd_client.h"

namespace mvm::test {

class HostdUnderTest : public HostdClient {
 public:
  HostdUnderTest() {
    const passwd* agent = getpwnam("mvm");
    if (agent != nullptr) agent_ = {agent->pw_uid, agent->pw_gid};
  }
  ~HostdUnderTest() override { act_as_root(); }

  bool start() {
    pid_ = std::atoi(run("systemctl show -p MainPID --value mvm-hostd").c_str());
    at_start_ = inventory();
    return pid_ > 0 && !at_start_.empty();
  }
  bool gone() { return !std::filesystem::exists("/proc/" + std::to_string(pid_)); }

  void act_as_agent() {
    if (setegid(agent_.second) != 0 || seteuid(agent_.first) != 0) std::abort();
  }
  void act_as_root() {
    if (seteuid(0) != 0 || setegid(0) != 0) std::abort();
  }
  void serve_someone_else() {}
  [[nodiscard]] std::pair<uid_t, gid_t> agent() const { return agent_; }

  [[nodiscard]] std::string socket() const override { return wire::kBrokerSocket; }
  // What hostd could have made, or let go of, since start(). What takes a moment to go (a connection's end) has it.
  std::vector<std::string> things() {
    const bool as_agent = geteuid() != 0;
    act_as_root();
    std::vector<std::string> changed;
    for (int i = 0; i < 50; ++i) {
      changed.clear();
      std::ranges::set_symmetric_difference(at_start_, inventory(), std::back_inserter(changed));
      if (changed.empty()) break;
      usleep(100'000);
    }
    if (as_agent) act_as_agent();
    return changed;
  }
  std::string errors() { return as_root("journalctl --no-pager -u mvm-hostd -n 20"); }
  std::string audit_log() { return as_root("cat /var/lib/mvm/audit/log"); }
  std::string descriptors() { return as_root("ls /proc/" + std::to_string(pid_) + "/fd"); }

 private:
  static std::string run(const std::string& command) {
    std::string text;
    FILE* const pipe = popen(command.c_str(), "re");
    if (pipe == nullptr) return text;
    std::array<char, 4096> part{};
    for (std::size_t got = 0; (got = fread(part.data(), 1, part.size(), pipe)) > 0;) text.append(part.data(), got);
    pclose(pipe);
    return text;
  }
  std::string as_root(const std::string& command) {
    const bool as_agent = geteuid() != 0;
    act_as_root();
    std::string text = run(command);
    if (as_agent) act_as_agent();
    return text;
  }
  // Links, cgroups, hostd's files and its open descriptors. All that is on the node is compared by refusals_test.sh, which takes longer.
  [[nodiscard]] std::vector<std::string> inventory() const {
    std::vector<std::string> lines;
    std::error_code gone;
    for (const auto& link : std::filesystem::directory_iterator("/sys/class/net", gone)) lines.push_back(link.path());
    for (const char* directory : {"/sys/fs/cgroup/mvm.slice", "/var/lib/mvm", "/run/mvm"}) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, gone)) lines.push_back(entry.path());
    }
    for (const auto& open : std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/fd", gone)) {
      lines.push_back("descriptor " + open.path().filename().string());
    }
    std::ranges::sort(lines);
    return lines;
  }

  std::pair<uid_t, gid_t> agent_;
  pid_t pid_ = -1;
  std::vector<std::string> at_start_;
};

}  // namespace mvm::test
