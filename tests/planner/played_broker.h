// hostd as the agent sees it, played by the test: a socket that gives one state, and answers a submission with given events.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/descriptors.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/sealed.h"
#include "policy-lang/print.h"
#include "schemas/broker.h"
#include "sealing/bundle.h"

namespace mvm::test {

class PlayedBroker {
 public:
  PlayedBroker(std::string path, lang::Document state, std::vector<wire::Event> first_answers = {}, std::vector<std::uint8_t> first_offer = {})
      : answers(std::move(first_answers)), offer(std::move(first_offer)), path_(std::move(path)), state_(std::move(state)) {
    unlink(path_.c_str());
    listener_ = Fd(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    if (bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || chmod(path_.c_str(), 0777) != 0 || listen(listener_.get(), 4) != 0) std::abort();
    thread_ = std::thread([this] { serve(); });
  }
  ~PlayedBroker() {
    over_ = true;
    thread_.join();
    unlink(path_.c_str());
  }
  PlayedBroker(const PlayedBroker&) = delete;
  PlayedBroker& operator=(const PlayedBroker&) = delete;

  // Before the agent's step: what a submission is answered with.
  std::vector<wire::Event> answers;
  // After it: the plans that were submitted.
  std::vector<std::string> plans;
  std::vector<std::string> bundles;
  // Before it too: what hostd offers to seal to.
  std::vector<std::uint8_t> offer;
  std::vector<wire::Reading> readings;

 private:
  void serve() {
    while (!over_) {
      pollfd waiting{listener_.get(), POLLIN, 0};
      if (poll(&waiting, 1, 20) <= 0) continue;
      const Fd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (peer.valid()) answer(peer.get());
    }
  }

  void answer(int peer) {
    std::vector<std::uint8_t> bytes(wire::kMaxRequest);
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(wire::kSubmitDescriptors * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = recvmsg(peer, &message, MSG_CMSG_CLOEXEC);
    if (size <= 0) return;
    const auto request = wire::decode_request({bytes.data(), static_cast<std::size_t>(size)});
    if (!request) return;
    if (std::holds_alternative<wire::AskState>(*request)) return send_state(peer);
    if (std::holds_alternative<wire::AskReadings>(*request)) return send_event(peer, wire::Readings{readings, false}, -1);
    int fds[wire::kSubmitDescriptors] = {-1, -1, -1};
    std::memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
    const Fd plan(fds[0]), projection(fds[1]), bundle(fds[2]);
    plans.push_back(read_sealed(plan, lang::kMaxTextBytes).value());
    bundles.push_back(read_sealed(bundle, sealing::kMaxBundle).value());
    for (const wire::Event& event : answers) send_event(peer, event, -1);
  }

  void send_state(int peer) {
    const std::string text = lang::print(state_);
    const auto memory = make_sealed(text);
    send_event(peer, wire::StateText{lang::text_digest(state_), state_.header.generation, offer}, memory->get());
  }

  static void send_event(int peer, const wire::Event& event, int fd) {
    const std::vector<std::uint8_t> bytes = wire::encode(event);
    const bool sent = fd >= 0 ? send_with_descriptors(peer, bytes, std::array{fd}).has_value() : send(peer, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0;
    if (!sent) std::perror("send an event");
  }

  std::string path_;
  lang::Document state_;
  Fd listener_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

}  // namespace mvm::test
