#include "broker/storage/open_images.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <sstream>

#include "base/derived.h"
#include "broker/beneath/beneath.h"
#include "broker/storage/closing.h"

namespace mvm::storage {
namespace {

constexpr const char* kVerity = "verity";
constexpr const char* kRootfsFile = "rootfs";
constexpr const char* kTreeFile = "verity";
constexpr std::uint64_t kBlock = lang::kVerityBlock;

// As libcryptsetup names them, so that `veritysetup status` knows what it sees.
constexpr std::string_view kUuidPrefix = "CRYPT-VERITY-";

std::string device_uuid(const Digest& image) {
  return std::string(kUuidPrefix) + to_hex(image.bytes).substr(0, 32) + "-" + image_device_name(image);
}

// Hash type 1, no salt, and the tree in the block behind its superblock. No option: a block that is wrong is an I/O error, and nothing else.
Target verity_target(const lang::RootfsView& rootfs, std::string_view data, std::string_view tree) {
  const std::string block = std::to_string(kBlock);
  return {rootfs.blocks * (kBlock / kSector), kVerity,
          "1 " + std::string(data) + " " + std::string(tree) + " " + block + " " + block + " " + std::to_string(rootfs.blocks) + " 1 sha256 " +
              to_hex(rootfs.root.bytes) + " -"};
}

// The two devices that a table names.
std::pair<std::string, std::string> devices_of(const Target& table) {
  std::istringstream words(table.parameters);
  std::string version, data, tree;
  words >> version >> data >> tree;
  return {data, tree};
}

}  // namespace

Result<Fd> OpenImages::open_file(const Digest& image, const char* name) const {
  const std::string path = to_hex(image.bytes) + "/" + name;
  auto file = open_beneath(directory_, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, Mounts::kCross);
  if (!file && file.error().sys_errno == ENOENT) return fail(Errc::kNotFound, "find the image's file", path);
  if (!file) return file;
  struct stat info {};
  if (fstat(file->get(), &info) != 0) return fail_errno(errno, "fstat", path);
  if (!S_ISREG(info.st_mode)) return fail(Errc::kDenied, "use what is no regular file", path);
  return file;
}

bool OpenImages::stands_on(const Digest& image, const char* name, std::string_view device) const {
  const auto number = loop_number(device);
  if (!number) return false;
  const auto file = open_file(image, name);
  const auto backing = loops_.backing(*number);
  if (!file || !backing) return false;
  const auto ours = identity_of(file->get());
  return ours && *ours == *backing;
}

Result<OpenImages::Found> OpenImages::look_at(const Digest& image) const {
  const std::string name = image_device_name(image);
  const auto device = devices_.find(name);
  if (!device) return forward(device.error());
  if (device->uuid != device_uuid(image)) return fail(Errc::kDenied, "take a device for one of ours that is not", name);
  Found found;
  const auto table = devices_.table(name);
  if (!table || table->type != kVerity || !device->live) return found;  // a part of one
  found.table = *table;
  const auto [data, tree] = devices_of(*table);
  found.whole = stands_on(image, kRootfsFile, data) && stands_on(image, kTreeFile, tree);
  const auto status = devices_.status(name);
  found.damaged = !status || !status->parameters.starts_with("V");
  return found;
}

Status OpenImages::open(const Digest& image, const lang::RootfsView& rootfs) const {
  const std::string name = image_device_name(image);
  const auto there = look_at(image);
  if (!there && there.error().code != Errc::kNotFound) return forward(there.error());
  if (!there) return make(image, rootfs);
  const auto [data, tree] = devices_of(there->table);
  if (there->whole && there->table == verity_target(rootfs, data, tree)) {
    return there->damaged ? fail(Errc::kCorrupt, "use an image of which the kernel has found a block that is wrong", to_string(image)) : Status{};
  }
  // Half of one, which nobody can use; or one of files that have gone since, which are in use, or are not.
  if (auto gone = close_device(devices_, name); !gone) return gone;
  return make(image, rootfs);
}

Status OpenImages::make(const Digest& image, const lang::RootfsView& rootfs) const {
  const auto data = open_file(image, kRootfsFile), tree = open_file(image, kTreeFile);
  if (!data) return forward(data.error());
  if (!tree) return forward(tree.error());
  const auto data_loop = loops_.attach(data->get(), Writes::kRefused);
  if (!data_loop) return forward(data_loop.error());
  const auto tree_loop = loops_.attach(tree->get(), Writes::kRefused);
  if (!tree_loop) return forward(tree_loop.error());
  const auto device = devices_.make({image_device_name(image), device_uuid(image), verity_target(rootfs, data_loop->device(), tree_loop->device()), Writes::kRefused});
  return device ? Status{} : forward(device.error());
}

Status OpenImages::close(const Digest& image) const {
  const auto there = look_at(image);
  if (!there && (there.error().code == Errc::kNotFound || there.error().code == Errc::kDenied)) return {};
  if (!there) return forward(there.error());
  return close_device(devices_, image_device_name(image));
}

Result<std::vector<FoundImage>> OpenImages::list() const {
  const auto names = devices_.names();
  if (!names) return forward(names.error());
  std::vector<FoundImage> all;
  for (const std::string& name : *names) {
    const auto image = image_of_device(name);
    if (!image) continue;
    const auto found = look_at(*image);
    if (found) all.push_back({*image, found->whole, found->damaged});
    else if (found.error().code != Errc::kNotFound && found.error().code != Errc::kDenied) return forward(found.error());
  }
  return all;
}

}  // namespace mvm::storage
