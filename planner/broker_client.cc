#include "planner/broker_client.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/descriptors.h"
#include "base/sealed.h"
#include "planner/unix_socket.h"
#include "policy-lang/table.h"

namespace mvm::planner {
namespace {

constexpr std::string_view kEndLine = "end sha256:";

Status send_request(const Fd& socket, const wire::Request& request, std::span<const int> descriptors) {
  std::vector<std::uint8_t> bytes = wire::encode(request);
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(wire::kSubmitDescriptors * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  const ssize_t sent = TEMP_FAILURE_RETRY(sendmsg(socket.get(), &message, MSG_NOSIGNAL));
  const int saved = errno;
  if (sent < 0) return fail_errno(saved, "send a request to hostd");
  return {};
}

struct Received {
  wire::Event event;
  Fd descriptor;  // where the event comes with one
};

Result<Fd> descriptor_in(msghdr& message) {
  std::vector<Fd> descriptors = descriptors_in(message);
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return fail(Errc::kMalformed, "read from hostd");
  return descriptors.empty() ? Fd() : std::move(descriptors.back());
}

// `timeout_ms` as of poll(2): -1 waits for ever.
Result<Received> receive(const Fd& socket, int timeout_ms) {
  if (auto ready = wait_readable(socket, timeout_ms, "wait for hostd"); !ready) return forward(ready.error());
  std::vector<std::uint8_t> bytes(wire::kMaxEvent);
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = TEMP_FAILURE_RETRY(recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC));
  const int saved = errno;
  if (got < 0) return fail_errno(saved, "read from hostd");
  auto descriptor = descriptor_in(message);
  if (!descriptor) return forward(descriptor.error());
  if (got == 0) return fail(Errc::kClosed, "read from hostd");
  bytes.resize(static_cast<std::size_t>(got));
  auto event = wire::decode_event(bytes);
  if (!event) return forward(event.error());
  if (wire::descriptors_of(*event) != (descriptor->valid() ? 1 : 0)) return fail(Errc::kMalformed, "read from hostd");
  return Received{*std::move(event), *std::move(descriptor)};
}

int in_ms(std::chrono::seconds seconds) { return static_cast<int>(std::chrono::milliseconds(seconds).count()); }

bool is_last(const wire::Event& event, wire::Mode mode) {
  if (std::holds_alternative<wire::Accepted>(event)) return mode == wire::Mode::kCheck;
  return std::holds_alternative<wire::Refused>(event) || std::holds_alternative<wire::Finished>(event) ||
         std::holds_alternative<wire::Busy>(event) || std::holds_alternative<wire::Failed>(event);
}

// The digest that the event names is the text's own: of all above the `end` line, and written on it.
Status check_state(std::string_view text, const Digest& digest) {
  const std::size_t tail = kEndLine.size() + kDigestHex + 1;
  if (text.size() < tail) return fail(Errc::kCorrupt, "read hostd's state");
  const std::string_view above = text.substr(0, text.size() - tail);
  if (sha256(above) != digest || text.substr(above.size()) != "end " + to_string(digest) + "\n") {
    return fail(Errc::kCorrupt, "read hostd's state");
  }
  return {};
}

}  // namespace

Result<BrokerClient> BrokerClient::connect(const std::string& socket_path) {
  auto socket = connect_to(socket_path, "connect to hostd");
  if (!socket) return forward(socket.error());
  return BrokerClient(*std::move(socket));
}

Result<wire::Event> BrokerClient::submit(const Submission& submission, const OnEvent& on_event) {
  const auto plan = make_sealed(submission.plan), projection = make_sealed(submission.projection);
  const auto keys = make_sealed({reinterpret_cast<const char*>(submission.keys.data()), submission.keys.size()});
  if (!plan) return forward(plan.error());
  if (!projection) return forward(projection.error());
  if (!keys) return forward(keys.error());
  const wire::Submit request{submission.mode, submission.signature};
  if (auto sent = send_request(socket_, request, std::array{plan->get(), projection->get(), keys->get()}); !sent) return forward(sent.error());
  while (true) {
    auto received = receive(socket_, in_ms(kEventTimeout));
    if (!received) return forward(received.error());
    on_event(received->event);
    if (is_last(received->event, submission.mode)) return std::move(received->event);
  }
}

Result<std::string> BrokerClient::state() {
  auto asked = ask();
  if (!asked) return forward(asked.error());
  return std::move(asked->state);
}

Result<BrokerClient::Asked> BrokerClient::ask() {
  if (auto sent = send_request(socket_, wire::AskState{}, {}); !sent) return forward(sent.error());
  auto received = receive(socket_, in_ms(kEventTimeout));
  if (!received) return forward(received.error());
  if (const auto* failed = std::get_if<wire::Failed>(&received->event)) return forward(failed->error);
  const auto* answer = std::get_if<wire::StateText>(&received->event);
  if (answer == nullptr) return fail(Errc::kMalformed, "ask hostd for its state");
  auto text = read_sealed(received->descriptor, lang::kMaxTextBytes);
  if (!text) return forward(text.error());
  if (auto sound = check_state(*text, answer->state); !sound) return forward(sound.error());
  return Asked{*std::move(text), answer->offer};
}

Result<std::vector<wire::Reading>> BrokerClient::readings() {
  if (auto sent = send_request(socket_, wire::AskReadings{}, {}); !sent) return forward(sent.error());
  std::vector<wire::Reading> all;
  while (all.size() <= lang::kMaxStatements) {
    auto received = receive(socket_, in_ms(kEventTimeout));
    if (!received) return forward(received.error());
    if (std::holds_alternative<wire::Busy>(received->event)) return fail(Errc::kBusy, "ask hostd for readings");
    if (const auto* failed = std::get_if<wire::Failed>(&received->event)) return forward(failed->error);
    const auto* some = std::get_if<wire::Readings>(&received->event);
    if (some == nullptr) return fail(Errc::kMalformed, "ask hostd for readings");
    all.insert(all.end(), some->readings.begin(), some->readings.end());
    if (!some->more) return all;
  }
  return fail(Errc::kLimit, "ask hostd for readings");
}

Status BrokerClient::watch(const OnEvent& on_event, const std::function<bool()>& go_on) {
  if (auto sent = send_request(socket_, wire::Watch{}, {}); !sent) return sent;
  do {
    auto received = receive(socket_, -1);
    if (!received) return forward(received.error());
    on_event(received->event);
  } while (go_on());
  return {};
}

}  // namespace mvm::planner
