#include "broker/sandbox/capset.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

namespace mvm::sandbox {
namespace {

constexpr unsigned kCapsThatCanBe = 64;

CapSet joined(std::uint32_t low, std::uint32_t high) { return CapSet{high} << 32 | low; }

// The capabilities that this kernel has and for which `option` (or option with `arg2`) says 1. EINVAL ends the list.
CapSet those_with(int option, bool is_ambient) {
  CapSet found = 0;
  for (unsigned cap = 0; cap < kCapsThatCanBe; ++cap) {
    const int has = is_ambient ? prctl(option, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) : prctl(option, cap, 0, 0, 0);
    if (has < 0) break;
    if (has == 1) found |= cap_bit(cap);
  }
  return found;
}

}  // namespace

Result<int> call_prctl(int option, unsigned long arg2, unsigned long arg3, const char* tried) {
  const int value = prctl(option, arg2, arg3, 0, 0);
  const int saved_errno = errno;
  if (value < 0) return fail_errno(saved_errno, tried);
  return value;
}

Result<CapSets> cap_sets() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "capget");
  }
  return CapSets{.effective = joined(data[0].effective, data[1].effective),
                 .permitted = joined(data[0].permitted, data[1].permitted),
                 .inheritable = joined(data[0].inheritable, data[1].inheritable),
                 .ambient = those_with(PR_CAP_AMBIENT, true),
                 .bounding = those_with(PR_CAPBSET_READ, false)};
}

Status set_caps(CapSet effective, CapSet permitted, CapSet inheritable) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  const auto word = [](CapSet set, unsigned index) { return static_cast<std::uint32_t>(set >> (32 * index)); };
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  for (unsigned i = 0; i < data.size(); ++i) {
    data[i] = {.effective = word(effective, i), .permitted = word(permitted, i), .inheritable = word(inheritable, i)};
  }
  if (syscall(SYS_capset, &header, data.data()) != 0) {
    const int saved_errno = errno;
    return fail_errno(saved_errno, "capset");
  }
  return {};
}

Status raise_ambient(CapSet caps) {
  for (unsigned cap = 0; cap < kCapsThatCanBe; ++cap) {
    if ((caps & cap_bit(cap)) == 0) continue;
    if (auto ok = call_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, "raise an ambient capability"); !ok) {
      return forward(std::move(ok.error()));
    }
  }
  return {};
}

Status drop_bounding(CapSet keep) {
  const CapSet drop = those_with(PR_CAPBSET_READ, false) & ~keep;
  for (unsigned cap = 0; cap < kCapsThatCanBe; ++cap) {
    if ((drop & cap_bit(cap)) == 0) continue;
    if (auto ok = call_prctl(PR_CAPBSET_DROP, cap, 0, "drop a capability from the bounding set"); !ok) {
      return forward(std::move(ok.error()));
    }
  }
  return {};
}

}  // namespace mvm::sandbox
