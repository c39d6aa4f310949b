#include "snapshot-file/writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "snapshot-file/chunk.h"
#include "snapshot-file/crypto.h"
#include "snapshot-file/index.h"

namespace mvm::snapshot_file {
namespace {

constexpr std::size_t kWriteAt = 1 << 20;         // bytes that are gathered for one write
constexpr std::uint64_t kFreeAt = 4ULL << 20;     // bytes of the source that are given back at a time
constexpr std::uint64_t kBegunAt = 16ULL << 20;   // bytes after which the disk is told to begin

Status check_size(int fd, std::uint64_t size, const char* what) {
  struct stat status {};
  if (fstat(fd, &status) != 0) return fail_errno(errno, "measure", what);
  if (static_cast<std::uint64_t>(status.st_size) != size) return fail(Errc::kMalformed, "seal a snapshot", what);
  return {};
}

class Writer {
 public:
  Writer(const Header& header, const Source& source, int out, PartCipher cipher)
      : header_(header), source_(source), out_(out), cipher_(std::move(cipher)), packer_(header.kind, header.compression, header.chunk),
        chunk_(header.chunk), buffer_(kWriteAt + max_packed(header.chunk) + kTagBytes), memory_(source.memory, source.live, header.memory) {}

  Status write_memory() {
    const std::uint32_t count = header_.memory_chunks();
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto read = source_.copied != nullptr ? copy_chunk(i) : read_chunk(i);
      if (!read) return forward(read.error());
      if (*read == Chunk::kZero && (source_.base == nullptr || !source_.base->holds(i))) {
        index_.lengths.push_back(0);
        continue;
      }
      if (auto ok = mark_base(i); !ok) return ok;
      auto packed = packer_.pack(chunk_, header_.kind == Kind::kDiff ? std::span<const bool>(in_base_.get(), pages()) : std::span<const bool>());
      if (!packed) return forward(std::move(packed.error()));
      if (auto ok = put(Part::kMemory, i, count, *packed); !ok) return ok;
      if (auto ok = give_back((std::uint64_t{i} + 1) * header_.chunk); !ok) return ok;
    }
    return give_back_rest();
  }

  Status write_state() {
    const std::uint32_t count = header_.state_chunks();
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t at = std::uint64_t{i} * header_.chunk;
      const auto piece = std::span(chunk_).first(std::min<std::uint64_t>(header_.chunk, header_.state - at));
      if (auto ok = read_at(source_.state, piece, at, "state"); !ok) return ok;
      auto packed = packer_.pack_bytes(piece);
      if (!packed) return forward(std::move(packed.error()));
      if (auto ok = put(Part::kState, i, count, *packed); !ok) return ok;
    }
    return {};
  }

  // The sealed index.
  Result<std::vector<std::uint8_t>> write_index() {
    index_.first.assign(source_.first.begin(), source_.first.end());
    const auto plain = encode(index_);
    if (auto known = decode_index(header_, plain); !known) return forward(std::move(known.error()));
    std::vector<std::uint8_t> sealed(plain.size() + kTagBytes);
    auto size = cipher_.seal(Part::kIndex, 0, 1, {}, plain, sealed.data());
    if (!size) return forward(std::move(size.error()));
    if (auto ok = flush(); !ok) return forward(std::move(ok.error()));
    if (auto ok = write_all(sealed); !ok) return forward(std::move(ok.error()));
    return sealed;
  }

  Status write_all(std::span<const std::uint8_t> bytes) {
    while (!bytes.empty()) {
      const ssize_t wrote = write(out_, bytes.data(), bytes.size());
      const int saved = errno;
      if (wrote < 0 && saved == EINTR) continue;
      if (wrote < 0) return fail_errno(saved, "write", "snapshot");
      bytes = bytes.subspan(static_cast<std::size_t>(wrote));
      written_ += static_cast<std::uint64_t>(wrote);
    }
    return {};
  }

  [[nodiscard]] std::uint64_t written() const { return written_; }

 private:
  [[nodiscard]] std::size_t pages() const { return header_.chunk / kPage; }

  enum class Chunk : std::uint8_t { kZero, kRead };

  // Into chunk_; zeros are put there only where a diff has to say that they hide what the base holds.
  Result<Chunk> read_chunk(std::uint32_t number) {
    const std::uint64_t at = std::uint64_t{number} * header_.chunk;
    const auto hole = memory_.hole(at, header_.chunk);
    if (!hole) return forward(hole.error());
    if (*hole) {
      if (source_.base != nullptr) std::ranges::fill(chunk_, std::uint8_t{0});
      return Chunk::kZero;
    }
    if (auto ok = memory_.read(chunk_, at); !ok) return forward(std::move(ok.error()));
    return Chunk::kRead;
  }

  Result<Chunk> copy_chunk(std::uint32_t number) {
    if (!source_.copied->holds(number)) return Chunk::kZero;
    const auto from = source_.copied->chunk(number);
    if (!from) return forward(from.error());
    lay_out(*from, chunk_);
    return Chunk::kRead;
  }

  // Which pages of chunk_ are as the base has them.
  Status mark_base(std::uint32_t number) {
    if (source_.base == nullptr) return {};
    const auto under = source_.base->chunk(number);
    if (!under) return forward(under.error());
    const std::uint8_t *own = chunk_.data(), *data = under->data.data();
    for (std::size_t i = 0; i < pages(); ++i, own += kPage) {
      const bool zeros = under->pages[i] == PageIs::kZero;
      in_base_[i] = zeros ? is_zero_page(own) : std::memcmp(own, std::exchange(data, data + kPage), kPage) == 0;
    }
    return {};
  }

