// What a guest may send to hostd, and what a guest may hear from something that is not hostd: what either side takes, it would have written just so.
#include <algorithm>
#include <cstdint>

#include "fuzz/check.h"
#include "guest/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mvm;
  using fuzz::must;
  guest::Packet packet{};
  std::copy_n(data, std::min(size, packet.size()), packet.begin());
  const auto host = guest::decode_from_host(packet);
  const auto its_guest = guest::decode_from_guest(packet);
  must(!host || !its_guest, "no message is one of both sides");
  if (host) must(guest::encode(*host) == packet, "what is taken of a host has one spelling");
  if (its_guest) must(guest::encode(*its_guest) == packet, "what is taken of a guest has one spelling");
  return 0;
}
