// The ordinary heap, for a process in which libraries copy what is secret: OpenSSL decrypts a record where it lies, libcurl copies it once
// more, the JSON lexer keeps the string that it reads. Each of these is overwritten as it is freed. wiping_new.cc does the same for operator
// delete of an executable that links it.
// Proven by: tests/vault/wiping_test.cc; that nothing is left, by tests/node/storage/vault_test.sh.
#pragma once

#include <cstddef>

#include "base/error.h"

namespace mvm::vault {

// malloc_usable_size() bytes are overwritten first. Of nullptr: nothing.
void wiping_free(void* memory);
[[nodiscard]] void* wiping_realloc(void* memory, std::size_t size);

// libcrypto's and libcurl's memory, from now on; sets libcurl up. Before either has been used: kSystem where libcrypto has taken memory already.
// Once a process, with one thread.
[[nodiscard]] Status use_wiping_heaps();

}  // namespace mvm::vault
