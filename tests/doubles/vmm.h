// The state of one doubled microVM: what its API was told, in the order it was told, and what it answers. The devices are
// real where it matters to others: a tap is opened, files are opened, the vsock's socket is bound.
// same_answers_test.py asks it and Firecracker itself the same; it is stricter where it keeps to the API description and
// Firecracker does not (a guest_cid below 3, an MMDS that is no object), and says in fewer words than serde what is wrong with a body.
// For tests only; never installed.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tests/doubles/api_table.h"
#include "tests/doubles/daemon.h"
#include "tests/doubles/guest.h"
#include "tests/doubles/memory.h"
#include "tests/doubles/mmds.h"

namespace mvm::doubles {

struct Reply {
  int status = 204;
  std::string body;
};

enum class Life { kNotStarted, kRunning, kPaused };

class Vmm {
 public:
  // `mischief`: the daemon's (daemon.h), or the balloon's. "balloon-absent": the guest has no driver of it. "balloon-stops": gives 4 MiB and no more. "no-tables": the guest
  // has written over its ACPI tables.
  // "balloon-lies": says that it has more to spare than there is in the world.
  Vmm(std::string id, std::string version, const std::string& mischief = {}) : id_(std::move(id)), version_(std::move(version)), mischief_(mischief), daemon_(std::make_unique<Daemon>(mischief)) {}

  [[nodiscard]] Reply handle(const std::string& method, const std::string& path, const std::string& body);
  [[nodiscard]] Life life() const { return life_; }
  [[nodiscard]] Guest& guest() { return guest_; }
  [[nodiscard]] Daemon& daemon() { return *daemon_; }
  [[nodiscard]] int vsock_listener() const { return vsock_; }
  // A restore that failed: Firecracker answers, and ends.
  [[nodiscard]] bool fatal() const { return fatal_; }
  // "memory": how the look at what was restored stands; "dirty N": the guest writes N pages; "canary": what stands in one
  // of them. While it runs.
  [[nodiscard]] std::string memory_command(const std::string& line);

  // The rate limiters of the device of that name, as they stand, or that there is none.
  [[nodiscard]] std::string limits_command(const std::string& id) const;
  // What the guest gets of its metadata service, by the address that is configured: mmds.h has the request and the answer.
  [[nodiscard]] std::string mmds_command(const std::string& request);

 private:
  void make_vm();
  void make_memory();
  void resume();
  [[nodiscard]] Reply create_snapshot(const nlohmann::json& body);
  [[nodiscard]] Reply load_snapshot(const nlohmann::json& body);
  [[nodiscard]] Reply restore_devices(const nlohmann::json& config);
  [[nodiscard]] Reply obey(const RequestRule& rule, const std::string& id, const nlohmann::json& body);
  [[nodiscard]] Reply act(const std::string& action);
  [[nodiscard]] Reply start();
  [[nodiscard]] Reply set_drive(const nlohmann::json& body);
  [[nodiscard]] Reply set_boot_source(const nlohmann::json& body);
  [[nodiscard]] Reply set_network(const nlohmann::json& body);
  [[nodiscard]] Reply patch_device(const char* kind, const char* name, const std::string& id, const nlohmann::json& body);
  [[nodiscard]] Reply set_vsock(const nlohmann::json& body);
  [[nodiscard]] Reply set_balloon(const nlohmann::json& body);
  [[nodiscard]] Reply resize_balloon(const nlohmann::json& body);
  [[nodiscard]] Reply tell_balloon(const std::string& what, const nlohmann::json& body);
  [[nodiscard]] nlohmann::ordered_json balloon_statistics() const;
  [[nodiscard]] std::string balloon_command() const;
  void move_balloon();
  [[nodiscard]] Reply set_mmds(const nlohmann::json& body);

  std::string id_, version_, mischief_;
  Life life_ = Life::kNotStarted;
  nlohmann::json machine_ = {{"vcpu_count", 1}, {"mem_size_mib", 128}, {"smt", false}, {"track_dirty_pages", false}, {"huge_pages", "None"}};
  nlohmann::json config_ = nlohmann::json::object();  // as GET /vm/config tells it
  std::optional<nlohmann::json> mmds_;
  Mmds service_;
  std::string boot_args_;
  Guest guest_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<Memory> memory_;  // once it has started, or was restored
  bool fatal_ = false;
  int vsock_ = -1;
  int vm_ = -1;  // held until the process ends
};

// 400 with a fault_message, as Firecracker words it.
[[nodiscard]] Reply fault(const std::string& message);

}  // namespace mvm::doubles
