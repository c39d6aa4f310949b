// A hostile guest, from its first byte on: whatever it says, hostd sends it nothing but messages that the wire knows, and takes no word of it for
// having parked or woken but the one that says so.
#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "broker/guest/talk.h"
#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using fuzz::must;
  if (size == 0) return 0;
  constexpr guest_worker::Goal kGoals[] = {guest_worker::Goal::kGoOn, guest_worker::Goal::kPark, guest_worker::Goal::kAsk};
  const auto goal = kGoals[data[0] % 3];
  std::array<int, 2> pair{};
  must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()) == 0, "there is a socket");
  const Fd guest(pair[0]);
  guest_worker::Talk talk(Fd(pair[1]), goal, {1, {1}, {1}}, {});
  must(talk.begin().has_value(), "the connection takes what begins it");
  if (size > 1) (void)!send(guest.get(), data + 1, size - 1, MSG_NOSIGNAL);
  shutdown(guest.get(), SHUT_WR);
  std::optional<Status> ended;
  for (std::size_t i = 0; i <= size && !ended; ++i) ended = talk.read_some();
  must(ended.has_value(), "what ends is noticed");

  std::array<std::uint8_t, 4096> heard{};
  const ssize_t bytes = recv(guest.get(), heard.data(), heard.size(), MSG_DONTWAIT);
  constexpr std::size_t kLine = 12;  // "CONNECT 606\n"
  must(bytes >= static_cast<ssize_t>(kLine), "it is asked for its port");
  std::size_t messages = 0;
  for (std::size_t at = kLine; at < static_cast<std::size_t>(bytes); at += guest::kMessage, ++messages) {
    must(at + guest::kMessage <= static_cast<std::size_t>(bytes), "messages are whole");
    must(guest::decode_from_host(std::span<const std::uint8_t, guest::kMessage>(heard.data() + at, guest::kMessage)).has_value(), "and such as the wire knows");
  }
  must(!ended->has_value() || messages == (goal == guest_worker::Goal::kGoOn ? 2 : 1), "nobody has done what it was not asked");
  return 0;
}
