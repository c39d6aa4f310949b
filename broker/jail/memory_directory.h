// What an instance has in the memory file system: <memory>/<tenant>.<pool>.<id>, bound into its jail as /memory by the process that becomes its jailer.
// Its log is there, and, while it is put to sleep, what Firecracker writes of it; while it wakes, what Firecracker is to read. The directory is
// root's, so a VMM that is broken into can make nothing in it; each of its files is made here, for as long as it is needed.
// What a VMM writes there is memory of its own cgroup, which has no swap.
//   firecracker.log   the VMM's own
//   memory, state     the VMM's, and of the group that may seal them: a snapshot as Firecracker writes it, or what is to be loaded
//   hold              the VMM's: a pipe that holds it, once it has written its state, while its memory is read
//   uffd.sock         the VMM's: where its page server listens
//   limit             root's: there while the cgroup may have more memory than its line says, for a dump; what it may have otherwise
//   lent              root's: the same for one that was woken from a file that has all of its memory, for as long as it lives
//   waking            root's: there while a page server serves it
//   touched           root's: which chunks the last wake touched
// Owns the descriptor of <memory>. Needs CHOWN. Proven by: tests/jail/sleep_kernel_test.cc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/ids.h"

namespace mvm::jail {

inline constexpr const char* kMemoryInJail = "memory";  // below the jail's root
inline constexpr const char* kLogFile = "firecracker.log";

class MemoryDirectories {
 public:
  // `path`: of `memory`, absolute. kDenied where it is on no memory file system: what is written there must never reach a disk.
  [[nodiscard]] static Result<MemoryDirectories> make(Fd memory, std::string path);

  [[nodiscard]] std::string path(const Subject& instance) const;
  // Makes it, with its log, which is the uid's. kExists: it is there.
  [[nodiscard]] Status prepare(const Subject& instance, uid_t uid) const;
  // kNotFound: there is none.
  [[nodiscard]] Result<Fd> open(const Subject& instance) const;
  // Already gone is success.
  [[nodiscard]] Status remove(const Subject& instance) const;
  [[nodiscard]] Result<std::vector<Subject>> list() const;

  // Empty files for a snapshot to be written to.
  [[nodiscard]] Status begin_dump(int directory, uid_t uid) const;
  // One for its state, and what holds the VMM that opens it for writing until it is opened for reading: a pipe with a name (fifo(7)).
  [[nodiscard]] Status begin_held_dump(int directory, uid_t uid) const;
  // An empty file for all of the memory to be opened into, for reading and writing; the VMM may read it.
  [[nodiscard]] Result<Fd> begin_memory(int directory, uid_t uid) const;
  // The state to be loaded, from a file in memory.
  [[nodiscard]] Status place_state(int directory, int state, uid_t uid) const;

 private:
  MemoryDirectories(Fd memory, std::string path, gid_t group) : memory_(std::move(memory)), path_(std::move(path)), group_(group) {}
  [[nodiscard]] Result<Fd> create(int directory, const char* name, uid_t uid, mode_t mode) const;
  Fd memory_;
  std::string path_;
  gid_t group_;  // who may seal: the group of <memory>
};

// Removes the files of that name; those that are not there are no error.
[[nodiscard]] Status remove_files(int directory, std::span<const char* const> names);
// Root's, whole at once, readable for who may seal.
[[nodiscard]] Status note(int directory, const char* name, std::string_view text);
[[nodiscard]] bool is_noted(int directory, const char* name);

// A Unix socket of the uid's that listens at uffd.sock.
[[nodiscard]] Result<Fd> listen_for_pages(int directory, uid_t uid);

// Whom the jail is for: the owner of its log, which only we set.
[[nodiscard]] Result<uid_t> jail_uid(int directory);

}  // namespace mvm::jail
