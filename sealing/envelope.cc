#include "sealing/envelope.h"

#include "sealing/bytes.h"

namespace mvm::sealing {
namespace {

constexpr std::string_view kMagic = "mvmseal1";
constexpr std::size_t kSignatureBytes = sizeof(Signature);
constexpr std::size_t kLeast = kHeaderBytes + kSealedTagBytes + 1 + kSignatureBytes;

std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read an envelope", what); }

bool is_key(Purpose purpose) { return purpose == Purpose::kTenantKey; }

}  // namespace

std::string_view to_string(Purpose purpose) {
  switch (purpose) {
    case Purpose::kTenantKey: return "key";
    case Purpose::kSecrets: return "secrets";
    case Purpose::kConfig: return "config";
  }
  return "unknown";
}

std::string to_string(const Label& label) {
  const std::string what = std::string(to_string(label.purpose)) + " " + std::string(label.tenant.view());
  return is_key(label.purpose) ? what + "/" + std::to_string(label.version) : what + " " + to_string(label.digest);
}

std::string envelope_name(const Label& label) {
  const std::string which = is_key(label.purpose) ? std::to_string(label.version) : to_hex(label.digest.bytes);
  return std::string(to_string(label.purpose)) + "." + std::string(label.tenant.view()) + "." + which + "." + std::to_string(label.generation) + ".sealed";
}

Status check_label(const Label& label) {
  if (label.node.empty() || label.tenant.empty()) return malformed("no name where there must be one");
  if (label.purpose < Purpose::kTenantKey || label.purpose > Purpose::kConfig) return malformed("a purpose that there is not");
  if (label.generation == 0 || label.generation > kMaxGeneration) return malformed("a generation out of range");
  const bool has_version = label.version != 0, has_digest = label.digest != Digest{};
  if (has_version != is_key(label.purpose) || has_digest == is_key(label.purpose)) return malformed("a key with a digest, or content without");
  if (label.version > kMaxKeyVersion) return malformed("a key's version out of range");
  return {};
}

Digest key_id(const PublicKey& recipient) {
  return sha256(std::string_view(reinterpret_cast<const char*>(recipient.data()), recipient.size()));
}

Result<Envelope> read_envelope(Bytes bytes) {
  if (bytes.size() > kMaxEnvelope) return fail(Errc::kLimit, "read an envelope");
  if (bytes.size() < kLeast) return malformed("too short");
  Reader reader(bytes);
  if (!reader.takes(kMagic)) return malformed("it does not begin as one");
  Envelope out;
  out.label.purpose = static_cast<Purpose>(reader.number<std::uint8_t>());
  if (reader.number<std::uint8_t>() != 0 || reader.number<std::uint16_t>() != 0) return malformed("bytes that must be zero");
  out.label.version = reader.number<std::uint32_t>();
  out.label.generation = reader.number<std::uint64_t>();
  const auto node = reader.name(), tenant = reader.name();
  if (!node || !tenant) return malformed("a name that is none");
  out.label.node = *node;
  out.label.tenant = *tenant;
  out.label.digest.bytes = reader.array<32>();
  if (auto sound = check_label(out.label); !sound) return forward(sound.error());
  out.recipient.bytes = reader.array<32>();
  out.signer = reader.array<32>();
  out.enc = reader.array<32>();
  const std::size_t length = reader.number<std::uint32_t>();
  if (length != bytes.size() - kHeaderBytes - kSignatureBytes) return malformed("a length that is not its own");
  if (is_key(out.label.purpose) && length != kTenantKeyBytes + kSealedTagBytes) return malformed("a key that is not 32 bytes long");
  out.ciphertext = reader.take(length);
  out.signature = reader.array<kSignatureBytes>();
  out.info = bytes.first(kInfoBytes);
  out.aad = bytes.first(kAadBytes);
  out.signed_bytes = bytes.first(bytes.size() - kSignatureBytes);
  out.whole = bytes;
  return out;
}

Result<Draft> begin_envelope(const Label& label, const PublicKey& recipient, const PublicKey& signer) {
  if (auto sound = check_label(label); !sound) return forward(sound.error());
  Writer writer;
  writer.text(kMagic);
  writer.number(static_cast<std::uint8_t>(label.purpose));
  writer.number(std::uint8_t{0});
  writer.number(std::uint16_t{0});
  writer.number(label.version);
  writer.number(label.generation);
  writer.name(label.node);
  writer.name(label.tenant);
  writer.bytes(label.digest.bytes);
  writer.bytes(key_id(recipient).bytes);
  writer.bytes(signer);
  return Draft{std::move(writer).done()};
}

std::vector<std::uint8_t> to_be_signed(Draft draft, const PublicKey& enc, Bytes ciphertext) {
  Writer rest;
  rest.bytes(draft.bytes);
  rest.bytes(enc);
  rest.number(static_cast<std::uint32_t>(ciphertext.size()));
  rest.bytes(ciphertext);
  return std::move(rest).done();
}

}  // namespace mvm::sealing
