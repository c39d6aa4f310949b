// SHA-256 of what comes in pieces. Owns OpenSSL's context. A SHA-256 that cannot be computed leaves nothing to stand on, so it ends the
// process. Proven by: tests/base/base_test.cc.
#pragma once

#include <openssl/evp.h>

#include <cstdlib>
#include <string_view>

#include "base/digest.h"
#include "base/owned.h"

namespace mvm {

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new()) {
    static const EVP_MD* const algorithm = EVP_sha256();
    must(context_ != nullptr);
    must(EVP_DigestInit_ex(context_.get(), algorithm, nullptr));
  }
  void add(std::string_view piece) { must(EVP_DigestUpdate(context_.get(), piece.data(), piece.size())); }
  // Of all of it; once.
  [[nodiscard]] Digest digest() {
    Digest digest;
    must(EVP_DigestFinal_ex(context_.get(), digest.bytes.data(), nullptr));
    return digest;
  }

 private:
  static void must(int ok) {
    if (ok != 1) std::abort();
  }
  Owned<EVP_MD_CTX, &EVP_MD_CTX_free> context_;
};

}  // namespace mvm
