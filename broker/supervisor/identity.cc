#include "broker/supervisor/identity.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

#include "base/owned.h"
#include "broker/supervisor/files.h"

namespace mvm::supervisor {
namespace {

constexpr const char* kStartName = "start";
constexpr std::size_t kArenaBytes = 4096;
constexpr mode_t kOthers = 077;

using Key = Owned<EVP_PKEY, &EVP_PKEY_free>;
using Context = Owned<EVP_MD_CTX, &EVP_MD_CTX_free>;

Status is_ours_alone(const Fd& fd, const std::string& path) {
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return fail_errno(errno, "look at the identity", path);
  if (!S_ISREG(status.st_mode) || status.st_uid != 0 || (status.st_mode & kOthers) != 0) {
    return fail(Errc::kDenied, "read an identity that others may read", path);
  }
  if (status.st_size != static_cast<off_t>(kIdentityBytes)) return fail(Errc::kMalformed, "read an identity that is not 32 bytes", path);
  return {};
}

}  // namespace

Result<std::optional<Identity>> Identity::read(const std::string& directory) {
  if (directory.empty()) return std::nullopt;
  const std::string path = directory + "/" + kIdentityName;
  const Fd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  const int saved = errno;
  if (!fd.valid() && saved == ENOENT) return std::nullopt;
  if (!fd.valid()) return fail_errno(saved, "open the identity", path);
  if (auto ours = is_ours_alone(fd, path); !ours) return forward(ours.error());
  if (auto locked = use_secure_heap(); !locked) return forward(locked.error());
  const auto arena = SecretArena::make(kArenaBytes);
  if (!arena) return forward(arena.error());
  auto key = arena->take(kIdentityBytes);
  if (!key) return forward(key.error());
  const ssize_t got = pread(fd.get(), key->bytes().data(), key->size(), 0);
  const int read_errno = errno;
  if (got < 0) return fail_errno(read_errno, "read the identity", path);
  if (got != static_cast<ssize_t>(kIdentityBytes)) return fail(Errc::kMalformed, "read an identity that is not 32 bytes", path);
  return Identity(*std::move(key));
}

Result<std::vector<std::uint8_t>> Identity::sign(const sealing::Offer& offer) && {
  const Secret mine = std::move(key_);
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, mine.bytes().data(), mine.size()));
  const Context context(EVP_MD_CTX_new());
  std::vector<std::uint8_t> bytes = sealing::to_be_signed(offer);
  sealing::Signature signature{};
  std::size_t size = signature.size();
  if (!key || !context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, bytes.data(), bytes.size()) != 1 || size != signature.size()) {
    return fail(Errc::kSystem, "sign the offer");
  }
  bytes.insert(bytes.end(), signature.begin(), signature.end());
  return bytes;
}

Status hide_credentials(const std::string& directory) {
  if (directory.empty()) return {};
  if (umount2(directory.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return {};
  const int saved = errno;
  if (saved == ENOENT) return {};
  if (saved != EINVAL) return fail_errno(saved, "hide the credentials", directory);
  const std::string path = directory + "/" + kIdentityName;
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "remove the credential", path);
  return {};
}

Result<std::vector<std::uint8_t>> make_offer(Workers& workers, std::optional<Identity> identity, const Name& node, const Fd& journal) {
  std::vector<std::uint8_t> none;
  if (!identity) return none;
  wire::Task ask;
  ask.op = wire::Op::kOffer;
  const auto answer = workers.call(lang::Worker::kStorage, ask);
  if (!answer) return forward(answer.error());
  if (!answer->ok) return forward(answer->error);
  if (!answer->offer) return fail(Errc::kMalformed, "believe the storage worker's offer");
  const auto start = next_start(journal);
  if (!start) return forward(start.error());
  return std::move(*identity).sign({node, *start, *answer->offer});
}

Result<std::uint64_t> next_start(const Fd& journal) {
  std::uint64_t last = 0;
  const auto text = read_file(journal, kStartName, 32);
  if (!text && text.error().code != Errc::kNotFound) return forward(text.error());
  if (text) {
    const auto end = text->data() + text->size();
    const auto [stopped, error] = std::from_chars(text->data(), end, last);
    if (error != std::errc{} || stopped != end || last == 0 || last == UINT64_MAX) return fail(Errc::kCorrupt, "read the number of the last start");
  }
  if (auto wrote = write_file(journal, kStartName, std::to_string(last + 1), Keep::kOverPowerCut); !wrote) return forward(wrote.error());
  return last + 1;
}

}  // namespace mvm::supervisor
