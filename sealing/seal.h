// The two ends of an envelope: sealing to an offer, and opening in the one process that holds the offer's private key.
// Label, recipient and signer are HPKE's info and aad. Signing is not done here: whoever seals signs what comes out.
// Proven by: tests/sealing/seal_test.cc, fuzz/envelope_fuzz.cc.
#pragma once

#include <functional>

#include "base/secret.h"
#include "sealing/envelope.h"
#include "sealing/hpke.h"

namespace mvm::sealing {

using Sign = std::function<Result<Signature>(std::string_view bytes)>;

// A whole envelope. kDenied where `plaintext` is not what the label says: a key's 32 bytes, content with the label's digest.
[[nodiscard]] Result<std::vector<std::uint8_t>> seal(const SecretArena& arena, const Label& label, const PublicKey& recipient,
                                                     const PublicKey& signer, const Sign& sign, Bytes plaintext);

// The private end of one offer: made anew at each start, never written down, gone with the process.
class Session {
 public:
  // Also sees to it that all that OpenSSL needs for open() is there, so that it can be called before a sandbox closes and open()
  // works in it. Calls use_secure_heap().
  [[nodiscard]] static Result<Session> make(SecretArena arena);

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  // What is in it, where it is an envelope with exactly this label, sealed to this session and unchanged, and the plaintext is what the
  // label says. kMalformed, kLimit: no envelope. kDenied: another label, another session, or changed. Who signed it is not looked at.
  [[nodiscard]] Result<Secret> open(const Label& expected, Bytes envelope) const;
  [[nodiscard]] const SecretArena& arena() const { return arena_; }

 private:
  Session(SecretArena arena, hpke::Key key, const PublicKey& public_key)
      : arena_(std::move(arena)), key_(std::move(key)), public_key_(public_key) {}
  SecretArena arena_;
  hpke::Key key_;
  PublicKey public_key_{};
};

}  // namespace mvm::sealing
