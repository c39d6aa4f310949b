// A device-mapper device, found by its name and given to one jail by a node of its own. The name follows from the instance or the image, and
// who makes such devices is the storage worker; what is found is what the kernel says of the name, not what anybody told.
// Owns nothing. Needs MKNOD, CHOWN. Proven by: tests/jail/drive_nodes_test.cc, tests/node/storage/.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/error.h"

namespace mvm::jail {

enum class Use : std::uint8_t { kReadWrite, kRead };

// The live device of that name. kNotFound: there is none. kDenied: not for that use. `block`: an open directory, /sys/block.
[[nodiscard]] Result<dev_t> device_named(int block, const std::string& device, Use use);

struct DriveNode {
  std::string name;
  std::string device;
  Use use = Use::kReadWrite;
  uid_t uid = 0;  // and gid
};

// Makes a node of the device in `directory`, its uid's alone, 0600 or 0400. kExists: something is there. kDenied: it is to be read, and the device
// can be written to.
[[nodiscard]] Status place_device(int block, int directory, const DriveNode& node);

}  // namespace mvm::jail
