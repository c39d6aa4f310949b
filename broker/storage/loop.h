// Loop devices (linux/loop.h): a file as a block device. Each is set to clear itself when its last user closes it, so that one
// is never left over: until a device stands on it, that user is us, and if we die it is gone.
// /dev is not ours to look into: the node of a device that is wanted is made for the moment, in a directory of our own.
// Owns the control node and that directory. Needs CAP_SYS_ADMIN, CAP_MKNOD. Proven by: tests/storage/open_volumes_node_test.cc, tests/sandbox/storage_ablation_node_test.cc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "broker/storage/device_mapper.h"

namespace mvm::storage {

inline constexpr std::uint32_t kLoopBlock = 4096;  // bytes; a multiple of what the disks below take, so that I/O can be direct
inline constexpr unsigned kLoopMajor = 7;

// Of "7:N"; nothing where it is no loop device.
[[nodiscard]] std::optional<unsigned> loop_number(std::string_view device);

// Held open: as long as it is, the device stays.
struct Loop {
  Fd fd;
  unsigned number = 0;
  [[nodiscard]] std::string device() const { return "7:" + std::to_string(number); }
};

// Which file it is, whatever its name: one that is deleted, or whose mount is another's, has no path that says so. A block device is one by its
// number, with no inode: its nodes come and go.
struct FileIdentity {
  dev_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};
[[nodiscard]] Result<FileIdentity> identity_of(int file);

class Loops {
 public:
  Loops(Fd control, Fd nodes) : control_(std::move(control)), nodes_(std::move(nodes)) {}

  // The file, which is open for reading, and for writing where writes are allowed.
  [[nodiscard]] Result<Loop> attach(int file, Writes writes) const;
  // kNotFound: the device has no file.
  [[nodiscard]] Result<FileIdentity> backing(unsigned number) const;

 private:
  [[nodiscard]] Result<Fd> open_node(unsigned number, Writes writes) const;
  Fd control_;
  Fd nodes_;
};

}  // namespace mvm::storage
