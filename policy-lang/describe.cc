#include "policy-lang/describe.h"

namespace mvm::lang {

std::string describe(const Field& field) {
  using enum FieldKind;
  switch (field.kind) {
    case kNumber:
      return "a number from " + std::to_string(field.min) + " to " + std::to_string(field.max) + ", without a leading zero";
    case kWord: return one_of(field.words);
    case kDigest: return "sha256: and 64 lower-case hex digits";
    case kDigestOrNone: return "sha256: and 64 lower-case hex digits, or none";
    case kPublicKey: return "ed25519: and 64 lower-case hex digits";
    case kSubnet:
      return "an IPv4 network as a.b.c.d/prefix, prefix " + std::to_string(kMinPrefix) + " to " + std::to_string(kMaxPrefix) +
             ", host bits zero";
    case kKey: return "a tenant, '/' and a version from 1 to " + std::to_string(field.max);
    case kKeyOrNone: return "a tenant, '/' and a version from 1 to " + std::to_string(field.max) + ", or none";
    case kBoot: return "cold, or snapshot:sha256: and 64 lower-case hex digits";
  }
  return {};
}

std::string one_of(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) {
    if (!text.empty()) text += word == words.back() ? " or " : ", ";
    text += word;
  }
  return text;
}

}  // namespace mvm::lang
