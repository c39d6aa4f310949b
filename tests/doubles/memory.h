// The memory of a doubled microVM. Every page has a content that follows from a seed, its number and how often it was written, so what has
// to be there is known without being kept. A fresh guest's memory is mapped, and holds that from its first snapshot on; a restored one is mapped
// from a file or watched by a userfaultfd, exactly as Firecracker has it (src/vmm/src/persist.rs, vstate/memory.rs, v1.16.1), and a
// vCPU touches all of it in a random order and compares every byte. Where Firecracker puts its ACPI tables' root (arch/x86_64/layout.rs), there is one. Pages that the guest gave to its balloon are zeros from then on, until it writes to them.
// For tests only; never installed.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace mvm::doubles {

inline constexpr std::size_t kPage = 4096;

enum class Pages { kAll, kDirty };

class Memory {
 public:
  Memory(std::uint64_t bytes, std::uint64_t seed);
  // Of a state file; not mapped yet. Throws where it is none.
  explicit Memory(const nlohmann::json& state);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  [[nodiscard]] nlohmann::json state() const;
  // Throw std::runtime_error with Firecracker's words. Huge: 2 MiB pages.
  void map_file(const std::string& path);
  void map_uffd(const std::string& socket, bool huge);
  // The VMM itself looks at guest memory when it restores its devices: returns once that page is there.
  void touch_first() const;

  // From here on a fresh guest's memory holds what it has to; pages of zeros are not there.
  void lay_out();
  // The image, as PUT /snapshot/create writes it: all of it, or what was written since the last one, the rest left as it was or a hole. It is laid out.
  void write_image(const std::string& path, Pages which) const;
  void image_written() { dirty_.clear(); }
  // The guest gives `count` pages that it never wrote to its balloon, from the end down, or as many as it has, as Firecracker takes them
  // (GuestMemoryExtension::discard_range); and has all of them back.
  void give(std::uint64_t count);
  void take_back();
  [[nodiscard]] std::uint64_t given() const { return held_.size(); }
  // Pages that it could give, the given among them: three of four, less what was written.
  [[nodiscard]] std::uint64_t spare() const { return bytes_ / kPage / 4 * 3 - std::min(bytes_ / kPage / 4 * 3, written_.size()); }
  // The guest writes `count` pages.
  void dirty(std::uint64_t count);
  // 32 bytes that stand in a page that was written, and nowhere else in the world, as hex digits; none were: "".
  [[nodiscard]] std::string canary() const;

  // vCPUs run, or stand still. Running the first time after a restore, they look at every page.
  void run();
  void pause() { running_ = false; }
  // "fresh", or "checked=N of=M wrong=K".
  [[nodiscard]] std::string report() const;
  [[nodiscard]] bool looked_at_all() const { return fresh_ || checked_ == bytes_ / kPage; }
  // The guest's own doing: who looks for its tables finds none any more.
  void lose_tables() { has_tables_ = false; }

 private:
  struct Region {
    std::uint8_t* at;
    std::uint64_t size, offset;
  };
  // Of no file, and of what the kernel gives.
  void map_anonymous(int more_flags);
  [[nodiscard]] std::uint8_t* page_at(std::uint64_t page) const;
  void fill(std::uint64_t page, std::uint8_t* into) const;  // what has to be there
  void check_all();
  [[nodiscard]] std::vector<std::uint64_t> sizes() const;
  void discard(std::uint64_t page) const;

  std::uint64_t bytes_, seed_;
  std::map<std::uint64_t, std::uint64_t> written_;  // how often, for pages that were
  std::set<std::uint64_t> dirty_;                   // since the last snapshot
  std::set<std::uint64_t> held_;                    // in the balloon
  std::set<std::uint64_t> zeros_;                   // that were, and were not written to since
  bool of_file_ = false, fresh_ = false, laid_out_ = false, has_tables_ = true;
  std::mutex looking_;  // the vCPU's: between its looks nothing changes what has to be there
  std::vector<Region> regions_;
  int userfaultfd_ = -1;
  std::thread vcpu_;
  std::atomic<bool> running_ = false, ending_ = false;
  std::atomic<std::uint64_t> checked_ = 0, wrong_ = 0;
};

}  // namespace mvm::doubles
