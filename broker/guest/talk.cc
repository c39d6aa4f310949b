#include "broker/guest/talk.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <string>
#include <string_view>

namespace mvm::guest_worker {
namespace {

using guest::Outcome;

// What is sent is small, and sent when nothing else is under way: a socket that does not take it whole is not read.
Status send_all(int fd, const void* data, std::size_t size) {
  const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  const int saved = errno;
  if (sent == static_cast<ssize_t>(size)) return {};
  if (sent < 0 && (saved == EPIPE || saved == ECONNRESET)) return fail(Errc::kClosed, "speak to the guest");
  return sent < 0 ? Status(fail_errno(saved, "speak to the guest")) : fail(Errc::kLimit, "speak to the guest");
}

std::string_view words_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone: return "done";
    case Outcome::kHookFailed: return "a program of its image said no";
    case Outcome::kTimedOut: return "it was not done in time";
    case Outcome::kNotFrozen: return "its work did not stop";
    case Outcome::kNotReseeded: return "its kernel took no entropy";
    case Outcome::kClockStands: return "its clock could not be set";
    case Outcome::kFailed: return "it failed";
  }
  return "it failed";
}

Status status_of(Outcome outcome, const char* tried) {
  if (outcome == Outcome::kDone) return {};
  return fail(Errc::kDenied, std::string(tried) + ": the guest says that " + std::string(words_of(outcome)));
}

// Firecracker's "OK <number>\n", which is the guest's to choose no byte of; held to it all the same.
bool is_greeting(std::string_view line) {
  if (!line.starts_with("OK ") || !line.ends_with('\n')) return false;
  const std::string_view number = line.substr(3, line.size() - 4);
  return !number.empty() && number.size() <= 10 && std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

template <class Bytes>
Status fill(Bytes& bytes) {
  const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
  const int saved = errno;
  if (got != static_cast<ssize_t>(bytes.size())) return fail_errno(saved, "make random bytes");
  return {};
}

}  // namespace

Result<guest::Resume> make_resume() {
  guest::Resume resume;
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return fail_errno(errno, "read the clock");
  resume.realtime = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  if (auto filled = fill(resume.generation); !filled) return forward(filled.error());
  if (auto filled = fill(resume.entropy); !filled) return forward(filled.error());
  return resume;
}

Status Talk::begin() {
  const std::string line = "CONNECT " + std::to_string(guest::kPort) + "\n";
  return send_all(connection_.get(), line.data(), line.size());
}

Status Talk::ask(Stage next, guest::FromHost message) {
  stage_ = next;
  message.sequence = ++sequence_;
  unasked_ = 0;
  const guest::Packet packet = guest::encode(message);
  return send_all(connection_.get(), packet.data(), packet.size());
}

std::optional<Status> Talk::read_some() {
  // The greeting byte by byte, so that nothing of what follows it is taken along.
  const std::size_t wanted = stage_ == Stage::kGreeting ? 1 : packet_.size() - have_;
  const ssize_t size = recv(connection_.get(), packet_.data() + have_, wanted, MSG_DONTWAIT);
  const int saved = errno;
  if (size < 0 && (saved == EAGAIN || saved == EINTR)) return std::nullopt;
  if (size < 0 && saved != ECONNRESET) return fail_errno(saved, "hear the guest");
  if (size <= 0) return fail(Errc::kClosed, stage_ == Stage::kGreeting ? "reach the guest's daemon" : "hear the guest");
  have_ += static_cast<std::size_t>(size);
  if (stage_ == Stage::kGreeting) return read_greeting();
  if (have_ < packet_.size()) return std::nullopt;
  have_ = 0;
  const auto message = guest::decode_from_guest(packet_);
  if (!message) return forward(message.error());
  return take(*message);
}

std::optional<Status> Talk::read_greeting() {
  if (packet_[have_ - 1] != '\n') return have_ < kMaxGreeting ? std::nullopt : std::optional<Status>(fail(Errc::kMalformed, "reach the guest's daemon"));
  const std::string_view line(reinterpret_cast<const char*>(packet_.data()), have_);
  if (!is_greeting(line)) return fail(Errc::kMalformed, "reach the guest's daemon");
  have_ = 0;
  auto asked = goal_ == Goal::kPark ? ask(Stage::kParked, {0, guest::Prepare{kPrepareTime}}) : goal_ == Goal::kGoOn ? ask(Stage::kAwake, {0, resume_}) : ask(Stage::kAsked, {0, guest::Ask{}});
  return asked ? std::nullopt : std::optional<Status>(asked);
}

std::optional<Status> Talk::take(const guest::FromGuest& message) {
  if (message.sequence == 0) {
    if (++unasked_ > kMaxUnasked) return fail(Errc::kLimit, "hear a guest that says what nobody asked");
    return std::nullopt;
  }
  if (message.sequence != sequence_) return fail(Errc::kMalformed, "hear an answer to nothing");
  if (const auto* parked = std::get_if<guest::Parked>(&message.body); parked != nullptr && stage_ == Stage::kParked) {
    return status_of(parked->outcome, "park the guest");
  }
  if (const auto* awake = std::get_if<guest::Awake>(&message.body); awake != nullptr && stage_ == Stage::kAwake) {
    if (auto is = status_of(awake->outcome, "wake the guest"); !is) return is;
    auto asked = ask(Stage::kGone, {0, guest::Go{}});
    return asked ? std::nullopt : std::optional<Status>(asked);
  }
  if (const auto* heard = std::get_if<guest::Heartbeat>(&message.body); heard != nullptr && (stage_ == Stage::kGone || stage_ == Stage::kAsked)) {
    heard_ = *heard;
    return Status{};
  }
  return fail(Errc::kMalformed, "hear an answer to something else");
}

}  // namespace mvm::guest_worker
