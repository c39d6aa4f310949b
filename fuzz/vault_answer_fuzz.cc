// What a vault answers, decoded in each of the ways in which mvm-vault does it.
#include "vault/answer.h"

#include <algorithm>

#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using namespace mvm::vault;
  static const SecretArena arena = SecretArena::make().value();
  static const Name field = *Name::from("key");
  const Bytes input(data, size);
  if (const auto token = read_token(arena, input)) {
    fuzz::must(token->size() > 0 && token->size() <= kMaxToken, "a token is short");
    fuzz::must(std::ranges::all_of(token->bytes(), [](std::uint8_t c) { return c > ' ' && c < 0x7f; }), "a token is one line of a header");
  }
  for (const auto& text : {read_stored(arena, input, field, 1), read_plaintext(arena, input)}) {
    if (!text) continue;
    fuzz::must(text->size() <= size, "a value is a part of its answer");
    if (const auto key = read_key(arena, text->bytes())) fuzz::must(key->size() == kKeyBytes, "a key is 32 bytes");
    (void)is_ciphertext(text->bytes());
  }
  return 0;
}
