// A whole agentd with the grants that a test gives it, below a directory of its own; hostd is played by the test. Needs root.
#pragma once

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "planner/files.h"
#include "planner/keys.h"
#include "planner/signing.h"
#include "tests/planner/played_broker.h"
#include "tests/planner/texts.h"
#include "tests/sandbox/ablation.h"

namespace mvm::test {

class AgentdProcess {
 public:
  AgentdProcess() {
    char name[] = "/tmp/mvm-agentd-XXXXXX";
    prefix_ = mkdtemp(name);
    chmod(prefix_.c_str(), 0755);
    for (const char* each : {"desired", "policy", "run", "sealed", "vault"}) std::filesystem::create_directory(prefix_ + "/" + each);
    if (chown(run().c_str(), kNobodyElse, kNobodyElse) != 0) std::abort();
    pair_ = planner::generate_key().value();
    put_policy(policy_text(to_hex(pair_.public_key)));
  }
  ~AgentdProcess() {
    kill();
    std::filesystem::remove_all(prefix_);
  }
  AgentdProcess(const AgentdProcess&) = delete;
  AgentdProcess& operator=(const AgentdProcess&) = delete;

  void start(const std::vector<seccomp::Line>& lines) {
    static const Runnable executable(MVM_AGENTD_UNDER_TEST);
    agentd_ = start_with(executable, "agentd", lines, sandbox::Channel::kSeqpacket, {},
                         {"--desired", desired(), "--policy", policy_file(), "--socket", socket(), "--status", status_file(), "--sealed", sealed(), "--vault", vault(), "--listen", own_socket()});
  }
  // hostd, with an empty host. What it answers to a plan is the caller's to say.
  [[nodiscard]] PlayedBroker play_hostd(std::vector<wire::Event> answers, const lang::Document& state = empty_state(),
                                        std::vector<std::uint8_t> offer = {}) const {
    return PlayedBroker(socket(), state, std::move(answers), std::move(offer));
  }

  void put_policy(const std::string& text) const { put(policy_file(), text); }
  void want(const std::string& text) const {
    const planner::Signature signature = *planner::sign(pair_.private_pem, text);
    put(desired() + "/p.projection.sig", {reinterpret_cast<const char*>(signature.data()), signature.size()});
    put(desired() + "/p.projection", text);
  }
  // Something happens in the directory, so that it looks again at once.
  void nudge() const { put(desired() + "/nudge", ""); }
  void signal(int number) const { syscall(SYS_pidfd_send_signal, agentd_->pidfd.get(), number, nullptr, 0); }

  void kill() {
    if (agentd_) kill_and_wait(*agentd_);
    agentd_.reset();
  }
  [[nodiscard]] bool lives() const {
    pollfd waited{.fd = agentd_->pidfd.get(), .events = POLLIN, .revents = 0};
    return poll(&waited, 1, 0) == 0;
  }
  // Whether that comes to be within ten seconds, and agentd has not died of it. It is nudged now and then.
  bool comes_to(const std::function<bool()>& wanted) const {
    for (int i = 0; i < 2000 && lives(); ++i) {
      if (wanted()) return true;
      if (i % 100 == 99) nudge();
      usleep(5000);
    }
    return false;
  }
  // Whether its status comes to hold that text.
  bool says(const std::string& text) const {
    return comes_to([&] { return status().find(text) != std::string::npos; });
  }
  // Its exit code, or minus the signal that ended it; nothing where it has not ended within ten seconds.
  std::optional<int> ended() {
    for (int i = 0; i < 2000 && lives(); ++i) usleep(5000);
    if (lives()) return std::nullopt;
    const int how = test::ended(*agentd_);
    agentd_.reset();
    return how;
  }

  [[nodiscard]] std::string status() const {
    std::ifstream file(status_file());
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  [[nodiscard]] std::string process_status() const { return status_of(*agentd_); }
  [[nodiscard]] std::string desired() const { return prefix_ + "/desired"; }
  [[nodiscard]] std::string sealed() const { return prefix_ + "/sealed"; }
  [[nodiscard]] std::string vault() const { return prefix_ + "/vault"; }
  [[nodiscard]] std::string wanted_file() const { return run() + "/wanted"; }
  [[nodiscard]] std::string offer_file() const { return run() + "/offer"; }
  [[nodiscard]] std::string policy_file() const { return prefix_ + "/policy/node.policy"; }
  [[nodiscard]] std::string run() const { return prefix_ + "/run"; }
  [[nodiscard]] std::string socket() const { return prefix_ + "/hostd.sock"; }
  [[nodiscard]] std::string own_socket() const { return run() + "/agentd.sock"; }
  [[nodiscard]] std::string status_file() const { return run() + "/status.json"; }

  static void put(const std::string& path, const std::string& text) {
    if (!planner::replace_file(path, text, 0644)) std::abort();
  }

 private:
  std::string prefix_;
  planner::KeyPair pair_;
  std::optional<sandbox::Worker> agentd_;
};

inline wire::Refused a_refusal() {
  wire::Refused refused;
  refused.refusal = {lang::Rule::kFreshness, 5, 0, "base", "the host has changed", "plan again"};
  return refused;
}

constexpr sealing::PublicKey kOffered = {7, 7, 7};

// As hostd makes one, by no identity of anyone's: agentd does not look.
inline std::vector<std::uint8_t> an_offer() {
  auto offer = sealing::to_be_signed({*Name::from("node-7"), 1, kOffered});
  offer.resize(sealing::kOfferBytes);
  return offer;
}

// What stands on it is right, and nothing is in it: agentd has nothing to open it with.
inline std::vector<std::uint8_t> an_envelope(const sealing::Label& label) {
  const std::vector<std::uint8_t> ciphertext(sealing::kTenantKeyBytes + sealing::kSealedTagBytes, 0x5a);
  auto envelope = sealing::to_be_signed(sealing::begin_envelope(label, kOffered, {}).value(), {}, ciphertext);
  envelope.resize(envelope.size() + sizeof(sealing::Signature));
  return envelope;
}

// As much as a tenant may have, so that memory has to grow.
inline std::string a_projection(std::uint64_t generation, int running = 40) {
  return projection_text(generation, kPrune + tenant("acme", 3) + pool("acme/web", {.running = running}));
}

}  // namespace mvm::test
