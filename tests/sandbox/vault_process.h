// A whole mvm-vault with the grants that a test gives it, below a directory of its own, and a vault of the tests' that it asks. Needs root.
#pragma once

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "planner/files.h"
#include "planner/signing.h"
#include "sealing/seal.h"
#include "sealing/wanted.h"
#include "tests/base/dumped_memory.h"
#include "tests/sandbox/ablation.h"
#include "tests/vault/samples.h"

namespace mvm::test {

class VaultProcess {
 public:
  static constexpr const char* kSigningKey = "signing-key-of-the-tests-32bytes";
  VaultProcess() {
    char name[] = "/tmp/mvm-vault-XXXXXX";
    prefix_ = mkdtemp(name);
    chmod(prefix_.c_str(), 0755);
    for (const char* each : {"/conf", "/credentials", "/wanted", "/sealed", "/state"}) std::filesystem::create_directory(prefix_ + each);
    for (const char* each : {"/credentials", "/sealed", "/state"}) {
      if (chown((prefix_ + each).c_str(), kNobodyElse, kNobodyElse) != 0) std::abort();
    }
    open_vault();
    put("/conf/ca.pem", authority_.certificate());
    const Identity ours = authority_.issue("node-7");
    put_credential("mvm-vault-cert", ours.certificate);
    put_credential("mvm-vault-key", ours.key);
    put_credential("mvm-vault-signer", kSigningKey);
  }
  ~VaultProcess() {
    kill();
    std::filesystem::remove_all(prefix_);
  }
  VaultProcess(const VaultProcess&) = delete;
  VaultProcess& operator=(const VaultProcess&) = delete;

  void start(const std::vector<seccomp::Line>& lines) {
    static const Runnable executable(MVM_VAULT_UNDER_TEST);
    process_ = start_with(executable, "vault", lines, sandbox::Channel::kSeqpacket, {},
                          {"--config", prefix_ + "/conf/vault.conf", "--ca", prefix_ + "/conf/ca.pem", "--credentials", prefix_ + "/credentials", "--wanted",
                           prefix_ + "/wanted/wanted", "--sealed", sealed(), "--starts", prefix_ + "/state/start"});
  }
  // On a port of its own, which the configuration names.
  void open_vault() {
    server_.emplace(ways(0));
    put("/conf/vault.conf", config_text(server_->port(), false, to_hex(identity_.public_key)));
  }
  void close_vault() { server_.reset(); }
  // Once more, where it was.
  void open_vault_again(std::uint16_t port) { server_.emplace(ways(port)); }
  [[nodiscard]] VaultServer& vault() { return *server_; }

  void want(const std::vector<sealing::Label>& labels, std::uint64_t generation = 42) const {
    auto offer = sealing::to_be_signed({*Name::from("node-7"), 1, session_.public_key()});
    const auto signature = planner::sign(identity_.private_pem, {reinterpret_cast<const char*>(offer.data()), offer.size()}).value();
    offer.insert(offer.end(), signature.begin(), signature.end());
    const auto bytes = sealing::write_wanted(offer, generation, labels).value();
    put("/wanted/wanted", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  static sealing::Label key(const char* tenant, std::uint32_t version = 1, std::uint64_t generation = 42) {
    return {*Name::from("node-7"), sealing::Purpose::kTenantKey, *Name::from(tenant), version, {}, generation};
  }
  // What its envelope holds for hostd; nothing where there is none.
  [[nodiscard]] std::optional<std::string> opened(const sealing::Label& label) const {
    std::ifstream file(sealed() + "/" + sealing::envelope_name(label), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const auto secret = session_.open(label, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    if (!secret) return std::nullopt;
    return std::string(secret->bytes().begin(), secret->bytes().end());
  }
  [[nodiscard]] bool has(const sealing::Label& label) const {
    return comes_to([&] { return opened(label) == key_in_vault(std::string(label.tenant.view()), std::to_string(label.version)); });
  }
  [[nodiscard]] bool says(const std::string& text) const {
    return comes_to([&] { return status().find(text) != std::string::npos; });
  }
  [[nodiscard]] std::string status() const {
    std::ifstream file(sealed() + "/status.json");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  void signal(int number) const { syscall(SYS_pidfd_send_signal, process_->pidfd.get(), number, nullptr, 0); }
  void kill() {
    if (process_) kill_and_wait(*process_);
    process_.reset();
  }
  [[nodiscard]] bool lives() const {
    pollfd waited{.fd = process_->pidfd.get(), .events = POLLIN, .revents = 0};
    return poll(&waited, 1, 0) == 0;
  }
  // Whether that comes to be within ten seconds, and the process has not died of it.
  bool comes_to(const std::function<bool()>& wanted) const {
    for (int i = 0; i < 2000 && lives(); ++i) {
      if (wanted()) return true;
      usleep(5000);
    }
    return false;
  }
  // Its exit code, or minus the signal that ended it; nothing where it has not ended within ten seconds.
  std::optional<int> ended() {
    for (int i = 0; i < 2000 && lives(); ++i) usleep(5000);
    if (lives()) return std::nullopt;
    const int how = test::ended(*process_);
    process_.reset();
    return how;
  }
  void put(const std::string& name, const std::string& text) const {
    if (!planner::replace_file(prefix_ + name, text, 0644)) std::abort();
  }
  void put_credential(const std::string& name, const std::string& text, unsigned mode = 0400) const {
    const std::string path = prefix_ + "/credentials/" + name;
    if (!planner::replace_file(path, text, mode) || chown(path.c_str(), kNobodyElse, kNobodyElse) != 0) std::abort();
  }
  [[nodiscard]] std::string prefix() const { return prefix_; }
  [[nodiscard]] std::string sealed() const { return prefix_ + "/sealed"; }
  [[nodiscard]] std::string process_status() const { return status_of(*process_); }
  // Whether the text is in memory of the process that a core dump would have, had it one.
  [[nodiscard]] bool is_where_it_is_dumped(const std::string& text) const {
    std::vector<std::uint8_t> masked;
    for (const char byte : text) masked.push_back(static_cast<std::uint8_t>(~byte));
    return is_dumped(pid_of(*process_), masked);
  }

 private:
  [[nodiscard]] VaultServer::Ways ways(std::uint16_t port) const {
    return {authority_.issue(kServerName), authority_.certificate(), true, VaultServer::Way::kVault, false, port, &key_in_vault};
  }

  SecretArena arena_ = SecretArena::make().value();
  sealing::Session session_ = sealing::Session::make(arena_).value();
  planner::KeyPair identity_ = planner::generate_key().value();
  Authority authority_;
  std::string prefix_;
  std::optional<VaultServer> server_;
  std::optional<sandbox::Worker> process_;
};

}  // namespace mvm::test