  Status put(Part part, std::uint32_t number, std::uint32_t count, const Packed& packed) {
    if (packed.head.empty()) {
      index_.lengths.push_back(0);
      return {};
    }
    auto size = cipher_.seal(part, number, count, packed.head, packed.body, buffer_.data() + used_);
    if (!size) return forward(std::move(size.error()));
    used_ += *size;
    index_.lengths.push_back(static_cast<std::uint32_t>(*size));
    return used_ < kWriteAt ? Status{} : flush();
  }

  Status flush() {
    auto ok = write_all(std::span(buffer_).first(used_));
    used_ = 0;
    if (ok && written_ - begun_ >= kBegunAt) {
      // A hint, so that the sync at the end finds little to do: what it says of an error, fdatasync says too.
      (void)sync_file_range(out_, static_cast<off_t>(begun_), static_cast<off_t>(written_ - begun_), SYNC_FILE_RANGE_WRITE);
      begun_ = written_;
    }
    return ok;
  }

  Status give_back(std::uint64_t up_to) { return up_to - freed_ < kFreeAt ? Status{} : free_to(up_to); }
  Status give_back_rest() { return free_to(header_.memory); }

  // What is copied is its owner's.
  Status free_to(std::uint64_t end) {
    if (source_.consumed == Consumed::kKept || source_.copied != nullptr || freed_ == end) return {};
    auto freed = memory_.give_back(freed_, end);
    freed_ = end;
    return freed;
  }

  const Header& header_;
  const Source& source_;
  int out_;
  PartCipher cipher_;
  Packer packer_;
  Index index_;
  WipedBytes chunk_;
  std::vector<std::uint8_t> buffer_;
  MemorySource memory_;
  std::unique_ptr<bool[]> in_base_ = std::make_unique<bool[]>(kMaxChunk / kPage);
  std::size_t used_ = 0;
  std::uint64_t written_ = 0, begun_ = 0, freed_ = 0;
};

// The full snapshot whose memory a base is a copy of.
Status check_copied(const Header& base, const Header& full) {
  const auto denied = [](const char* what) { return fail(Errc::kDenied, "make a base", what); };
  if (full.kind != Kind::kFull) return denied("of what is no full snapshot");
  if (full.instance.tenant != base.instance.tenant || full.instance.pool != base.instance.pool) return denied("of another pool's snapshot");
  if (full.fits.image != base.fits.image) return denied("of another image");
  if (full.memory != base.memory || full.chunk != base.chunk) return denied("of another shape");
  return {};
}

Status check_sources(const Header& header, const Source& source) {
  if ((source.base != nullptr) != (header.kind == Kind::kDiff) || (source.copied != nullptr) != (header.kind == Kind::kBase)) {
    return fail(Errc::kMalformed, "seal a snapshot", "kind");
  }
  if (source.first.size() > kMaxFirst) return fail(Errc::kLimit, "seal a snapshot", "first chunks");
  if (header.kind == Kind::kBase) return check_copied(header, source.copied->header());
  if (auto ok = MemorySource(source.memory, source.live, header.memory).check(header.chunk); !ok) return ok;
  if (auto ok = check_size(source.state, header.state, "state"); !ok) return ok;
  return header.kind == Kind::kDiff ? check_base(header, *source.base) : Status{};
}

Result<Digest> write_file(Writer& writer, const Header& header, int out) {
  const auto head = encode(header);
  if (auto ok = writer.write_all(head); !ok) return forward(std::move(ok.error()));
  if (auto ok = writer.write_memory(); !ok) return forward(std::move(ok.error()));
  if (auto ok = writer.write_state(); !ok) return forward(std::move(ok.error()));
  const auto index = writer.write_index();
  if (!index) return forward(index.error());
  if (fdatasync(out) != 0) return fail_errno(errno, "sync", "snapshot");
  const auto text = [](std::span<const std::uint8_t> bytes) { return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()); };
  return sha256(text(head), text(*index));
}

}  // namespace

Result<Sealed> seal(Header header, const Source& source, Key tenant_key, const SecretArena& arena, int out) {
  header.first = static_cast<std::uint32_t>(source.first.size());
  if (auto ok = check(header); !ok) return forward(std::move(ok.error()));
  if (auto ok = check_sources(header, source); !ok) return forward(std::move(ok.error()));
  if (auto ok = check_size(out, 0, "where the snapshot goes"); !ok) return forward(std::move(ok.error()));
  const auto data_key = fresh_key(arena);
  if (!data_key) return forward(data_key.error());
  if (auto ok = wrap(header, tenant_key, key_of(*data_key), arena); !ok) return forward(std::move(ok.error()));
  const auto head = encode(header);
  auto cipher = PartCipher::make(PartCipher::Way::kSeal, key_of(*data_key), sha256({reinterpret_cast<const char*>(head.data()), head.size()}));
  if (!cipher) return forward(std::move(cipher.error()));
  Writer writer(header, source, out, std::move(*cipher));
  auto file = write_file(writer, header, out);
  if (!file) return forward(std::move(file.error()));
  return Sealed{*file, writer.written(), header};
}

}  // namespace mvm::snapshot_file
