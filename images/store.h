// The images of a node: <state>/images/<digest>/{manifest,kernel,rootfs,verity}, root's, 0444 in a directory of 0555, which is
// there whole or not at all. <digest> is that of the manifest's bytes, in hex; docs/images.md says the rest.
// Owns the directory, and a lock on it while it changes it. Two of us wait for each other; hostd only reads.
// Proven by: tests/images/.
#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "policy-lang/manifest.h"

namespace mvm::images {

inline constexpr const char* kManifestFile = "manifest";
inline constexpr const char* kKernelFile = "kernel";
inline constexpr const char* kRootfsFile = "rootfs";
inline constexpr const char* kVerityFile = "verity";

// The manifest of a directory, and the digest that it is named by. kMalformed: it is none; the error says why.
struct Described {
  lang::Manifest manifest;
  std::string text;
  Digest digest;
};
[[nodiscard]] Result<Described> read_described(int directory);

// The manifest of a directory that holds a kernel and a rootfs but no manifest yet, for those who build without Nix.
struct Origin {
  FlakeRef flake;
  Digest lock;
};
[[nodiscard]] Result<Described> describe(int directory, const Origin& origin);

enum class Was : std::uint8_t { kNew, kThere };
struct Imported {
  Digest digest;
  Was was = Was::kNew;
};

enum class Fate : std::uint8_t { kUsed, kYoung, kCollected };
struct Collected {
  Digest digest;
  Fate fate = Fate::kUsed;
};

using Uses = std::function<Result<std::set<Digest>>()>;

class Store {
 public:
  // The directory is made where it is missing. kDenied: others than root may write it.
  [[nodiscard]] static Result<Store> open(const std::string& state);

  // Checks all that the manifest says of kernel and rootfs, on the copies that are filed, and builds the tree. One that is there
  // already is left as it is. kCorrupt: kernel or rootfs is not what the manifest says.
  [[nodiscard]] Result<Imported> import(int directory) const;
  [[nodiscard]] Result<std::vector<Digest>> list() const;
  // Reads all of it. kCorrupt: some byte is not what the digest says. kNotFound.
  [[nodiscard]] Result<Described> verify(const Digest& digest) const;
  // Removes every image that is older than `age` and that `uses` does not name; it is asked again for each, while a
  // lock on it is held (flock(2)), which hostd does not take yet. One that somebody holds is used.
  [[nodiscard]] Result<std::vector<Collected>> collect(const Uses& uses, std::chrono::seconds age) const;

 private:
  explicit Store(Fd directory) : directory_(std::move(directory)) {}
  [[nodiscard]] Result<Fd> lock() const;
  [[nodiscard]] Result<Fd> open_image(const Digest& digest) const;
  [[nodiscard]] Status fill(int from, int to, const Described& described) const;
  [[nodiscard]] Result<Fate> collect_one(const Digest& digest, const Uses& uses, std::chrono::seconds age) const;
  [[nodiscard]] Status remove_directory(const std::string& name) const;
  [[nodiscard]] Status remove_unfinished() const;
  [[nodiscard]] Result<std::vector<std::string>> names() const;
  Fd directory_;
};

}  // namespace mvm::images
