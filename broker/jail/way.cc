#include "broker/jail/way.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/fd.h"
#include "broker/beneath/beneath.h"

namespace mvm::jail {
namespace {

constexpr std::size_t kMaxMisc = 64 * 1024;

// What this kernel lacks for a page server, or nothing.
std::string missing_of_userfaultfd() {
  const Fd fd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)));
  if (!fd.valid()) return std::string("userfaultfd(2): ") + std::strerror(errno);
  uffdio_api api{.api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMOVE, .ioctls = 0};
  if (ioctl(fd.get(), UFFDIO_API, &api) != 0) return std::string("UFFD_FEATURE_EVENT_REMOVE: ") + std::strerror(errno);
  return {};
}

}  // namespace

Result<unsigned> userfaultfd_minor(const std::string& misc) {
  const Fd file(open(misc.c_str(), O_RDONLY | O_CLOEXEC));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "open", misc);
  const auto text = read_all(file.get(), kMaxMisc);
  if (!text) return forward(text.error());
  const std::size_t name = text->find(" userfaultfd\n");
  if (name == std::string::npos) return fail(Errc::kUnsupported, "find userfaultfd");
  const std::size_t line = text->rfind('\n', name) + 1;
  const std::size_t digits = text->find_first_not_of(' ', line);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text->data() + digits, text->data() + name, number);
  if (error != std::errc() || end != text->data() + name) return fail(Errc::kMalformed, "find userfaultfd", misc);
  return number;
}

Result<ChosenWay> choose_way(const std::string& misc) {
  const auto device = userfaultfd_minor(misc);
  if (!device && device.error().code == Errc::kUnsupported) return ChosenWay{Way::kWhole, "this kernel has no /dev/userfaultfd"};
  if (!device) return forward(device.error());
  std::string missing = missing_of_userfaultfd();
  return missing.empty() ? ChosenWay{} : ChosenWay{Way::kWhole, std::move(missing)};
}

}  // namespace mvm::jail
