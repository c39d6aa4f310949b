// The files of snapshots: <state>/snapshots/<tenant>/<pool>/<instance>.snap, and of a pool's base base.snap, sealed (docs/snapshot-format.md), ours, 0600, in directories that are
// ours alone, which is looked at by descriptor each time. A file is <instance>.new, or base.new, until all of it is on the disk; what has that name is nothing. One
// whose wrapped key is overwritten is spent: nobody opens it any more.
// Owns the directory <state>/snapshots. Proven by: tests/snapshot/files_test.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"

namespace mvm::snapshot {

enum class Good : std::uint8_t { kNo, kYes };  // whole, and not spent; whether its key opens it is another question

struct FoundSnapshot {
  Subject whose;
  Good good = Good::kNo;
};

class Files {
 public:
  explicit Files(Fd directory) : directory_(std::move(directory)) {}

  // `whose`: an instance, or the pool of a base.
  // An empty file to seal into. kExists: there is a snapshot of it, and it stays as it is. One that was left unfinished is removed.
  [[nodiscard]] Result<Fd> begin(const Subject& whose) const;
  // What was begun, and is sealed and synced, is its snapshot from here on, over a power cut too.
  [[nodiscard]] Status keep(const Subject& whose) const;
  // What was begun goes.
  void give_up(const Subject& whose) const;
  // For reading. kNotFound: there is none. kDenied: it is not a file of ours alone. kCorrupt: spent.
  [[nodiscard]] Result<Fd> open(const Subject& whose) const;
  // Overwrites the wrapped key, and syncs that. Whoever has the file open reads on.
  [[nodiscard]] Status spend(const Subject& whose) const;
  // Spends it, then removes it. Already gone is success.
  [[nodiscard]] Status destroy(const Subject& whose) const;
  [[nodiscard]] Result<std::vector<FoundSnapshot>> list() const;

 private:
  Fd directory_;
};

}  // namespace mvm::snapshot
