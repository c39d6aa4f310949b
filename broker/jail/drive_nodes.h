// A device-mapper device, found by its name and given to one jail by a node of its own. The name follows from the instance, and
// who makes such devices is the storage worker; what is found is what the kernel says of the name, not what anybody told.
// Owns nothing. Needs MKNOD, CHOWN. Proven by: tests/jail/drive_nodes_test.cc, tests/node/storage/.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"

namespace mvm::jail {

// The live device of that name. kNotFound: there is none. `block`: an open directory, /sys/block.
[[nodiscard]] Result<dev_t> device_named(int block, const std::string& device);

// Makes `name` in `directory`, a node of the device, 0600, and gives it to the uid. kExists: something is there.
[[nodiscard]] Status place_device(int directory, const std::string& name, const std::string& device, uid_t uid);

}  // namespace mvm::jail
