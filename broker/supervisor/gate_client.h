// Text in, values out, by way of a process that need not be trusted. The supervisor links no parser; it prints what gate
// returned and compares it, byte for byte, with the text that it sent. Owns its end of gate's channel.
// Proven by: tests/gate/gate_test.cc, and tests/gate/liar_test.cc with gates that lie in every way we thought of.
#pragma once

#include <chrono>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "policy-lang/statement.h"
#include "policy-lang/text_error.h"

namespace mvm::supervisor {

// A document whose print() is, byte for byte, the text that was sent (of a policy: the text without comments and blank
// lines). It obeys V1. There is no way to have one but GateClient::parse().
class Canonical {
 public:
  [[nodiscard]] const lang::Document& document() const& { return document_; }
  [[nodiscard]] lang::Document document() && { return std::move(document_); }
  [[nodiscard]] const Digest& digest() const { return digest_; }  // of the text: lang::text_digest()

 private:
  friend class GateClient;
  Canonical(lang::Document document, Digest digest) : document_(std::move(document)), digest_(digest) {}
  lang::Document document_;
  Digest digest_;
};

class GateClient {
 public:
  // `channel`: SOCK_STREAM, ours alone.
  explicit GateClient(Fd channel) : channel_(std::move(channel)) {}

  // Outer error: gate failed us (kTimeout, kClosed, kMalformed; kDenied: what it returned is not what was sent) and the
  // channel is closed; no later call succeeds, and hostd must end. Inner error: the text itself is refused, by gate's word;
  // a gate that lies here can only refuse. kLimit, channel still usable: the text is longer than lang::kMaxTextBytes.
  [[nodiscard]] Result<lang::Checked<Canonical>> parse(lang::Kind kind, std::string_view text,
                                                       std::chrono::milliseconds deadline = kDeadline);

  // One text of 1 MiB takes about 10 ms; a minute's grace would let a stuck gate hold the node.
  static constexpr std::chrono::milliseconds kDeadline{5000};

  // Between questions: whatever poll(2) says of it is gate's end, or a word that nobody asked for.
  [[nodiscard]] int fd() const { return channel_.get(); }

 private:
  Fd channel_;
};

}  // namespace mvm::supervisor
