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

// The private end of one offer: made anew at each start, never written down, gone with the process. Its key lies in the arena.
class Session {
 public:
  // Also sees to it that all that OpenSSL needs for open() is there, so that it can be called before a sandbox closes and open()
  // works in it. Calls use_secure_heap().
  [[nodiscard]] static Result<Session> make(SecretArena arena);
  // Another process that opens envelopes of the same offer has the same session: one makes it and gives it, once, on a socket that these two
  // alone have (SOCK_SEQPACKET), before either closes itself in. take() waits for that; kClosed where the other end has gone.
  [[nodiscard]] Status give(int socket) const;
  [[nodiscard]] static Result<Session> take(SecretArena arena, int socket);

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  // What is in it, where it is an envelope with exactly this label, sealed to this key pair and unchanged, and the plaintext is what the
  // label says. kMalformed, kLimit: no envelope. kDenied: another label, another session, or changed. Who signed it is not looked at.
  [[nodiscard]] Result<Secret> open(const Label& expected, Bytes envelope) const;
  [[nodiscard]] const SecretArena& arena() const { return arena_; }

 private:
  [[nodiscard]] static Result<Session> of(SecretArena arena, Secret raw);
  Session(SecretArena arena, Secret key, const PublicKey& public_key)
      : arena_(std::move(arena)), key_(std::move(key)), public_key_(public_key) {}
  SecretArena arena_;
  Secret key_;  // as hpke::private_key() takes it: OpenSSL has it for the length of a call, and never between two
  PublicKey public_key_{};
};

}  // namespace mvm::sealing
