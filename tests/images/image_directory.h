// A temporary directory with what a build gives, and one with a state directory beside it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "base/fd.h"
#include "images/store.h"

namespace mvm::test {

inline void put(const std::filesystem::path& path, std::string_view content) { std::ofstream(path, std::ios::binary) << content; }
inline std::string get(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class ImageDirectory {
 public:
  ImageDirectory() {
    char name[] = "/tmp/mvm-images-XXXXXX";
    if (mkdtemp(name) == nullptr) std::abort();
    path_ = name;
    std::filesystem::create_directories(built());
    std::filesystem::create_directories(state());
  }
  ~ImageDirectory() {
    std::error_code ignored;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
    for (std::filesystem::recursive_directory_iterator at(path_, ignored), end; at != end; at.increment(ignored)) {
      if (at->is_directory()) std::filesystem::permissions(at->path(), std::filesystem::perms::owner_all, ignored);
    }
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::filesystem::path built() const { return path_ / "built"; }
  [[nodiscard]] std::filesystem::path state() const { return path_ / "state"; }
  [[nodiscard]] std::filesystem::path filed(const Digest& digest) const { return state() / "images" / to_hex(digest.bytes); }
  [[nodiscard]] Fd open_built() const { return Fd(open(built().c_str(), O_RDONLY | O_DIRECTORY)); }
  [[nodiscard]] images::Store store() const { return images::Store::open(state()).value(); }

  // A kernel, a rootfs of that many blocks with a hole in it, and their manifest; returns its digest.
  Digest build(std::uint64_t blocks = 300, const std::string& kernel = "a kernel") const {
    put(built() / "kernel", kernel);
    std::string rootfs(blocks * lang::kVerityBlock, '\0');
    for (std::size_t i = 0; i < rootfs.size(); i += 512) {
      if (i / lang::kVerityBlock % 100 < 50) rootfs[i] = static_cast<char>('a' + i / 512 % 26);
    }
    put(built() / "rootfs", rootfs);
    const auto described = images::describe(open_built().get(), {*FlakeRef::from("github:acme/images/4f2c#worker"), sha256("lock")});
    EXPECT_TRUE(described) << described.error().message();
    put(built() / "manifest", described->text);
    return described->digest;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace mvm::test
