// The kernel's answers as the net worker decodes them: one datagram, then the body of each message by every decoder.
#include <cstdint>
#include <span>

#include "broker/net/reply.h"
#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm::net;
  const Bytes datagram(data, size);
  const auto replies = decode_replies(datagram);
  if (!replies) return 0;
  mvm::fuzz::must(replies->size() <= kMaxReplies, "a datagram holds at most kMaxReplies messages");
  for (const Reply& reply : *replies) {
    mvm::fuzz::must(reply.body.data() >= data && reply.body.data() + reply.body.size() <= data + size, "a body lies in its datagram");
    mvm::fuzz::must(reply.error >= 0 && reply.error <= 4095, "an error is an errno");
    mvm::fuzz::must(reply.text.size() <= kMaxReplyText, "the kernel's words are cut");
    if (const auto link = decode_link(reply.body))
      mvm::fuzz::must(link->index != 0 && !link->name.empty(), "a link has an index and a name");
    if (const auto elements = decode_elements(reply.body))
      for (const Element& element : *elements)
        mvm::fuzz::must(element.key.size() <= size && element.key_end.size() <= size, "a key lies in its datagram");
    if (const auto rule = decode_policy_rule(reply.body))
      mvm::fuzz::must(rule->from.prefix <= 32 && rule->to.prefix <= 32, "a prefix is of 32 bits at most");
    if (const auto route = decode_route(reply.body)) mvm::fuzz::must(route->to.prefix <= 32, "a prefix is of 32 bits at most");
    (void)decode_forwarding(reply.body).has_value();
    (void)decode_reverse_path(reply.body).has_value();
  }
  return 0;
}
