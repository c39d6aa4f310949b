// A whole hostd of the tests' build, with the real gate and the real sandbox, and doubles for net and jail, below a
// directory of its own. Needs root.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/supervisor/hostd_client.h"

namespace mvm::test {

class HostdProcess : public HostdClient {
 public:
  HostdProcess() {
    // In memory where there is such a place: syncs are then free, and nothing here cuts the power.
    std::string name = access("/dev/shm", W_OK) == 0 ? "/dev/shm/mvm-hostd-XXXXXX" : "/tmp/mvm-hostd-XXXXXX";
    prefix_ = mkdtemp(name.data());
    chmod(prefix_.c_str(), 0755);
    std::filesystem::create_directory(kernel());
    put(prefix_ + "/node.policy", policy_text());
    std::filesystem::create_directories(image());
    put(image() + "/manifest", kManifest);
  }
  ~HostdProcess() override {
    kill_it();
    std::filesystem::remove_all(prefix_);
  }
  HostdProcess(const HostdProcess&) = delete;
  HostdProcess& operator=(const HostdProcess&) = delete;

  // Starts it, and waits until it serves (true) or has ended (false).
  bool start(const std::string& fault = "") {
    launch(fault);
    for (int i = 0; i < 2000 && !gone(); ++i) {
      // It answers once it serves, not when the socket is there.
      auto client = planner::BrokerClient::connect(socket());
      if (client && (agent_user != "root" || client->state())) return true;
      if (client && agent_user != "root") return usleep(300'000), !gone();
      usleep(5000);
    }
    return false;
  }
  void start_and_kill(int microseconds) {
    launch("");
    usleep(static_cast<useconds_t>(microseconds));
    kill_it();
  }
  // Whether it has ended; its status is then known.
  bool gone() {
    if (pid_ <= 0) return true;
    if (waitpid(pid_, &status, WNOHANG) != pid_) return false;
    pid_ = -1;
    return true;
  }
  bool wait_gone() {
    for (int i = 0; i < 2000; ++i) {
      if (gone()) return true;
      usleep(5000);
    }
    return false;
  }
  void kill_it(int signal = SIGKILL) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    waitpid(pid_, &status, 0);
    pid_ = -1;
  }

  [[nodiscard]] std::string prefix() const { return prefix_; }
  [[nodiscard]] std::string kernel() const { return prefix_ + "/kernel"; }
  // That of kImage; of it, hostd itself reads the manifest alone.
  [[nodiscard]] std::string image() const { return prefix_ + "/state/images/" + to_hex(parse_digest(kImage)->bytes); }
  [[nodiscard]] std::string socket() const override { return prefix_ + "/run/hostd.sock"; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] auto descriptors() const {
    return std::distance(std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/fd"), {});
  }
  // Root is the agent, unless it is to be someone else.
  void act_as_agent() {}
  void act_as_root() {}
  void serve_someone_else() { agent_user = "nobody"; }
  [[nodiscard]] std::pair<uid_t, gid_t> agent() const { return {65534, 65534}; }
  // What the doubles' kernel holds, steering files aside.
  std::vector<std::string> things() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(kernel())) {
      const std::string name = entry.path().filename();
      for (const char* word : {"bridge.", "rule.", "tap.", "cgroup.", "jail.", "volume.", "luksOpen."}) {
        if (name.starts_with(word)) names.push_back(name);
      }
    }
    std::ranges::sort(names);
    return names;
  }
  void steer(const std::string& name, const std::string& text = "") { put(kernel() + "/" + name, text); }
  void unsteer(const std::string& name) { std::filesystem::remove(kernel() + "/" + name); }
  std::string violations() { return get(kernel() + "/violations"); }
  std::string errors() { return get(prefix_ + "/stderr"); }
  std::string audit_log() { return get(prefix_ + "/state/audit/log"); }
  std::string audit_head() { return get(prefix_ + "/state/audit/head"); }

  static void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  static std::string get(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::string agent_user = "root";
  std::string boot_id = "boot-1";
  int status = 0;

 private:
  void launch(const std::string& fault) {
    const std::string errors = prefix_ + "/stderr";
    pid_ = fork();
    if (pid_ == 0) {
      const int out = open(errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      dup2(out, 2);
      if (!fault.empty()) setenv("MVM_FAULT", fault.c_str(), 1);
      execl(MVM_HOSTD, MVM_HOSTD, prefix_.c_str(), MVM_GATE, MVM_FAKE_WORKER, "daemon", agent_user.c_str(), boot_id.c_str(), nullptr);
      _exit(127);
    }
  }

  std::string prefix_;
  pid_t pid_ = -1;
};

using HostdUnderTest = HostdProcess;

// The names that the doubles' kernel has for a state's lines.
inline std::vector<std::string> things_of(const lang::Document& state) {
  std::vector<std::string> names;
  for (const auto& line : state.statements) {
    std::string subject = to_string(line.subject);
    std::ranges::replace(subject, '/', '.');
    const std::string word(lang::row(line.word).name);
    const std::string net = line.subject.tenant.view() == "acme" ? "3" : "4";
    if (line.word == lang::Word::kTap) names.push_back(word + "." + net + "." + std::to_string(lang::tap_view(line).slot));
    else if (line.subject.kind == SubjectKind::kTenant) names.push_back(word + "." + net);
    else names.push_back(word + "." + subject);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace mvm::test
