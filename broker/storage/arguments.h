// What the supervisor gives the storage worker beside its channel, for both to read. Constants only.
#pragma once

namespace mvm::storage {

// Descriptors that the supervisor opened for it, as root: /dev/mapper/control and /dev/loop-control.
inline constexpr int kDeviceMapperFd = 4, kLoopControlFd = 5;
// A socket that the supervisor made: to the snapshot worker, which opens envelopes of the same offer and is given the session, once.
inline constexpr int kSessionFd = 6;
// The block devices that the policy names for volumes: as many as there are names among the arguments, which are the state directory,
// kDiscardArgument where the policy has discards, and the names below /dev.
inline constexpr int kFirstPoolFd = 7;
inline constexpr const char* kDiscardArgument = "discard";

}  // namespace mvm::storage
