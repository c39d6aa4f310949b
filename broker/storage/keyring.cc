#include "broker/storage/keyring.h"

#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace mvm::storage {

Result<KernelKey> KernelKey::add(const std::string& description, const Secret& key) {
  const long serial = syscall(SYS_add_key, "logon", description.c_str(), key.bytes().data(), key.size(), KEY_SPEC_THREAD_KEYRING);
  const int saved = errno;
  if (serial < 0) return fail_errno(saved, "give the kernel the volume's key");
  return KernelKey(static_cast<std::int32_t>(serial));
}

// Revoked, so that it is gone even where something else has a link to it.
KernelKey::~KernelKey() {
  if (serial_ == 0) return;
  syscall(SYS_keyctl, KEYCTL_REVOKE, serial_, 0, 0, 0);
  syscall(SYS_keyctl, KEYCTL_UNLINK, serial_, KEY_SPEC_THREAD_KEYRING, 0, 0);
}

}  // namespace mvm::storage
