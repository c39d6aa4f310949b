#include "snapshot-file/reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace mvm::snapshot_file {
namespace {

std::unexpected<Error> corrupt(const char* what) { return fail(Errc::kCorrupt, "open a snapshot", what); }

std::string_view text(std::span<const std::uint8_t> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Status read_at(int fd, std::span<std::uint8_t> into, std::uint64_t at) {
  while (!into.empty()) {
    const ssize_t got = pread(fd, into.data(), into.size(), static_cast<off_t>(at));
    const int saved = errno;
    if (got < 0 && saved == EINTR) continue;
    if (got < 0) return fail_errno(saved, "read", "snapshot");
    if (got == 0) return fail(Errc::kCorrupt, "read", "snapshot");
    into = into.subspan(static_cast<std::size_t>(got));
    at += static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<std::array<std::uint8_t, kHeaderBytes>> header_bytes(int fd) {
  std::array<std::uint8_t, kHeaderBytes> bytes{};
  if (auto ok = read_at(fd, bytes, 0); !ok) return forward(std::move(ok.error()));
  return bytes;
}

}  // namespace

Result<Header> read_header(int fd) {
  const auto bytes = header_bytes(fd);
  if (!bytes) return forward(bytes.error());
  return decode_header(*bytes);
}

Reader::Reader(Fd file, const Header& header, PartCipher cipher)
    : file_(std::move(file)), header_(header), cipher_(std::move(cipher)), unpacker_(header.kind, header.chunk),
      sealed_(max_packed(header.chunk) + kTagBytes) {}

Result<Reader> Reader::open(Fd file, Key data_key) {
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return fail_errno(errno, "measure", "snapshot");
  const auto head = header_bytes(file.get());
  if (!head) return forward(head.error());
  const auto header = decode_header(*head);
  if (!header) return forward(header.error());
  auto cipher = PartCipher::make(PartCipher::Way::kOpen, data_key, sha256(text(*head)));
  if (!cipher) return forward(std::move(cipher.error()));
  Reader reader(std::move(file), *header, std::move(*cipher));
  if (auto ok = reader.open_index(*head, static_cast<std::uint64_t>(status.st_size)); !ok) return forward(std::move(ok.error()));
  return reader;
}

Status Reader::open_index(std::span<const std::uint8_t> head, std::uint64_t size) {
  std::vector<std::uint8_t> sealed(header_.index_bytes() + kTagBytes);
  if (size < kHeaderBytes + sealed.size()) return corrupt("length");
  if (auto ok = read_at(file_.get(), sealed, size - sealed.size()); !ok) return ok;
  digest_ = sha256(text(head), text(sealed));
  auto plain = cipher_.open(Part::kIndex, 0, 1, sealed);
  if (!plain) return forward(std::move(plain.error()));
  auto index = decode_index(header_, *plain);
  if (!index) return forward(std::move(index.error()));
  index_ = std::move(*index);
  places_ = places(index_);
  return places_.back() == size - sealed.size() ? Status{} : corrupt("length");
}

Result<std::span<std::uint8_t>> Reader::part(Part part, std::uint32_t number, std::uint32_t count, std::size_t place) {
  const auto bytes = std::span(sealed_).first(index_.lengths[place]);
  if (auto ok = read_at(file_.get(), bytes, places_[place]); !ok) return forward(std::move(ok.error()));
  return cipher_.open(part, number, count, bytes);
}

Result<Unpacked> Reader::chunk(std::uint32_t number) {
  if (number >= header_.memory_chunks()) return corrupt("no such chunk");
  if (!holds(number)) return unpacker_.nothing();
  const auto bytes = part(Part::kMemory, number, header_.memory_chunks(), number);
  if (!bytes) return forward(bytes.error());
  return unpacker_.unpack(*bytes);
}

Result<WipedBytes> Reader::state() {
  WipedBytes all;
  all.reserve(header_.state);
  for (std::uint32_t i = 0; i < header_.state_chunks(); ++i) {
    const auto sealed = part(Part::kState, i, header_.state_chunks(), std::size_t{header_.memory_chunks()} + i);
    if (!sealed) return forward(sealed.error());
    const auto length = std::min<std::uint64_t>(header_.chunk, header_.state - all.size());
    const auto bytes = unpacker_.unpack_bytes(*sealed, length);
    if (!bytes) return forward(bytes.error());
    all.insert(all.end(), bytes->begin(), bytes->end());
  }
  return all;
}

Status check_base(const Header& diff, const Reader& base) {
  const auto denied = [](const char* what) { return fail(Errc::kDenied, "open a snapshot's memory", what); };
  const Header& under = base.header();
  if (base.digest() != diff.base) return denied("another base");
  if (under.kind != Kind::kBase) return denied("a base that is none");
  if (under.instance.tenant != diff.instance.tenant || under.instance.pool != diff.instance.pool) return denied("a base of another pool");
  if (under.fits.image != diff.fits.image) return denied("a base of another image");
  if (under.memory != diff.memory || under.chunk != diff.chunk) return denied("a base of another shape");
  return {};
}

Status check_expected(const Header& header, const Digest& file, const Expected& expected) {
  const auto differs = [&](const char* what) { return fail(Errc::kDenied, "open a snapshot", to_string(expected.instance) + ": another " + what); };
  if (header.instance != expected.instance) return differs("instance");
  if (header.line != expected.line) return differs("snapshot line");
  if (file != expected.file) return differs("file than the newest");
  if (header.fits.image != expected.fits.image) return differs("image");
  if (header.fits.vmm != expected.fits.vmm) return differs("version of Firecracker");
  if (header.fits.kernel != expected.fits.kernel) return differs("host kernel");
  if (header.fits.cpu != expected.fits.cpu) return differs("host CPU");
  if (header.drives != expected.drives) return differs("set of drives");
  return {};
}

}  // namespace mvm::snapshot_file
