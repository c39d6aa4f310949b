#include "images/verity.h"

#include <libcryptsetup.h>

#include <string>

#include "base/owned.h"
#include "policy-lang/table.h"

namespace mvm::images {
namespace {

using Device = Owned<crypt_device, &crypt_free>;

std::string path_of(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

// What it would print is in the error that we return.
void say_nothing(int, const char*, void*) {}

Result<Device> open_tree(const std::string& path) {
  crypt_device* raw = nullptr;
  const int failed = crypt_init(&raw, path.c_str());
  Device device(raw);
  if (failed < 0) return fail_errno(-failed, "open the hash tree");
  crypt_set_log_callback(device.get(), say_nothing, nullptr);
  return device;
}

crypt_params_verity parameters(const std::string& data, std::uint64_t blocks, std::uint32_t flags) {
  crypt_params_verity parameters{};
  parameters.hash_name = "sha256";
  parameters.data_device = data.c_str();
  parameters.hash_type = 1;
  parameters.data_block_size = lang::kVerityBlock;
  parameters.hash_block_size = lang::kVerityBlock;
  parameters.data_size = blocks;
  parameters.flags = flags;
  return parameters;
}

std::string spelled(const Uuid& uuid) {
  std::string text = to_hex(uuid);
  for (const std::size_t at : {8u, 13u, 18u, 23u}) text.insert(at, 1, '-');
  return text;
}

}  // namespace

Result<Digest> make_tree(int data, int tree, std::uint64_t blocks, const Uuid& uuid) {
  auto device = open_tree(path_of(tree));
  if (!device) return forward(device.error());
  const std::string data_path = path_of(data);
  crypt_params_verity wanted = parameters(data_path, blocks, CRYPT_VERITY_CREATE_HASH);
  const int failed = crypt_format(device->get(), CRYPT_VERITY, nullptr, nullptr, spelled(uuid).c_str(), nullptr, 0, &wanted);
  if (failed < 0) return fail_errno(-failed, "make the hash tree");
  Digest root;
  std::size_t size = root.bytes.size();
  const int got = crypt_volume_key_get(device->get(), CRYPT_ANY_SLOT, reinterpret_cast<char*>(root.bytes.data()), &size, nullptr, 0);
  if (got < 0) return fail_errno(-got, "read the root hash");
  if (size != root.bytes.size()) return fail(Errc::kMalformed, "read the root hash");
  return root;
}

Status check_tree(int data, int tree, std::uint64_t blocks, const Digest& root) {
  auto device = open_tree(path_of(tree));
  if (!device) return forward(device.error());
  const std::string data_path = path_of(data);
  crypt_params_verity wanted = parameters(data_path, blocks, CRYPT_VERITY_NO_HEADER | CRYPT_VERITY_CHECK_HASH);
  wanted.hash_area_offset = lang::kVerityBlock;
  const int loaded = crypt_format(device->get(), CRYPT_VERITY, nullptr, nullptr, nullptr, nullptr, 0, &wanted);
  if (loaded < 0) return fail_errno(-loaded, "take the parameters of the hash tree");
  // Without a name nothing is activated: all of it is read and compared.
  const int checked = crypt_activate_by_volume_key(device->get(), nullptr, reinterpret_cast<const char*>(root.bytes.data()),
                                                   root.bytes.size(), CRYPT_ACTIVATE_READONLY);
  // EFAULT: the uppermost block is not the root hash's.
  if (checked == -EPERM || checked == -EIO || checked == -EFAULT) return fail(Errc::kCorrupt, "check the rootfs against its root hash");
  if (checked < 0) return fail_errno(-checked, "check the rootfs against its root hash");
  return {};
}

}  // namespace mvm::images
