// What gate answers: a text as a Document, or why it is none. FlatBuffers (schemas/plan.fbs) only carry it; the one checked
// decoder is here. What comes out of it obeys every rule of form (V1) that can be told from values: so whoever compares
// print() of it with the text, byte for byte, has checked V1 without trusting who parsed.
// Channel: SOCK_STREAM socketpair, descriptor 3 of gate. A request is GateRequest and `length` bytes of text; an answer is
// GateReply and `length` bytes of FlatBuffer. One at a time.
// Proven by: tests/gate/, fuzz/plan_answer_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::wire {

struct GateRequest {
  std::uint32_t kind = 0;    // lang::Kind
  std::uint32_t length = 0;  // bytes of text that follow; at most lang::kMaxTextBytes
};
struct GateReply {
  std::uint32_t length = 0;  // bytes of FlatBuffer that follow; at most kMaxParsed
};
static_assert(sizeof(GateRequest) == 8 && sizeof(GateReply) == 4);

inline constexpr std::size_t kMaxParsed = 8 << 20;     // 16,384 statements of 264 bytes, with room
inline constexpr std::size_t kMaxRefusalText = 2048;   // bytes of each text of a refusal

// Texts of a refusal are cut at their limit, and what is not printable ASCII becomes '?', so what is made always decodes.
[[nodiscard]] std::vector<std::uint8_t> encode_parsed(const lang::Checked<lang::Document>& parsed);
// kMalformed or kLimit: not of the form. Otherwise a refusal, or a document of `kind` that keeps every rule of form that can
// be told from values: limits, header, which words and signs may stand in it, each field's bounds, canonical order and no
// repetition where the kind is sorted.
[[nodiscard]] Result<lang::Checked<lang::Document>> decode_parsed(lang::Kind kind, std::span<const std::uint8_t> bytes);

}  // namespace mvm::wire
