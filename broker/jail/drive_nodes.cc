#include "broker/jail/drive_nodes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/fd.h"
#include "broker/beneath/beneath.h"

namespace mvm::jail {
namespace {

constexpr std::size_t kMaxSmallFile = 256;

// "MAJOR:MINOR\n"
Result<dev_t> read_number(const std::string& text, const std::string& device) {
  unsigned first = 0, second = 0;
  const char* const end = text.data() + text.size();
  const auto at = std::from_chars(text.data(), end, first);
  if (at.ec != std::errc() || at.ptr == end || *at.ptr != ':') return fail(Errc::kMalformed, "read the number of a device", device);
  const auto rest = std::from_chars(at.ptr + 1, end, second);
  if (rest.ec != std::errc()) return fail(Errc::kMalformed, "read the number of a device", device);
  return makedev(first, second);
}

// One line of a file of the device's, by the link that sysfs has for it: the only links that are followed here are the kernel's own.
Result<std::string> line_of(int block, const std::string& path) {
  const Fd file(openat(block, path.c_str(), O_RDONLY | O_CLOEXEC));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "open", path);
  auto text = read_all(file.get(), kMaxSmallFile);
  if (text && text->ends_with('\n')) text->pop_back();
  return text;
}

}  // namespace

Result<dev_t> device_named(int block, const std::string& device, Use use) {
  const auto names = names_in(block);
  if (!names) return forward(names.error());
  for (const std::string& name : *names) {
    if (!name.starts_with("dm-")) continue;
    const auto its_name = line_of(block, name + "/dm/name");
    if (!its_name || *its_name != device) continue;  // another's, or one that has gone since
    const auto suspended = line_of(block, name + "/dm/suspended");
    if (!suspended || *suspended != "0") return fail(Errc::kBusy, "use a device that is suspended", device);
    const auto read_only = line_of(block, name + "/ro");
    if (!read_only || (use == Use::kRead && *read_only != "1")) return fail(Errc::kDenied, "share a device that can be written to", device);
    const auto number = line_of(block, name + "/dev");
    return number ? read_number(*number, device) : Result<dev_t>(forward(number.error()));
  }
  return fail(Errc::kNotFound, "find the drive's device", device);
}

Status place_device(int block, int directory, const DriveNode& node) {
  const auto number = device_named(block, node.device, node.use);
  if (!number) return forward(number.error());
  const mode_t mode = node.use == Use::kRead ? 0400 : 0600;
  if (mknodat(directory, node.name.c_str(), S_IFBLK | mode, *number) != 0) return fail_errno(errno, "make the drive's node", node.name);
  if (fchownat(directory, node.name.c_str(), node.uid, node.uid, AT_SYMLINK_NOFOLLOW) != 0) return fail_errno(errno, "give the drive's node away", node.name);
  return {};
}

}  // namespace mvm::jail
