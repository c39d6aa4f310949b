// Sealed memfds: how a text crosses from process to process so that nobody can change it after the check (memfd_create(2),
// fcntl(2) F_ADD_SEALS). Proven by: tests/base/sealed_test.cc.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace mvm {

// A memfd with that content and all four seals: no write, no shrink, no grow, no more seals.
[[nodiscard]] Result<Fd> make_sealed(std::string_view content);
// The content of a memfd that has all four seals and at most `limit` bytes; read by pread, so the offset does not matter.
// kDenied where it is no memfd or a seal is missing, kLimit where it is too long.
[[nodiscard]] Result<std::string> read_sealed(const Fd& fd, std::size_t limit);

}  // namespace mvm
