#include "broker/supervisor/gate_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "policy-lang/print.h"
#include "schemas/plan.h"

namespace mvm::supervisor {
namespace {

using Clock = std::chrono::steady_clock;

// Until `fd` is ready for `events` or the time has come.
Status wait_for(int fd, short events, Clock::time_point end) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return fail(Errc::kTimeout, "wait for gate");
    pollfd waited{.fd = fd, .events = events, .revents = 0};
    const int ready = poll(&waited, 1, static_cast<int>(left));
    const int saved_errno = errno;
    if (ready > 0) return {};
    if (ready < 0 && saved_errno != EINTR) return fail_errno(saved_errno, "wait for gate");
  }
}

Status send_all(int fd, std::span<const char> from, Clock::time_point end) {
  while (!from.empty()) {
    if (auto ok = wait_for(fd, POLLOUT, end); !ok) return ok;
    const ssize_t put = send(fd, from.data(), from.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    const int saved_errno = errno;
    if (put < 0 && (saved_errno == EINTR || saved_errno == EAGAIN)) continue;
    if (put < 0) return fail_errno(saved_errno, "send a text to gate");
    from = from.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Status receive_all(int fd, std::span<char> into, Clock::time_point end) {
  while (!into.empty()) {
    if (auto ok = wait_for(fd, POLLIN, end); !ok) return ok;
    const ssize_t got = recv(fd, into.data(), into.size(), MSG_DONTWAIT);
    const int saved_errno = errno;
    if (got < 0 && (saved_errno == EINTR || saved_errno == EAGAIN)) continue;
    if (got < 0) return fail_errno(saved_errno, "receive from gate");
    if (got == 0) return fail(Errc::kClosed, "receive from gate");
    into = into.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

// What came unasked before the question is no answer to it, and what comes after the answer is of nobody's asking.
Status check_silent(int fd) {
  pollfd waited{.fd = fd, .events = POLLIN, .revents = 0};
  const int ready = poll(&waited, 1, 0);
  const int saved_errno = errno;
  if (ready < 0) return fail_errno(saved_errno, "poll gate");
  if (ready > 0) return fail(Errc::kMalformed, "find gate silent when it was not asked");
  return {};
}

Result<std::vector<std::uint8_t>> ask(int fd, lang::Kind kind, std::string_view text, Clock::time_point end) {
  if (auto ok = check_silent(fd); !ok) return forward(std::move(ok.error()));
  const wire::GateRequest request{static_cast<std::uint32_t>(kind), static_cast<std::uint32_t>(text.size())};
  if (auto ok = send_all(fd, {reinterpret_cast<const char*>(&request), sizeof request}, end); !ok) return forward(std::move(ok.error()));
  if (auto ok = send_all(fd, text, end); !ok) return forward(std::move(ok.error()));
  wire::GateReply reply;
  if (auto ok = receive_all(fd, {reinterpret_cast<char*>(&reply), sizeof reply}, end); !ok) return forward(std::move(ok.error()));
  if (reply.length > wire::kMaxParsed) return fail(Errc::kLimit, "receive from gate", "length");
  std::vector<std::uint8_t> answer(reply.length);
  if (auto ok = receive_all(fd, {reinterpret_cast<char*>(answer.data()), answer.size()}, end); !ok) return forward(std::move(ok.error()));
  if (auto ok = check_silent(fd); !ok) return forward(std::move(ok.error()));
  return answer;
}

Result<lang::Checked<lang::Document>> parsed_by_gate(int fd, lang::Kind kind, std::string_view text, Clock::time_point end) {
  const auto answer = ask(fd, kind, text, end);
  if (!answer) return forward(answer.error());
  return wire::decode_parsed(kind, *answer);
}

// A policy is compared without what people may add to it.
bool same_text(const lang::Document& document, std::string_view text) {
  return lang::print(document) == (document.kind == lang::Kind::kPolicy ? lang::strip_comments(text) : std::string(text));
}

}  // namespace

Result<lang::Checked<Canonical>> GateClient::parse(lang::Kind kind, std::string_view text, std::chrono::milliseconds deadline) {
  if (!channel_.valid()) return fail(Errc::kClosed, "ask gate, which failed before");
  if (text.size() > lang::kMaxTextBytes) return fail(Errc::kLimit, "parse a text of more than a MiB");
  auto parsed = parsed_by_gate(channel_.get(), kind, text, Clock::now() + deadline);
  if (!parsed) {
    channel_.reset();
    return forward(std::move(parsed.error()));
  }
  if (!*parsed) return lang::Checked<Canonical>(std::unexpected(std::move(parsed->error())));
  if (!same_text(**parsed, text)) {
    channel_.reset();
    return fail(Errc::kDenied, "find in what gate returned the text that it was sent", std::string(lang::to_string(kind)));
  }
  const Digest digest = lang::text_digest(**parsed);
  return lang::Checked<Canonical>(Canonical(std::move(**parsed), digest));
}

}  // namespace mvm::supervisor
