// The dm-verity tree over a rootfs: hash type 1, SHA-256, blocks of 4096 bytes, no salt, a superblock before it
// (Documentation/admin-guide/device-mapper/verity.rst; cryptsetup's wiki says what the superblock is). Made and checked in this
// process by libcryptsetup, without device-mapper. `veritysetup verify` agrees.
// Without a salt, because the same rootfs then has the same root hash wherever it is built, and an auditor can say so.
// Owns nothing; touches the two files. Proven by: tests/images/verity_test.cc.
#pragma once

#include <array>
#include <cstdint>

#include "base/digest.h"
#include "base/error.h"

namespace mvm::images {

using Uuid = std::array<std::uint8_t, 16>;

// Writes the tree over `blocks` blocks of `data` into `tree`, an empty file, and returns its root hash. The uuid stands in the
// superblock, for people.
[[nodiscard]] Result<Digest> make_tree(int data, int tree, std::uint64_t blocks, const Uuid& uuid);

// Reads all of both. kCorrupt: some byte of either is not what the root hash says. The superblock is not believed, nor read.
[[nodiscard]] Status check_tree(int data, int tree, std::uint64_t blocks, const Digest& root);

}  // namespace mvm::images
