#include "images/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <vector>

#include "base/hasher.h"

namespace mvm::images {
namespace {

constexpr std::size_t kChunk = 1 << 20;

// Each chunk of the first `bytes` bytes, with its offset.
Status for_each_chunk(int file, std::uint64_t bytes, const std::function<Status(std::string_view, std::uint64_t)>& take) {
  std::vector<char> chunk(kChunk);
  for (std::uint64_t at = 0; at < bytes;) {
    const ssize_t got = pread(file, chunk.data(), std::min<std::uint64_t>(chunk.size(), bytes - at), static_cast<off_t>(at));
    const int saved = errno;
    if (got < 0 && saved == EINTR) continue;
    if (got < 0) return fail_errno(saved, "read a file of the image");
    if (got == 0) return fail(Errc::kCorrupt, "read a file of the image, which is shorter than it should be");
    if (auto taken = take({chunk.data(), static_cast<std::size_t>(got)}, at); !taken) return taken;
    at += static_cast<std::uint64_t>(got);
  }
  return {};
}

Status write_at(int file, std::string_view content, std::uint64_t at) {
  while (!content.empty()) {
    const ssize_t put = pwrite(file, content.data(), content.size(), static_cast<off_t>(at));
    const int saved = errno;
    if (put < 0 && saved == EINTR) continue;
    if (put < 0) return fail_errno(saved, "write a file of the image");
    content.remove_prefix(static_cast<std::size_t>(put));
    at += static_cast<std::uint64_t>(put);
  }
  return {};
}

Result<Digest> hash_chunks(int file, std::uint64_t bytes, const std::function<Status(std::string_view, std::uint64_t)>& take) {
  Sha256 hasher;
  const auto done = for_each_chunk(file, bytes, [&](std::string_view chunk, std::uint64_t at) -> Status {
    hasher.add(chunk);
    return take(chunk, at);
  });
  if (!done) return forward(done.error());
  return hasher.digest();
}

}  // namespace

Result<Fd> open_regular(int directory, const std::string& name) {
  Fd file(openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  const int saved = errno;
  if (!file.valid() && saved == ENOENT) return fail(Errc::kNotFound, "open", name);
  if (!file.valid()) return fail_errno(saved, "open", name);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return fail_errno(errno, "fstat", name);
  if (!S_ISREG(status.st_mode)) return fail(Errc::kDenied, "use what is no regular file", name);
  return file;
}

Result<std::uint64_t> size_of(int file, const std::string& name) {
  struct stat status {};
  if (fstat(file, &status) != 0) return fail_errno(errno, "fstat", name);
  return static_cast<std::uint64_t>(status.st_size);
}

Result<std::string> read_small(int directory, const std::string& name, std::size_t limit) {
  const auto file = open_regular(directory, name);
  if (!file) return forward(file.error());
  const auto bytes = size_of(file->get(), name);
  if (!bytes) return forward(bytes.error());
  if (*bytes > limit) return fail(Errc::kLimit, "read", name);
  std::string content;
  const auto read = for_each_chunk(file->get(), *bytes, [&](std::string_view chunk, std::uint64_t) -> Status {
    content += chunk;
    return {};
  });
  if (!read) return forward(read.error());
  return content;
}

Result<Fd> create(int directory, const std::string& name) {
  Fd file(openat(directory, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  const int saved = errno;
  if (!file.valid()) return fail_errno(saved, "create", name);
  return file;
}

Result<Digest> copy(int from, int to, std::uint64_t bytes) {
  if (ftruncate(to, static_cast<off_t>(bytes)) != 0) return fail_errno(errno, "make a file of the image as long as it will be");
  return hash_chunks(from, bytes, [&](std::string_view chunk, std::uint64_t at) -> Status {
    if (std::ranges::all_of(chunk, [](char c) { return c == '\0'; })) return {};
    return write_at(to, chunk, at);
  });
}

Result<Digest> digest_of(int file, std::uint64_t bytes) {
  return hash_chunks(file, bytes, [](std::string_view, std::uint64_t) -> Status { return {}; });
}

Status write_whole(int file, std::string_view content) { return write_at(file, content, 0); }

Status seal(int file, const std::string& name) {
  if (fchmod(file, 0444) != 0) return fail_errno(errno, "make read-only", name);
  if (fsync(file) != 0) return fail_errno(errno, "sync", name);
  return {};
}

Status sync_directory(int directory) {
  if (fsync(directory) != 0) return fail_errno(errno, "sync a directory of the images");
  return {};
}

}  // namespace mvm::images
