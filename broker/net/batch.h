// Netlink messages to be sent in one piece, and what each of them is for, so that an error can say it. Owns the bytes.
// Messages are numbered from 0; the socket gives them their sequence numbers when it sends them.
// Proven by: tests/net/emitted_test.cc.
#pragma once

#include <linux/netlink.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "broker/net/attributes.h"

namespace mvm::net {

// Room that a message may take. The longest we make, a rule with its comment, is below 1 KiB.
inline constexpr std::size_t kMessageRoom = 8 * 1024;

struct Label {
  const char* tried;  // "add the tap to its bridge"
  std::string on;     // "tn3i5"
};

class Batch {
 public:
  // Begins a message of `type`, with NLM_F_REQUEST and `flags`. The header is valid until the next add(); it is filled by
  // libmnl's put functions.
  nlmsghdr* add(std::uint16_t type, std::uint16_t flags, Label label);

  [[nodiscard]] std::size_t count() const { return labels_.size(); }
  [[nodiscard]] const Label& label(std::size_t index) const { return labels_[index]; }
  [[nodiscard]] Bytes bytes() const;
  // Gives message i the sequence number first + i.
  void number(std::uint32_t first);

 private:
  [[nodiscard]] std::size_t end() const;  // where the next message begins

  std::vector<std::uint8_t> buffer_;
  std::size_t last_ = 0;  // where the last message begins
  std::vector<Label> labels_;
};

}  // namespace mvm::net
