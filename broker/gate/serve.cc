#include "broker/gate/serve.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "policy-lang/parse.h"
#include "schemas/plan.h"

namespace mvm::gate {
namespace {

// kClosed: the other side is done, and nothing came. kMalformed: it was done too early.
Status read_all(int fd, std::span<char> into) {
  std::size_t have = 0;
  while (have < into.size()) {
    const ssize_t got = read(fd, into.data() + have, into.size() - have);
    const int saved_errno = errno;
    if (got < 0 && saved_errno == EINTR) continue;
    if (got < 0) return fail_errno(saved_errno, "read a request");
    if (got == 0) return fail(have == 0 ? Errc::kClosed : Errc::kMalformed, "read a request");
    have += static_cast<std::size_t>(got);
  }
  return {};
}

Status write_all(int fd, std::span<const std::uint8_t> from) {
  while (!from.empty()) {
    const ssize_t put = write(fd, from.data(), from.size());
    const int saved_errno = errno;
    if (put < 0 && saved_errno == EINTR) continue;
    if (put < 0) return fail_errno(saved_errno, "write an answer");
    from = from.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

template <class T>
std::span<char> bytes_of(T& object) {
  return {reinterpret_cast<char*>(&object), sizeof object};
}

Status serve_one(int channel) {
  wire::GateRequest request;
  if (auto ok = read_all(channel, bytes_of(request)); !ok) return ok;
  if (request.kind >= lang::kKinds.size() || request.length > lang::kMaxTextBytes) return fail(Errc::kMalformed, "read a request");
  std::string text(request.length, '\0');
  if (auto ok = read_all(channel, text); !ok) return fail(Errc::kMalformed, "read a request", "text");
  const auto answer = wire::encode_parsed(lang::parse(static_cast<lang::Kind>(request.kind), text));
  const wire::GateReply reply{static_cast<std::uint32_t>(answer.size())};
  const auto* first = reinterpret_cast<const std::uint8_t*>(&reply);
  if (auto ok = write_all(channel, {first, sizeof reply}); !ok) return ok;
  return write_all(channel, answer);
}

}  // namespace

Status serve(int channel) {
  while (true) {
    const auto ok = serve_one(channel);
    if (!ok && ok.error().code == Errc::kClosed) return {};
    if (!ok) return ok;
  }
}

}  // namespace mvm::gate
