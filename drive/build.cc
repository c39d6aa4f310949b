#include "drive/build.h"

#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/owned.h"

namespace mvm::drive {
namespace {

constexpr std::uint32_t kBlocks = kDriveBytes / kBlock;
constexpr std::uint32_t kInodes = 128;
constexpr std::uint32_t kTime = 1;  // of everything; 0 would mean now
// A name of kMaxFileName needs 8 bytes more, and its place is a multiple of 4; all of them, ".", ".." and "lost+found" fit into
// the one block of the root directory.
static_assert(kMaxFiles * ((8 + kMaxFileName + 3) / 4 * 4) + 12 + 12 + 20 <= kBlock);
// Superblock, groups, two bitmaps, inodes, two directories; and of each file at most one block that it does not fill.
static_assert(1 + 1 + 2 + kInodes * EXT2_GOOD_OLD_INODE_SIZE / kBlock + 2 + kMaxFiles + kMaxContent / kBlock <= kBlocks);

// ---- a channel of libext2fs that is a piece of memory

struct Memory {
  std::span<std::uint8_t> bytes;
};

// The block, or the |count| bytes where count is negative, as io_channel has it; nothing where they are not ours.
std::span<std::uint8_t> piece(io_channel channel, unsigned long long block, int count) {
  auto* memory = static_cast<Memory*>(channel->private_data);
  const auto size = count < 0 ? static_cast<std::uint64_t>(-static_cast<long>(count)) : static_cast<std::uint64_t>(count) * static_cast<unsigned>(channel->block_size);
  if (memory == nullptr || block > kDriveBytes) return {};
  const std::uint64_t at = block * static_cast<unsigned>(channel->block_size);
  if (at > memory->bytes.size() || size > memory->bytes.size() - at) return {};
  return memory->bytes.subspan(at, size);
}

extern struct_io_manager kManager;

errcode_t open_channel(const char*, int, io_channel* out) {
  auto* channel = static_cast<io_channel>(std::calloc(1, sizeof(struct_io_channel)));
  if (channel == nullptr) return EXT2_ET_NO_MEMORY;
  channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
  channel->manager = &kManager;
  channel->block_size = 1024;
  channel->refcount = 1;
  *out = channel;
  return 0;
}
errcode_t close_channel(io_channel channel) {
  if (--channel->refcount == 0) std::free(channel);
  return 0;
}
errcode_t set_block_size(io_channel channel, int size) {
  channel->block_size = size;
  return 0;
}
errcode_t read_blocks64(io_channel channel, unsigned long long block, int count, void* data) {
  const auto from = piece(channel, block, count);
  if (from.empty()) return EXT2_ET_SHORT_READ;
  std::memcpy(data, from.data(), from.size());
  return 0;
}
errcode_t write_blocks64(io_channel channel, unsigned long long block, int count, const void* data) {
  const auto to = piece(channel, block, count);
  if (to.empty()) return EXT2_ET_SHORT_WRITE;
  std::memcpy(to.data(), data, to.size());
  return 0;
}
errcode_t read_blocks(io_channel channel, unsigned long block, int count, void* data) { return read_blocks64(channel, block, count, data); }
errcode_t write_blocks(io_channel channel, unsigned long block, int count, const void* data) { return write_blocks64(channel, block, count, data); }
errcode_t flush_channel(io_channel) { return 0; }

// All zero already.
errcode_t zero_out(io_channel, unsigned long long, unsigned long long) { return 0; }

struct_io_manager kManager = {.magic = EXT2_ET_MAGIC_IO_MANAGER, .name = "memory", .open = open_channel, .close = close_channel,
                              .set_blksize = set_block_size, .read_blk = read_blocks, .write_blk = write_blocks, .flush = flush_channel,
                              .write_byte = nullptr, .set_option = nullptr, .get_stats = nullptr, .read_blk64 = read_blocks64,
                              .write_blk64 = write_blocks64, .discard = nullptr, .cache_readahead = nullptr, .zeroout = zero_out, .reserved = {}};

// ---- the file system

using FileSystem = Owned<struct_ext2_filsys, &ext2fs_free>;
using Extents = Owned<ext2_extent_handle, &ext2fs_extent_free>;

Status done(errcode_t failed, const char* step) {
  if (failed == 0) return {};
  return fail(failed == EXT2_ET_BLOCK_ALLOC_FAIL || failed == EXT2_ET_DIR_NO_SPACE ? Errc::kLimit : Errc::kSystem,
              std::string("build a drive: ") + step, "libext2fs " + std::to_string(failed));
}

Result<FileSystem> make(Memory& memory, const Look& look) {
  ext2_super_block wanted{};
  wanted.s_rev_level = EXT2_DYNAMIC_REV;
  wanted.s_blocks_count = kBlocks;
  wanted.s_log_block_size = 2;
  wanted.s_log_cluster_size = 2;
  wanted.s_inodes_count = kInodes;
  wanted.s_inode_size = EXT2_GOOD_OLD_INODE_SIZE;
  wanted.s_feature_incompat = EXT2_FEATURE_INCOMPAT_FILETYPE | EXT3_FEATURE_INCOMPAT_EXTENTS;
  ext2_filsys raw = nullptr;
  const errcode_t failed = ext2fs_initialize("", EXT2_FLAG_64BITS, &wanted, &kManager, &raw);
  FileSystem fs(raw);
  if (auto made = done(failed, "begin"); !made) return forward(made.error());
  fs->io->private_data = &memory;
  fs->now = kTime;
  fs->umask = 022;
  ext2_super_block& super = *fs->super;
  std::copy_n(look.digest.bytes.begin(), sizeof super.s_uuid, super.s_uuid);
  std::copy_n(look.label.begin(), std::min(look.label.size(), sizeof super.s_volume_name), reinterpret_cast<char*>(super.s_volume_name));
  std::memset(super.s_hash_seed, 0, sizeof super.s_hash_seed);
  super.s_mkfs_time = super.s_lastcheck = kTime;
  super.s_max_mnt_count = -1;
  super.s_checkinterval = 0;
  if (auto tables = done(ext2fs_allocate_tables(fs.get()), "tables"); !tables) return forward(tables.error());
  return fs;
}

Status make_directories(ext2_filsys fs) {
  ext2fs_inode_alloc_stats2(fs, EXT2_BAD_INO, +1, 0);
  if (auto root = done(ext2fs_mkdir(fs, EXT2_ROOT_INO, EXT2_ROOT_INO, nullptr), "root directory"); !root) return root;
  for (ext2_ino_t reserved = EXT2_ROOT_INO + 1; reserved < EXT2_FIRST_INODE(fs->super); ++reserved) ext2fs_inode_alloc_stats2(fs, reserved, +1, 0);
  if (auto found = done(ext2fs_mkdir(fs, EXT2_ROOT_INO, 0, "lost+found"), "lost+found"); !found) return found;  // e2fsck wants one
  ext2_inode root{};
  if (auto read = done(ext2fs_read_inode(fs, EXT2_ROOT_INO, &root), "root directory"); !read) return read;
  root.i_mode = S_IFDIR | 0555;
  return done(ext2fs_write_inode(fs, EXT2_ROOT_INO, &root), "root directory");
}

// One run of blocks, with the bytes in it.
Status add_extent(ext2_filsys fs, ext2_ino_t number, ext2_inode& inode, std::span<const std::uint8_t> bytes, std::span<std::uint8_t> drive) {
  if (bytes.empty()) return {};
  const auto blocks = static_cast<std::uint32_t>((bytes.size() + kBlock - 1) / kBlock);
  blk64_t first = 0;
  if (auto free = done(ext2fs_get_free_blocks2(fs, fs->super->s_first_data_block, 0, static_cast<int>(blocks), nullptr, &first), "find room"); !free) return free;
  ext2fs_block_alloc_stats_range(fs, first, blocks, +1);
  std::ranges::copy(bytes, drive.subspan(first * kBlock).begin());
  if (auto counted = done(ext2fs_iblk_set(fs, &inode, blocks), "count blocks"); !counted) return counted;
  ext2_extent_handle_t raw = nullptr;
  const errcode_t failed = ext2fs_extent_open2(fs, number, &inode, &raw);
  const Extents extents(raw);
  if (auto opened = done(failed, "extents"); !opened) return opened;
  ext2fs_extent extent{};
  extent.e_pblk = first;
  extent.e_len = blocks;
  return done(ext2fs_extent_insert(extents.get(), 0, &extent), "extent");
}

Status add(ext2_filsys fs, const File& file, std::uint16_t mode, std::span<std::uint8_t> drive) {
  ext2_ino_t number = 0;
  if (auto got = done(ext2fs_new_inode(fs, EXT2_ROOT_INO, S_IFREG | mode, nullptr, &number), "inode"); !got) return got;
  ext2fs_inode_alloc_stats2(fs, number, +1, 0);
  ext2_inode inode{};
  inode.i_mode = static_cast<std::uint16_t>(S_IFREG | mode);
  inode.i_links_count = 1;
  inode.i_atime = inode.i_ctime = inode.i_mtime = kTime;
  inode.i_flags = EXT4_EXTENTS_FL;
  if (auto sized = done(ext2fs_inode_size_set(fs, &inode, file.bytes.size()), "size"); !sized) return sized;
  ext2_extent_handle_t raw = nullptr;  // writes the empty root of a tree into the inode
  const errcode_t failed = ext2fs_extent_open2(fs, number, &inode, &raw);
  const Extents extents(raw);
  if (auto opened = done(failed, "extents"); !opened) return opened;
  if (auto written = done(ext2fs_write_new_inode(fs, number, &inode), "inode"); !written) return written;
  if (auto filled = add_extent(fs, number, inode, file.bytes, drive); !filled) return filled;
  return done(ext2fs_link(fs, EXT2_ROOT_INO, std::string(file.name).c_str(), number, EXT2_FT_REG_FILE), "name");
}

}  // namespace

Status build(std::span<const File> files, const Look& look, std::span<std::uint8_t> drive) {
  if (drive.size() != kDriveBytes) return fail(Errc::kLimit, "build a drive of another size");
  // Asked for more than there is, ext2fs_get_free_blocks2() of 1.47 never ends.
  std::size_t content = 0;
  for (const File& file : files) content += std::min(file.bytes.size(), kMaxContent + 1);
  if (files.size() > kMaxFiles || content > kMaxContent) return fail(Errc::kLimit, "build a drive of so much");
  std::ranges::fill(drive, std::uint8_t{0});
  Memory memory{drive};
  auto fs = make(memory, look);
  if (!fs) return forward(fs.error());
  if (auto made = make_directories(fs->get()); !made) return made;
  for (const File& file : files) {
    if (auto added = add(fs->get(), file, look.mode, drive); !added) return added;
  }
  // It has no time of its own, and what is not in it is not written.
  return done(ext2fs_flush(fs->get()), "end");
}

}  // namespace mvm::drive
