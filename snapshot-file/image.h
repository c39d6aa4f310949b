// A snapshot's memory as it was: its own file's pages, and of a diff the rest from the base that it stands on. A diff stands on a base
// and never on a diff, so a page is had by two reads at most.
// Owns both readers. Proven by: tests/snapshot-file/image_test.cc.
#pragma once

#include <optional>
#include <vector>

#include "snapshot-file/reader.h"

namespace mvm::snapshot_file {

class Image {
 public:
  // kDenied: a diff without its base, or with what check_base() refuses; a base where none is wanted; or a base by itself.
  [[nodiscard]] static Result<Image> make(Reader own, std::optional<Reader> base);

  [[nodiscard]] const Header& header() const { return own_.header(); }
  [[nodiscard]] std::span<const std::uint32_t> first() const { return own_.first(); }
  // Whether any page of that chunk can hold anything.
  [[nodiscard]] bool holds(std::uint32_t chunk) const { return own_.holds(chunk) || (base_ && base_->holds(chunk)); }
  // As Reader::chunk(), with no page left to the base.
  [[nodiscard]] Result<Unpacked> chunk(std::uint32_t number);

 private:
  Image(Reader own, std::optional<Reader> base);
  Result<Unpacked> merged(std::uint32_t number, const Unpacked& own);
  Reader own_;
  std::optional<Reader> base_;
  std::vector<PageIs> pages_;
  WipedBytes data_;
};

// All of it into `out`, which is empty, in a memory file system: the plain way to wake, where a VMM can have no userfaultfd. Pages of zeros are left as holes.
[[nodiscard]] Status write_memory(Image& image, int out);

}  // namespace mvm::snapshot_file
