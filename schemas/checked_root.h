// From bytes to the root table of a FlatBuffer, by way of the generated verifier. Only for the decoders of schemas/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "flatbuffers/flatbuffers.h"

namespace mvm::wire {

inline constexpr std::size_t kBufferAlignment = 8;
inline constexpr flatbuffers::uoffset_t kMaxDepth = 8;
inline constexpr flatbuffers::uoffset_t kMaxTables = 4096;

// kLimit where there are more than `limit` bytes; kMalformed where the verifier finds fault, the identifier is another's, or
// the bytes are not aligned to 8 (any buffer of a vector is). The table lives as long as `bytes`.
template <class Root>
[[nodiscard]] Result<const Root*> checked_root(std::span<const std::uint8_t> bytes, const char* identifier, std::size_t limit) {
  if (bytes.size() > limit) return fail(Errc::kLimit, "decode a message", identifier);
  if (reinterpret_cast<std::uintptr_t>(bytes.data()) % kBufferAlignment != 0) {
    return fail(Errc::kMalformed, "decode a message that is not aligned", identifier);
  }
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), kMaxDepth, kMaxTables);
  if (!verifier.VerifyBuffer<Root>(identifier)) return fail(Errc::kMalformed, "decode a message", identifier);
  return flatbuffers::GetRoot<Root>(bytes.data());
}

// Whether the elements of a vector are aligned as their type wants. The generated verifier looks at the alignment of a
// vector's length alone, and reading an element that is not aligned is undefined. One that is empty has none, and the builder
// aligns no vector that is empty.
template <class Element>
[[nodiscard]] bool is_aligned(const flatbuffers::Vector<Element>& vector) {
  return vector.size() == 0 || reinterpret_cast<std::uintptr_t>(vector.Data()) % kBufferAlignment == 0;
}

template <class Builder, class Offset>
[[nodiscard]] std::vector<std::uint8_t> finished_bytes(Builder& builder, Offset root, const char* identifier) {
  builder.Finish(root, identifier);
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

}  // namespace mvm::wire
