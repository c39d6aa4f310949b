#include "tests/vault/certificates.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>

namespace mvm::test {
namespace {

using Key = Owned<EVP_PKEY, &EVP_PKEY_free>;
using Certificate = Owned<X509, &X509_free>;

void must(bool holds) {
  if (!holds) std::abort();
}

void extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION, &X509_EXTENSION_free> extension(X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str()));
  must(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

Certificate begin(EVP_PKEY* key, const std::string& name, const Validity& validity) {
  static long serial = 1;
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), validity.from);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), validity.to);
  must(X509_set_pubkey(certificate.get(), key) == 1);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

std::string text_of(const Owned<BIO, &BIO_free_all>& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(X509* certificate) {
  const Owned<BIO, &BIO_free_all> bio(BIO_new(BIO_s_mem()));
  must(PEM_write_bio_X509(bio.get(), certificate) == 1);
  return text_of(bio);
}

std::string pem_of(EVP_PKEY* key) {
  const Owned<BIO, &BIO_free_all> bio(BIO_new(BIO_s_mem()));
  must(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return text_of(bio);
}

}  // namespace

Authority::Authority(const std::string& name) : key_(EVP_EC_gen("P-256")) {
  must(key_ != nullptr);
  own_ = begin(key_.get(), name, {});
  must(X509_set_issuer_name(own_.get(), X509_get_subject_name(own_.get())) == 1);
  extend(own_.get(), own_.get(), NID_basic_constraints, "critical,CA:TRUE");
  extend(own_.get(), own_.get(), NID_subject_key_identifier, "hash");
  must(X509_sign(own_.get(), key_.get(), EVP_sha256()) > 0);
  pem_ = pem_of(own_.get());
}

Identity Authority::issue(const std::string& name, const Validity& validity) const {
  const Key key(EVP_EC_gen("P-256"));
  must(key != nullptr);
  const Certificate certificate = begin(key.get(), name, validity);
  must(X509_set_issuer_name(certificate.get(), X509_get_subject_name(own_.get())) == 1);
  extend(certificate.get(), own_.get(), NID_subject_alt_name, "DNS:" + name);
  extend(certificate.get(), own_.get(), NID_authority_key_identifier, "keyid");
  must(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0);
  return {pem_of(certificate.get()), pem_of(key.get())};
}

}  // namespace mvm::test
