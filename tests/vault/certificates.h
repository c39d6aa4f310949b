// Certificates that tests make: authorities, and what they sign. ECDSA P-256, X.509 version 3.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <string>

#include "base/owned.h"

namespace mvm::test {

struct Identity {
  std::string certificate, key;  // PEM
};

// Seconds from now.
struct Validity {
  long from = -3600, to = 3600;
};

class Authority {
 public:
  explicit Authority(const std::string& name = "an authority of the tests");
  [[nodiscard]] const std::string& certificate() const { return pem_; }
  // For that name, as DNS name and common name.
  [[nodiscard]] Identity issue(const std::string& name, const Validity& validity = {}) const;

 private:
  Owned<EVP_PKEY, &EVP_PKEY_free> key_;
  Owned<X509, &X509_free> own_;
  std::string pem_;
};

}  // namespace mvm::test
