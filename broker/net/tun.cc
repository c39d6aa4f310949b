#include "broker/net/tun.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>

namespace mvm::net {
namespace {

Status control(const Fd& tap, unsigned long request, unsigned long value, const char* tried, const std::string& name) {
  if (ioctl(tap.get(), request, value) == 0) return {};
  const int saved = errno;
  return fail_errno(saved, tried, name);
}

}  // namespace

Result<Fd> hold_tap(const std::string& name, std::uint32_t uid, IfThere there) {
  Fd tap(open("/dev/net/tun", O_RDWR | O_CLOEXEC));
  if (!tap.valid()) {
    const int saved = errno;
    return fail_errno(saved, "open", "/dev/net/tun");
  }
  ifreq request{};
  if (name.size() >= sizeof request.ifr_name) return fail(Errc::kLimit, "make the tap", name);
  std::ranges::copy(name, request.ifr_name);
  request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (there == IfThere::kRefuse ? IFF_TUN_EXCL : 0));
  if (ioctl(tap.get(), TUNSETIFF, &request) != 0) {
    const int saved = errno;
    if (saved == EBUSY) return forward(Error{Errc::kBusy, saved, "make the tap", name});
    return fail_errno(saved, "make the tap", name);
  }
  if (Status set = control(tap, TUNSETOWNER, uid, "give the tap its owner", name); !set) return forward(std::move(set.error()));
  if (Status set = control(tap, TUNSETGROUP, uid, "give the tap its group", name); !set) return forward(std::move(set.error()));
  return tap;
}

Status keep_tap(const Fd& tap, const std::string& name) { return control(tap, TUNSETPERSIST, 1, "keep the tap", name); }

}  // namespace mvm::net
