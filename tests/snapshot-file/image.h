// A small memory image and its snapshot, in memory, for the tests of the file.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "base/fd.h"
#include "snapshot-file/image.h"
#include "snapshot-file/writer.h"

namespace mvm::test {

using Bytes = std::vector<std::uint8_t>;
namespace sf = snapshot_file;

inline Fd file_of(const Bytes& bytes) {
  Fd fd(memfd_create("mvm-test", MFD_CLOEXEC));
  EXPECT_EQ(pwrite(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return fd;
}

inline Bytes bytes_of(int fd) {
  Bytes bytes(static_cast<std::size_t>(lseek(fd, 0, SEEK_END)));
  EXPECT_EQ(pread(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return bytes;
}

inline Bytes random_bytes(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  Bytes bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  return bytes;
}

inline const std::array<std::uint8_t, 32> kTenantKey = {1, 2, 3, 4, 5, 6, 7, 8};
inline const std::array<std::uint8_t, 32> kOtherKey = {9, 9, 9};

inline const SecretArena& arena() {
  static const SecretArena kArena = *SecretArena::make(1 << 16);
  return kArena;
}

inline Digest digest_of(const char* text) { return sha256(text); }

inline sf::Header header_for(std::uint64_t memory, std::uint32_t chunk, std::uint64_t state) {
  sf::Header header;
  header.instance = instance_subject(*Name::from("acme"), *Name::from("workers"), InstanceId{0xa3f7b2c1});
  header.drives = 5;
  header.seq = 7;
  header.key_version = 1;
  header.line = digest_of("line");
  header.fits = {digest_of("image"), digest_of("vmm"), digest_of("kernel"), digest_of("cpu")};
  header.memory = memory;
  header.chunk = chunk;
  header.state = state;
  return header;
}

// Pages of zeros, of text and of noise, in every chunk another mix.
inline Bytes mixed_memory(std::size_t pages, std::uint32_t seed = 1) {
  Bytes memory(pages * sf::kPage);
  for (std::size_t i = 0; i < pages; ++i) {
    const std::size_t kind = (i * 7 + i / 5) % 4;
    if (kind < 2) continue;
    const auto noise = random_bytes(sf::kPage, seed * 1000 + static_cast<std::uint32_t>(i));
    for (std::size_t at = 0; at < sf::kPage; ++at) memory[i * sf::kPage + at] = kind == 2 ? static_cast<std::uint8_t>('a' + (at + i) % 7) : noise[at];
  }
  return memory;
}

struct Written {
  Bytes bytes;
  sf::Sealed sealed;
};

inline Written write_file(sf::Header header, const Bytes& memory, const Bytes& state, std::vector<std::uint32_t> first = {}) {
  const Fd memory_file = file_of(memory), state_file = file_of(state), out(memfd_create("out", MFD_CLOEXEC));
  auto sealed = sf::seal(header, {.memory = memory_file.get(), .state = state_file.get(), .first = first}, kTenantKey, arena(), out.get());
  EXPECT_TRUE(sealed) << sealed.error().message();
  return {bytes_of(out.get()), sealed ? *sealed : sf::Sealed{}};
}

inline Result<sf::Reader> open_file(const Bytes& bytes, sf::Key tenant_key = kTenantKey) {
  Fd file = file_of(bytes);
  const auto header = sf::read_header(file.get());
  if (!header) return forward(header.error());
  const auto key = sf::unwrap(*header, tenant_key, arena());
  if (!key) return forward(key.error());
  return sf::Reader::open(std::move(file), sf::key_of(*key));
}

// A base's, of which `full` is the header of the snapshot whose memory it is.
inline sf::Header base_header(const sf::Header& full) {
  sf::Header header;
  header.instance = pool_subject(full.instance.tenant, full.instance.pool);
  header.kind = sf::Kind::kBase;
  header.key_version = full.key_version;
  header.line = digest_of("a base's line");
  header.fits.image = full.fits.image;
  header.memory = full.memory;
  header.chunk = full.chunk;
  return header;
}

// A full snapshot's memory, sealed again.
inline Written write_base(const Bytes& full) {
  auto reader = open_file(full);
  EXPECT_TRUE(reader) << reader.error().message();
  const Fd out(memfd_create("out", MFD_CLOEXEC));
  auto sealed = sf::seal(base_header(reader->header()), {.copied = &*reader}, kTenantKey, arena(), out.get());
  EXPECT_TRUE(sealed) << sealed.error().message();
  return {bytes_of(out.get()), sealed ? *sealed : sf::Sealed{}};
}

// `header` of a full one, as a diff on that base.
inline Result<Written> try_diff(sf::Header header, const Bytes& base, const Bytes& memory, const Bytes& state) {
  auto under = open_file(base);
  EXPECT_TRUE(under) << under.error().message();
  header.kind = sf::Kind::kDiff;
  header.base = under->digest();
  const Fd memory_file = file_of(memory), state_file = file_of(state), out(memfd_create("out", MFD_CLOEXEC));
  auto sealed = sf::seal(header, {.memory = memory_file.get(), .state = state_file.get(), .base = &*under}, kTenantKey, arena(), out.get());
  if (!sealed) return forward(sealed.error());
  return Written{bytes_of(out.get()), *sealed};
}

// All of memory, page by page as the reader gives it; `base`: what pages of a diff that are not its own hold.
inline Result<Bytes> memory_of(sf::Reader& reader, Bytes base = {}) {
  const sf::Header& header = reader.header();
  Bytes memory = base.empty() ? Bytes(header.memory, 0xee) : std::move(base);
  for (std::uint32_t i = 0; i < header.memory_chunks(); ++i) {
    const auto chunk = reader.chunk(i);
    if (!chunk) return forward(chunk.error());
    std::uint8_t* at = memory.data() + std::uint64_t{i} * header.chunk;
    const std::uint8_t* data = chunk->data.data();
    for (const sf::PageIs page : chunk->pages) {
      if (page == sf::PageIs::kZero) std::fill_n(at, sf::kPage, std::uint8_t{0});
      if (page == sf::PageIs::kData) {
        std::copy_n(data, sf::kPage, at);
        data += sf::kPage;
      }
      at += sf::kPage;
    }
  }
  return memory;
}

// What comes of reading the whole file: nothing where all of it is right.
inline std::optional<Error> fault_in(const Bytes& bytes) {
  auto reader = open_file(bytes);
  if (!reader) return reader.error();
  if (auto memory = memory_of(*reader); !memory) return memory.error();
  if (auto state = reader->state(); !state) return state.error();
  return std::nullopt;
}

}  // namespace mvm::test
