// One packet through nftables' chains, byte by byte, as the kernel does it: slow, and with nothing of the verifier's algebra.
#pragma once

#include <cstdint>

#include "net-verify/model/snapshot.h"
#include "net-verify/space/box.h"
#include "net-verify/walk/evaluate.h"

namespace mvm::verify::test {

// A packet is a box of single values.
struct Packet {
  Box fields;
  [[nodiscard]] std::uint64_t of(Field field) const { return fields.of(field).low; }
};

// Whether all base chains at the place, in their order, let it through. Limits never stop a rule.
[[nodiscard]] bool passes(const Snapshot& snapshot, const Place& place, const Packet& packet);

}  // namespace mvm::verify::test
