// An envelope, as anyone who can write agentd's directory would leave it: read, and then opened by a session that it was not made for.
#include "sealing/envelope.h"

#include <algorithm>

#include "fuzz/check.h"
#include "sealing/seal.h"

// What libcrypto keeps once it has been used is not a leak of ours: 12 blocks, of 3,792 bytes, of its first making of a key, however often
// envelopes are opened then.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libcrypto"; }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using namespace mvm::sealing;
  static const SecretArena arena = SecretArena::make().value();
  static const Session session = Session::make(arena).value();
  const Bytes input(data, size);
  const auto envelope = read_envelope(input);
  if (!envelope) return 0;
  fuzz::must(check_label(envelope->label).has_value(), "what is read has a label that may be");
  fuzz::must(envelope->whole.size() == size && envelope->signed_bytes.size() + 64 == size, "all of it is signed");
  PublicKey recipient{};
  auto draft = begin_envelope(envelope->label, recipient, envelope->signer).value();
  std::ranges::copy(envelope->recipient.bytes, draft.bytes.begin() + 120);
  auto again = to_be_signed(std::move(draft), envelope->enc, envelope->ciphertext);
  again.insert(again.end(), envelope->signature.begin(), envelope->signature.end());
  fuzz::must(std::ranges::equal(again, input), "there is one way to write it");
  fuzz::must(!session.open(envelope->label, input), "nothing opens that was not sealed to this key pair");
  // Past the look at the recipient, down to HPKE.
  std::ranges::copy(key_id(session.public_key()).bytes, again.begin() + 120);
  const auto opened = session.open(envelope->label, again);
  fuzz::must(!opened && (opened.error().code == Errc::kDenied || opened.error().code == Errc::kMalformed), "nor where it says that it was");
  return 0;
}
