// What the tests seal, and to whom. Nothing here is anyone's key.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <string>
#include <vector>

#include "base/digest.h"
#include "sealing/seal.h"

namespace mvm::test {

inline std::vector<std::uint8_t> from_hex(std::string_view hex) {
  std::vector<std::uint8_t> out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) out.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return out;
}

inline std::array<std::uint8_t, 32> array_of(std::string_view hex) {
  std::array<std::uint8_t, 32> out{};
  std::ranges::copy(from_hex(hex), out.begin());
  return out;
}

inline sealing::Label key_label(std::uint32_t version = 1) {
  sealing::Label label;
  label.node = *Name::from("node-7");
  label.purpose = sealing::Purpose::kTenantKey;
  label.tenant = *Name::from("acme");
  label.version = version;
  label.generation = 42;
  return label;
}

inline sealing::Label content_label(sealing::Purpose purpose, std::string_view content) {
  sealing::Label label = key_label(0);
  label.purpose = purpose;
  label.digest = sha256(content);
  return label;
}

inline constexpr std::array<std::uint8_t, 32> kTenantKey = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
                                                            17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
inline constexpr sealing::PublicKey kSigner = {9, 9, 9};

// Signs nothing: who opens does not look at signatures.
inline Result<sealing::Signature> unsigned_(std::string_view) { return sealing::Signature{}; }

inline std::vector<std::uint8_t> sealed(const SecretArena& arena, const sealing::Label& label, const sealing::PublicKey& recipient,
                                        sealing::Bytes plaintext) {
  return sealing::seal(arena, label, recipient, kSigner, unsigned_, plaintext).value();
}

inline sealing::Bytes bytes_of(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

}  // namespace mvm::test
