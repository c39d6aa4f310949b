#include "snapshot-file/header.h"

#include <bit>
#include <optional>
#include <string>
#include <string_view>

#include "snapshot-file/bytes.h"

namespace mvm::snapshot_file {
namespace {

constexpr std::array<std::uint8_t, 8> kMagic = {'m', 'v', 'm', 's', 'n', 'a', 'p', '\n'};

std::unexpected<Error> malformed(std::string what) { return fail(Errc::kMalformed, "read a snapshot's header", std::move(what)); }

std::optional<Name> name_of(const std::array<char, kMaxName>& padded) {
  const auto name = Name::from(std::string_view(padded.data(), strnlen(padded.data(), kMaxName)));
  return name && name->padded() == padded ? name : std::nullopt;
}

Status check_shape(const Header& header) {
  if (!std::has_single_bit(header.chunk) || header.chunk < kMinChunk || header.chunk > kMaxChunk) return malformed("chunk");
  if (header.memory == 0 || header.memory % header.chunk != 0) return malformed("memory");
  if (header.memory / header.chunk > kMaxChunks) return fail(Errc::kLimit, "read a snapshot's header", "memory");
  if ((header.state == 0) != (header.kind == Kind::kBase) || header.state > kMaxState) return fail(Errc::kLimit, "read a snapshot's header", "state");
  if (header.first > kMaxFirst || header.first > header.memory_chunks()) return fail(Errc::kLimit, "read a snapshot's header", "first");
  return {};
}

}  // namespace

namespace {

// What a base is without, so that it has one spelling: an instance, drives, a seq, and what a microVM has to find again.
Status check_owner(const Header& header) {
  const bool base = header.kind == Kind::kBase;
  if (header.instance.kind != (base ? SubjectKind::kPool : SubjectKind::kInstance)) return malformed("instance");
  if (header.instance.tenant.empty() || header.instance.pool.empty()) return malformed("instance");
  if ((header.seq == 0) != base) return malformed("seq");
  if (!base) return {};
  if (header.drives != 0) return malformed("drives");
  if (header.first != 0) return malformed("first");
  return header.fits == Compatibility{.image = header.fits.image, .vmm = {}, .kernel = {}, .cpu = {}} ? Status{} : malformed("what a base fits");
}

}  // namespace

std::uint32_t chunk_for(std::uint64_t memory) {
  std::uint32_t chunk = kUsualChunk;
  while (chunk < kMaxChunk && memory / chunk > kMaxChunks) chunk *= 2;
  return chunk;
}

Status check(const Header& header) {
  if (header.kind != Kind::kFull && header.kind != Kind::kDiff && header.kind != Kind::kBase) return malformed("kind");
  if (auto ok = check_owner(header); !ok) return ok;
  if (header.compression != Compression::kNone && header.compression != Compression::kZstd) return malformed("compression");
  if (header.drives > kAllDrives) return malformed("drives");
  if (header.key_version == 0) return malformed("key version");
  if ((header.base == Digest{}) == (header.kind == Kind::kDiff)) return malformed("base");
  return check_shape(header);
}

std::array<std::uint8_t, kHeaderBytes> encode(const Header& header) {
  std::array<std::uint8_t, kHeaderBytes> bytes{};
  Put put(bytes.data());
  put.bytes(kMagic);
  put.number(kVersion);
  put.number(static_cast<std::uint8_t>(header.kind));
  put.number(static_cast<std::uint8_t>(header.compression));
  put.number(header.drives);
  put.number(std::uint8_t{0});
  put.bytes(header.instance.tenant.padded());
  put.bytes(header.instance.pool.padded());
  put.number(header.instance.instance.value);
  put.number(header.seq);
  put.number(header.key_version);
  put.number(header.chunk);
  put.number(header.memory);
  put.number(header.state);
  put.number(header.first);
  put.number(header.memory_chunks());
  for (const Digest* digest : {&header.line, &header.base, &header.fits.image, &header.fits.vmm, &header.fits.kernel, &header.fits.cpu}) put.bytes(digest->bytes);
  put.number(std::uint32_t{0});
  put.bytes(header.wrapped);
  return bytes;
}

Result<Header> decode_header(std::span<const std::uint8_t> bytes) {
  if (bytes.size() != kHeaderBytes) return malformed("length");
  Get get(bytes.data());
  std::array<std::uint8_t, 8> magic{};
  get.bytes(magic);
  if (magic != kMagic) return malformed("magic");
  if (get.number<std::uint32_t>() != kVersion) return fail(Errc::kUnsupported, "read a snapshot's header", "version");
  Header header;
  header.kind = static_cast<Kind>(get.number<std::uint8_t>());
  header.compression = static_cast<Compression>(get.number<std::uint8_t>());
  header.drives = get.number<std::uint8_t>();
  if (get.number<std::uint8_t>() != 0) return malformed("what is always zero");
  std::array<char, kMaxName> tenant{}, pool{};
  get.bytes(tenant);
  get.bytes(pool);
  const auto tenant_name = name_of(tenant), pool_name = name_of(pool);
  if (!tenant_name || !pool_name) return malformed("name");
  const auto instance = get.number<std::uint32_t>();
  if (header.kind == Kind::kBase && instance != 0) return malformed("instance");
  header.instance = header.kind == Kind::kBase ? pool_subject(*tenant_name, *pool_name) : instance_subject(*tenant_name, *pool_name, InstanceId{instance});
  header.seq = get.number<std::uint32_t>();
  header.key_version = get.number<std::uint32_t>();
  header.chunk = get.number<std::uint32_t>();
  header.memory = get.number<std::uint64_t>();
  header.state = get.number<std::uint64_t>();
  header.first = get.number<std::uint32_t>();
  const auto chunks = get.number<std::uint32_t>();
  for (Digest* digest : {&header.line, &header.base, &header.fits.image, &header.fits.vmm, &header.fits.kernel, &header.fits.cpu}) get.bytes(digest->bytes);
  if (get.number<std::uint32_t>() != 0) return malformed("what is always zero");
  get.bytes(header.wrapped);
  if (auto ok = check(header); !ok) return forward(std::move(ok.error()));
  if (chunks != header.memory_chunks()) return malformed("chunk count");
  return header;
}

}  // namespace mvm::snapshot_file
