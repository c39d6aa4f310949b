#include "sealing/seal.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace mvm::sealing {
namespace {

std::string_view text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Status check_plaintext(const Label& label, Bytes plaintext) {
  if (label.purpose == Purpose::kTenantKey) {
    if (plaintext.size() == kTenantKeyBytes) return {};
    return fail(Errc::kDenied, "use a key that is not 32 bytes long", to_string(label));
  }
  if (plaintext.size() <= kMaxContent && sha256(text(plaintext)) == label.digest) return {};
  return fail(Errc::kDenied, "use content that has not the digest of its label", to_string(label));
}

}  // namespace

Result<std::vector<std::uint8_t>> seal(const SecretArena& arena, const Label& label, const PublicKey& recipient, const PublicKey& signer,
                                       const Sign& sign, Bytes plaintext) {
  if (auto sound = check_plaintext(label, plaintext); !sound) return forward(sound.error());
  auto draft = begin_envelope(label, recipient, signer);
  if (!draft) return forward(draft.error());
  const auto message = hpke::seal(arena, recipient, draft->info(), draft->aad(), plaintext);
  if (!message) return forward(message.error());
  std::vector<std::uint8_t> bytes = to_be_signed(*std::move(draft), message->enc, message->ciphertext);
  const auto signature = sign(text(bytes));
  if (!signature) return forward(signature.error());
  bytes.insert(bytes.end(), signature->begin(), signature->end());
  return bytes;
}

Result<Session> Session::make(SecretArena arena) {
  if (auto locked = use_secure_heap(); !locked) return forward(locked.error());
  const auto key = hpke::generate();
  if (!key) return forward(key.error());
  auto raw = hpke::raw_private(arena, *key);
  if (!raw) return forward(raw.error());
  return of(std::move(arena), *std::move(raw));
}

Status Session::give(int socket) const {
  const ssize_t sent = send(socket, key_.bytes().data(), key_.size(), MSG_NOSIGNAL);
  const int saved = errno;
  if (sent != static_cast<ssize_t>(key_.size())) return fail_errno(saved, "give a session");
  return {};
}

Result<Session> Session::take(SecretArena arena, int socket) {
  if (auto locked = use_secure_heap(); !locked) return forward(locked.error());
  auto raw = arena.take(sizeof(PublicKey));
  if (!raw) return forward(raw.error());
  ssize_t got = 0;
  int saved = 0;
  do {
    got = recv(socket, raw->bytes().data(), raw->size(), MSG_TRUNC);
    saved = errno;
  } while (got < 0 && saved == EINTR);
  if (got < 0) return fail_errno(saved, "take a session");
  if (got == 0) return fail(Errc::kClosed, "take a session");
  if (got != static_cast<ssize_t>(raw->size())) return fail(Errc::kMalformed, "take a session");
  return of(std::move(arena), *std::move(raw));
}

Result<Session> Session::of(SecretArena arena, Secret raw) {
  const auto key = hpke::private_key(raw.bytes());
  if (!key) return forward(key.error());
  const auto public_key = hpke::public_of(*key);
  if (!public_key) return forward(public_key.error());
  constexpr std::array<std::uint8_t, 1> kProbe = {0x5a};
  const auto message = hpke::seal(arena, *public_key, {}, kProbe, kProbe);
  if (!message) return forward(message.error());
  const auto opened = hpke::open(arena, *key, message->enc, {}, kProbe, message->ciphertext);
  if (!opened) return forward(opened.error());
  if (!std::ranges::equal(opened->bytes(), kProbe)) return fail(Errc::kCorrupt, "seal and open");
  return Session(std::move(arena), std::move(raw), *public_key);
}

Result<Secret> Session::open(const Label& expected, Bytes bytes) const {
  const auto envelope = read_envelope(bytes);
  if (!envelope) return forward(envelope.error());
  if (envelope->label != expected) return fail(Errc::kDenied, "open an envelope of another label", to_string(expected));
  if (envelope->recipient != key_id(public_key_)) return fail(Errc::kDenied, "open an envelope for another start of hostd", to_string(expected));
  const auto key = hpke::private_key(key_.bytes());
  if (!key) return forward(key.error());
  auto plaintext = hpke::open(arena_, *key, envelope->enc, envelope->info, envelope->aad, envelope->ciphertext);
  if (!plaintext) return plaintext;
  if (auto sound = check_plaintext(expected, plaintext->bytes()); !sound) return forward(sound.error());
  return plaintext;
}

}  // namespace mvm::sealing
