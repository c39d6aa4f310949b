// What no tenant reaches, by the node's policy: the cluster's subnet; what is nobody's (RFC 6890: "this" host, loopback, link-local
// with the clouds' metadata service, multicast and above); private ranges (RFC 1918, RFC 6598), but for what the policy's egress
// lines name in them; and all that its closed lines name, whatever else is said. Pure but for reading the sets back.
// Proven by: tests/net/closed_test.cc, tests/net/packets_test.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "broker/net/batch.h"
#include "broker/net/socket.h"
#include "schemas/worker.h"

namespace mvm::net {

struct Range {
  std::uint32_t first = 0, last = 0;  // both inside
  auto operator<=>(const Range&) const = default;
};

[[nodiscard]] Range range_of(const Subnet& subnet);

// Sorted, and none meets the next.
[[nodiscard]] std::vector<Range> closed_ranges(const wire::Task& task);

// Makes both sets hold exactly these, in the transaction that is being written.
void put_closed(Batch& batch, const std::vector<Range>& ranges);
// Whether both sets hold exactly these.
[[nodiscard]] Result<bool> are_closed(Socket& nft, const std::vector<Range>& ranges);

}  // namespace mvm::net
