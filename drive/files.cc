#include "drive/files.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace mvm::drive {
namespace {

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read the files of a drive", what); }

// Takes from the front. Whoever asks for more than there is gets nothing.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> left) : left_(left) {}
  [[nodiscard]] bool done() const { return left_.empty(); }
  [[nodiscard]] bool take(std::size_t size, std::span<const std::uint8_t>& out) {
    if (left_.size() < size) return false;
    out = left_.first(size);
    left_ = left_.subspan(size);
    return true;
  }
  [[nodiscard]] bool number(std::size_t bytes, std::uint32_t& out) {
    std::span<const std::uint8_t> from;
    if (!take(bytes, from)) return false;
    out = 0;
    for (const std::uint8_t byte : from) out = out << 8 | byte;
    return true;
  }

 private:
  std::span<const std::uint8_t> left_;
};

std::uint8_t* put(std::uint8_t* at, std::size_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) *at++ = static_cast<std::uint8_t>(number >> shift);
  return at;
}
constexpr int kCountBytes = 2;
constexpr std::size_t kLengthsBytes = 1 + 4;

}  // namespace

bool is_file_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
  const auto inner = [&](char c) { return plain(c) || c == '.' || c == '-'; };
  return !name.empty() && name.size() <= kMaxFileName && plain(name.front()) && std::ranges::all_of(name, inner);
}

Result<std::vector<File>> read_files(std::span<const std::uint8_t> content) {
  if (content.size() > kMaxContent) return fail(Errc::kLimit, "read the files of a drive", "more than 65536 bytes");
  Reader reader(content);
  std::span<const std::uint8_t> magic, name, bytes;
  std::uint32_t count = 0, length = 0;
  if (!reader.take(kMagic.size(), magic) || std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0) return malformed("magic");
  if (!reader.number(2, count)) return malformed("count");
  if (count > kMaxFiles) return fail(Errc::kLimit, "read the files of a drive", "more than 64 files");
  std::vector<File> files;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!reader.number(1, length) || !reader.take(length, name)) return malformed("name");
    const std::string_view text(reinterpret_cast<const char*>(name.data()), name.size());
    if (!is_file_name(text)) return malformed("name");
    if (!files.empty() && files.back().name >= text) return malformed("order");
    if (!reader.number(4, length) || !reader.take(length, bytes)) return malformed("length");
    files.push_back({text, bytes});
  }
  if (!reader.done()) return malformed("end");
  return files;
}

Result<std::size_t> write_files(std::vector<File> files, std::span<std::uint8_t> content) {
  std::ranges::sort(files, {}, &File::name);
  std::size_t size = kMagic.size() + kCountBytes;
  for (const File& file : files) {
    const std::size_t left = kMaxContent - std::min(size, kMaxContent), wanted = kLengthsBytes + file.name.size() + file.bytes.size();
    if (wanted > left) return fail(Errc::kLimit, "write the files of a drive", "more than 65536 bytes");
    size += wanted;
  }
  if (content.size() < size) return fail(Errc::kLimit, "write the files of a drive: there is no room for them");
  std::uint8_t* at = std::ranges::copy(kMagic, content.data()).out;
  at = put(at, files.size(), kCountBytes);
  for (const File& file : files) {
    at = put(at, file.name.size(), 1);
    at = std::ranges::copy(file.name, at).out;
    at = put(at, file.bytes.size(), 4);
    at = std::ranges::copy(file.bytes, at).out;
  }
  if (auto read = read_files(content.first(size)); !read) return forward(read.error());
  return size;
}

Result<std::vector<std::uint8_t>> write_files(std::vector<File> files) {
  std::vector<std::uint8_t> content(kMaxContent);
  const auto size = write_files(std::move(files), content);
  if (!size) return forward(size.error());
  content.resize(*size);
  return content;
}

}  // namespace mvm::drive
