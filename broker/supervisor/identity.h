// The node's identity: an Ed25519 key that signs, once a start, to whom keys may be sealed. It comes as a credential of systemd
// (LoadCredentialEncrypted=mvm-identity: encrypted to the machine, decrypted for this service alone), is read while hostd is root, and is
// wiped when the offer is made, before the first request is read.
// Owns the key, in secret memory. Proven by: tests/supervisor/identity_test.cc, hostd_test.cc, and in the node VM.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/secret.h"
#include "broker/supervisor/workers.h"
#include "sealing/offer.h"

namespace mvm::supervisor {

inline constexpr const char* kIdentityName = "mvm-identity";
inline constexpr std::size_t kIdentityBytes = 32;  // an Ed25519 private key as RFC 8032 has it

class Identity {
 public:
  // From the credential directory. Nothing where `directory` is empty or has no such credential. kDenied: the file is not root's alone;
  // kMalformed: it is not 32 bytes.
  [[nodiscard]] static Result<std::optional<Identity>> read(const std::string& directory);
  // The whole offer. The identity is gone then.
  [[nodiscard]] Result<std::vector<std::uint8_t>> sign(const sealing::Offer& offer) &&;

 private:
  explicit Identity(Secret key) : key_(std::move(key)) {}
  Secret key_;
};

// So that no worker, of whichever user, finds the credential: its file system is taken out of this mount namespace, or, where it is
// none of its own, the file is removed. Needs root. What is not there is hidden already.
[[nodiscard]] Status hide_credentials(const std::string& directory);

// Asks the storage worker for its session's public key and signs it. No bytes: there is no identity, so nothing is offered.
[[nodiscard]] Result<std::vector<std::uint8_t>> make_offer(Workers& workers, std::optional<Identity> identity, const Name& node, const Fd& journal);

// Counts the starts of hostd on this node, kept over a power cut. From 1.
[[nodiscard]] Result<std::uint64_t> next_start(const Fd& journal);

}  // namespace mvm::supervisor
