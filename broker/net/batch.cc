#include "broker/net/batch.h"

#include <libmnl/libmnl.h>

#include <cstdlib>
#include <utility>

namespace mvm::net {

std::size_t Batch::end() const {
  if (labels_.empty()) return 0;
  std::uint32_t length = 0;
  std::memcpy(&length, buffer_.data() + last_, sizeof length);
  if (length > kMessageRoom) std::abort();  // libmnl has already written past the room that the message had
  return last_ + NLMSG_ALIGN(std::size_t{length});
}

nlmsghdr* Batch::add(std::uint16_t type, std::uint16_t flags, Label label) {
  last_ = end();
  buffer_.resize(last_ + kMessageRoom);
  labels_.push_back(std::move(label));
  nlmsghdr* header = mnl_nlmsg_put_header(buffer_.data() + last_);
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  return header;
}

Bytes Batch::bytes() const { return {buffer_.data(), end()}; }

void Batch::number(std::uint32_t first) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    auto* header = reinterpret_cast<nlmsghdr*>(buffer_.data() + at);
    header->nlmsg_seq = first + static_cast<std::uint32_t>(i);
    at += NLMSG_ALIGN(std::size_t{header->nlmsg_len});
  }
}

}  // namespace mvm::net
