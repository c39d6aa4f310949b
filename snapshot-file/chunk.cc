#include "snapshot-file/chunk.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace mvm::snapshot_file {
namespace {

enum Form : std::uint8_t { kRaw = 0, kCompressed = 1 };
constexpr std::size_t kMapAt = 4;
constexpr std::array<std::uint8_t, kPage> kZeros{};

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "unpack a chunk", what); }

unsigned shift_of(std::size_t page) { return static_cast<unsigned>(page % 4 * 2); }

}  // namespace

bool is_zero_page(const std::uint8_t* page) { return std::memcmp(page, kZeros.data(), kPage) == 0; }

Packer::Packer(Kind kind, Compression compression, std::uint32_t chunk)
    : kind_(kind), compression_(compression), chunk_(chunk), head_(head_bytes(chunk)), gathered_(chunk), compressed_(ZSTD_compressBound(chunk)) {
  if (compression == Compression::kZstd) zstd_.reset(ZSTD_createCCtx());
}

Result<Packed> Packer::finish(std::span<const std::uint8_t> body) {
  if (compression_ == Compression::kNone || body.empty()) return Packed{head_, body};
  if (!zstd_) return fail(Errc::kSystem, "begin zstd");
  const std::size_t size = ZSTD_compressCCtx(zstd_.get(), compressed_.data(), compressed_.size(), body.data(), body.size(), kZstdLevel);
  if (ZSTD_isError(size) != 0) return fail(Errc::kSystem, "compress", ZSTD_getErrorName(size));
  if (size >= body.size()) return Packed{head_, body};
  head_[0] = kCompressed;
  return Packed{head_, std::span(compressed_).first(size)};
}

Result<Packed> Packer::pack(std::span<const std::uint8_t> memory, std::span<const bool> in_base) {
  if (memory.size() != chunk_) return fail(Errc::kMalformed, "pack a chunk", "length");
  std::ranges::fill(head_, std::uint8_t{0});
  const std::size_t pages = chunk_ / kPage;
  std::size_t data = 0, shared = 0;
  for (std::size_t i = 0; i < pages; ++i) {
    const std::uint8_t* const page = memory.data() + i * kPage;
    PageIs what = PageIs::kInBase;
    if (in_base.empty() || !in_base[i]) what = is_zero_page(page) ? PageIs::kZero : PageIs::kData;
    head_[kMapAt + i / 4] = static_cast<std::uint8_t>(head_[kMapAt + i / 4] | static_cast<unsigned>(what) << shift_of(i));
    shared += what == PageIs::kInBase;
    if (what != PageIs::kData) continue;
    if (data != i) {  // a gap before it: from here on the pages are gathered
      std::memcpy(gathered_.data() + data * kPage, page, kPage);
    }
    ++data;
  }
  if (data == 0 && (kind_ != Kind::kDiff || shared == pages)) return Packed{};
  // Where no gap came before the last page, the memory itself is what is packed.
  const auto last = [&] {
    std::size_t run = 0;
    while (run < data && (head_[kMapAt + run / 4] >> shift_of(run) & 3) == static_cast<unsigned>(PageIs::kData)) ++run;
    return run;
  }();
  if (last == data) return finish(memory.first(data * kPage));
  std::memcpy(gathered_.data(), memory.data(), last * kPage);
  return finish(std::span(gathered_).first(data * kPage));
}

Result<Packed> Packer::pack_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.empty() || bytes.size() > chunk_) return fail(Errc::kMalformed, "pack bytes", "length");
  std::ranges::fill(head_, std::uint8_t{0});
  return finish(bytes);
}

void lay_out(const Unpacked& chunk, std::span<std::uint8_t> to) {
  const std::uint8_t* data = chunk.data.data();
  for (std::size_t i = 0; i < chunk.pages.size(); ++i) {
    std::uint8_t* const page = to.data() + i * kPage;
    if (chunk.pages[i] == PageIs::kData) std::copy_n(std::exchange(data, data + kPage), kPage, page);
    else std::fill_n(page, kPage, std::uint8_t{0});
  }
}

Unpacker::Unpacker(Kind kind, std::uint32_t chunk)
    : kind_(kind), chunk_(chunk), zstd_(ZSTD_createDCtx()), pages_(chunk / kPage), decompressed_(chunk) {}

Result<std::span<const std::uint8_t>> Unpacker::body(std::span<const std::uint8_t> packed, std::size_t length) {
  const auto rest = packed.subspan(head_bytes(chunk_));
  if (packed[0] == kRaw) return rest.size() == length ? Result<std::span<const std::uint8_t>>(rest) : malformed("length");
  if (packed[0] != kCompressed || rest.size() >= length) return malformed("form");
  if (!zstd_) return fail(Errc::kSystem, "begin zstd");
  const std::size_t size = ZSTD_decompressDCtx(zstd_.get(), decompressed_.data(), length, rest.data(), rest.size());
  if (ZSTD_isError(size) != 0 || size != length) return malformed("compression");
  return std::span<const std::uint8_t>(decompressed_).first(length);
}

Result<Unpacked> Unpacker::unpack(std::span<const std::uint8_t> packed) {
  const std::size_t head = head_bytes(chunk_);
  if (packed.size() < head) return malformed("length");
  std::size_t data = 0;
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    const unsigned what = packed[kMapAt + i / 4] >> shift_of(i) & 3;
    if (what > static_cast<unsigned>(kind_ == Kind::kDiff ? PageIs::kInBase : PageIs::kData)) return malformed("page map");
    pages_[i] = static_cast<PageIs>(what);
    data += pages_[i] == PageIs::kData;
  }
  const auto never = [](std::uint8_t byte) { return byte != 0; };
  const std::size_t map_end = kMapAt + (pages_.size() * 2 + 7) / 8;
  if (std::any_of(packed.begin() + 1, packed.begin() + kMapAt, never) || std::any_of(packed.begin() + map_end, packed.begin() + head, never) ||
      (pages_.size() % 4 != 0 && packed[map_end - 1] >> shift_of(pages_.size()) != 0)) {
    return malformed("what is always zero");
  }
  auto bytes = body(packed, data * kPage);
  if (!bytes) return forward(std::move(bytes.error()));
  return Unpacked{pages_, *bytes};
}

Unpacked Unpacker::nothing() {
  std::ranges::fill(pages_, kind_ == Kind::kDiff ? PageIs::kInBase : PageIs::kZero);
  return {pages_, {}};
}

Result<std::span<const std::uint8_t>> Unpacker::unpack_bytes(std::span<const std::uint8_t> packed, std::size_t length) {
  const std::size_t head = head_bytes(chunk_);
  if (packed.size() < head || length > chunk_) return malformed("length");
  if (std::any_of(packed.begin() + 1, packed.begin() + head, [](std::uint8_t byte) { return byte != 0; })) return malformed("what is always zero");
  return body(packed, length);
}

}  // namespace mvm::snapshot_file
