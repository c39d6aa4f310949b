#include "broker/storage/loop.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace mvm::storage {
namespace {

constexpr int kTries = 16;  // that another process takes the free device before us, in a row

// As device_mapper.cc says of huge_encode_dev.
dev_t decoded(std::uint64_t device) {
  const auto encoded = static_cast<unsigned>(device);
  return makedev((encoded & 0xfff00) >> 8, (encoded & 0xff) | ((encoded >> 12) & 0xfff00));
}

}  // namespace

std::optional<unsigned> loop_number(std::string_view device) {
  const std::string major = std::to_string(kLoopMajor) + ":";
  if (!device.starts_with(major)) return std::nullopt;
  unsigned number = 0;
  const char* const end = device.data() + device.size();
  const auto read = std::from_chars(device.data() + major.size(), end, number);
  return read.ec == std::errc() && read.ptr == end ? std::optional(number) : std::nullopt;
}

Result<Fd> Loops::open_node(unsigned number, Writes writes) const {
  const std::string name = "loop" + std::to_string(number);
  if (unlinkat(nodes_.get(), name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno(errno, "remove an old node", name);
  if (mknodat(nodes_.get(), name.c_str(), S_IFBLK | 0600, makedev(kLoopMajor, number)) != 0) return fail_errno(errno, "make the node", name);
  Fd fd(openat(nodes_.get(), name.c_str(), (writes == Writes::kAllowed ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW));
  const int saved = errno;
  if (unlinkat(nodes_.get(), name.c_str(), 0) != 0) return fail_errno(errno, "remove the node", name);
  if (!fd.valid()) return fail_errno(saved, "open the node", name);
  return fd;
}

Result<Loop> Loops::attach(int file, Writes writes) const {
  loop_config config{};
  config.fd = static_cast<std::uint32_t>(file);
  config.block_size = kLoopBlock;
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
  if (writes == Writes::kRefused) config.info.lo_flags |= LO_FLAGS_READ_ONLY;
  for (int i = 0; i < kTries; ++i) {
    const int number = ioctl(control_.get(), LOOP_CTL_GET_FREE);
    const int saved = errno;
    if (number < 0) return fail_errno(saved, "find a free loop device");
    auto fd = open_node(static_cast<unsigned>(number), writes);
    if (!fd) return forward(fd.error());
    if (ioctl(fd->get(), LOOP_CONFIGURE, &config) == 0) return Loop{std::move(*fd), static_cast<unsigned>(number)};
    const int configure_errno = errno;
    if (configure_errno != EBUSY) return fail_errno(configure_errno, "set up the loop device", std::to_string(number));
  }
  return fail(Errc::kBusy, "find a loop device that stays free");
}

Result<FileIdentity> Loops::backing(unsigned number) const {
  const auto fd = open_node(number, Writes::kRefused);
  if (!fd && fd.error().sys_errno == ENXIO) return fail(Errc::kNotFound, "find the loop device", std::to_string(number));
  if (!fd) return forward(fd.error());
  loop_info64 info{};
  if (ioctl(fd->get(), LOOP_GET_STATUS64, &info) == 0) {
    if (info.lo_rdevice != 0) return FileIdentity{decoded(info.lo_rdevice), 0};
    return FileIdentity{decoded(info.lo_device), info.lo_inode};
  }
  const int saved = errno;
  if (saved == ENXIO) return fail(Errc::kNotFound, "find the file of the loop device", std::to_string(number));
  return fail_errno(saved, "ask the loop device for its file", std::to_string(number));
}

Result<FileIdentity> identity_of(int file) {
  struct stat info {};
  const int read = fstat(file, &info);
  const int saved = errno;
  if (read != 0) return fail_errno(saved, "fstat");
  if (S_ISBLK(info.st_mode)) return FileIdentity{info.st_rdev, 0};
  return FileIdentity{info.st_dev, info.st_ino};
}

}  // namespace mvm::storage
