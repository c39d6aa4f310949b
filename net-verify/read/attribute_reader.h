// Small steps of decoding that all messages share. Pure.
#pragma once

#include <arpa/inet.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "broker/net/attributes.h"
#include "net-verify/read/decode.h"

namespace mvm::verify {

[[nodiscard]] inline std::unexpected<Error> malformed(const char* what) { return fail(Errc::kMalformed, "read the kernel's network", what); }

// Printable, so that nothing of the kernel's (which others may have named) can do anything to a terminal.
[[nodiscard]] inline std::string clean(Bytes bytes) {
  std::string text(net::read_text(bytes).substr(0, kMaxName));
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

[[nodiscard]] inline std::uint32_t big32(Bytes bytes) { return ntohl(net::read_value<std::uint32_t>(bytes).value_or(0)); }
[[nodiscard]] inline std::uint64_t big64(Bytes bytes) {
  return bytes.size() < 8 ? 0 : std::uint64_t{big32(bytes)} << 32 | big32(bytes.subspan(4));
}
[[nodiscard]] inline std::uint32_t host32(Bytes bytes) { return net::read_value<std::uint32_t>(bytes).value_or(0); }

// Calls `take(type, value)` for each attribute; a Status that is an error ends it.
template <class Take>
[[nodiscard]] Status each(Bytes bytes, const char* what, Take take) {
  net::Attributes attributes(bytes);
  while (const auto attribute = attributes.next())
    if (Status taken = take(attribute->type, attribute->value); !taken) return taken;
  return attributes.malformed() ? malformed(what) : Status{};
}

}  // namespace mvm::verify
