// What the supervisor gives the storage worker beside its channel, for both to read. Constants only.
#pragma once

namespace mvm::storage {

// Descriptors that the supervisor opened for it, as root: /dev/mapper/control and /dev/loop-control.
inline constexpr int kDeviceMapperFd = 4, kLoopControlFd = 5;
// A socket that the supervisor made: to the snapshot worker, which opens envelopes of the same offer and is given the session, once.
inline constexpr int kSessionFd = 6;
// The block devices that the policy names for volumes, those that could be opened: as many as there are NAME:MIB among the arguments. These are
// the state directory; kDiscardArgument where the policy has discards; kPoolArgument where it names devices; and of each device the name below
// /dev, and the most MiB of a volume on it.
inline constexpr int kFirstPoolFd = 7;
inline constexpr const char *kDiscardArgument = "discard", *kPoolArgument = "pool";

}  // namespace mvm::storage
