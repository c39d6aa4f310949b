// Everything that hostd has once it has started: what it believes, where it writes that down, and whom it asks.
#pragma once

#include <functional>
#include <set>

#include "broker/supervisor/audit.h"
#include "broker/supervisor/gate_client.h"
#include "broker/supervisor/host_state.h"
#include "broker/supervisor/images.h"
#include "broker/supervisor/journal.h"
#include "broker/supervisor/node_policy.h"
#include "broker/supervisor/records.h"
#include "broker/supervisor/workers.h"
#include "schemas/broker.h"

namespace mvm::supervisor {

using Emit = std::function<void(const wire::Event&)>;

struct Host {
  GateClient gate;
  Workers workers;
  Records records;
  Journal journal;
  Audit audit;
  Images images;
  NodePolicy policy;
  HostState state;
  Emit emit;  // to whoever asked, and to watchers
  std::vector<std::uint8_t> offer;  // to whom keys are sealed (sealing/offer.h); none: this node has no identity
  std::set<Digest> damaged = {};  // images that the audit log has been told of since we started
};

[[nodiscard]] inline Keep keep_of(lang::Word word) { return lang::row(word).durable ? Keep::kOverPowerCut : Keep::kOverCrash; }

}  // namespace mvm::supervisor
