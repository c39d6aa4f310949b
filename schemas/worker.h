// What the supervisor and its workers say to each other, as plain values. FlatBuffers (schemas/worker.fbs) only carry it,
// and the one checked decoder of each message is here: unknown words, enums out of range, names that are not names and
// numbers out of their row's bounds do not come out of it.
// Channel: SOCK_SEQPACKET socketpair, descriptor 3 of the worker; one message a packet, at most kMaxPacket bytes.
// Proven by: tests/schemas/worker_test.cc, fuzz/worker_task_fuzz.cc, fuzz/worker_answer_fuzz.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/ids.h"
#include "policy-lang/manifest.h"
#include "policy-lang/statement.h"
#include "schemas/reading.h"
#include "sealing/envelope.h"

namespace mvm::wire {

inline constexpr int kChannelFd = 3;
inline constexpr std::size_t kMaxPacket = 128 * 1024;
inline constexpr std::size_t kMaxItems = 512;        // inventory items, and readings, in one answer; `more` says that another follows
inline constexpr std::size_t kMaxSubnets = lang::kMaxPolicySubnets;  // of each of the policy's lists in a task
inline constexpr std::size_t kMaxErrorText = 256;    // bytes of `tried` and of `on`
inline constexpr std::size_t kMaxSealed = 2;         // envelopes of a task: a new key and the one that it replaces
inline constexpr std::size_t kMaxSealedBytes = sealing::kMaxEnvelope + 1024;  // of all of them: content, or keys

enum class Op : std::uint8_t {
  kMake,       // '+'
  kUnmake,     // '-'; what is already gone is success. Also how leaks found by an inventory are swept: then the fields are zero,
               // and what to remove is said by the subject (cgroup, jail) or by place.net and place.slot (bridge, rule, tap)
  kMove,       // '~'
  kInventory,  // what is there, from the kernel, whoever made it
  kOffer,      // storage: the public key of its session, in the answer's `offer`
  // The steps of `+ snapshot`, around the snapshot worker's kMake:
  kDump,       // jail: has a warm microVM's memory written into the memory file system; the digest of its VMM's version, in `digest`
  kClear,      // jail: takes away what kDump made
  // The steps of `+ jail` from a snapshot, around the jail worker's kMake, which leaves what it loaded paused:
  kHandOver,   // snapshot: sees that the file is the one that was meant and fits this host, and gives the jail worker what a wake takes
  kSpend,      // snapshot: overwrites the wrapped key, so that nobody wakes of it again
  kRelease,    // jail: its vCPUs run
  // The first step of `+ jail`, from a snapshot or not:
  kOpenImage,  // storage: the image behind it, for all jails that have it. It is closed by kUnmake of a jail that names nothing but the image
  // Before the guest worker's kMove:
  kConnect,    // jail: connects to the microVM's vsock, and gives the connection to the guest worker
  // What there is to be read, which changes nothing:
  kRead,       // jail: CPU time and memory of each instance. net: frames of each tap
  kAsk,        // guest: how a guest is, of which there is a connection. Its statement is a guest's, of which the subject alone counts
  // After the guest worker's kMove, where a guest has parked, and before it goes on:
  kInflate,    // jail: has the guest, whose memory is asleep.mem, give up what it does not need. That it did not is no failure
  kDeflate,    // jail: lets it have that back
};
[[nodiscard]] constexpr Op op_of(lang::Sign sign) {
  if (sign == lang::Sign::kAdd) return Op::kMake;
  return sign == lang::Sign::kRemove ? Op::kUnmake : Op::kMove;
}
[[nodiscard]] constexpr bool has_statement(Op op) { return op != Op::kInventory && op != Op::kOffer && op != Op::kRead; }
// Whether envelopes may come with it.
[[nodiscard]] constexpr bool may_open(Op op) { return op == Op::kMake || op == Op::kMove || op == Op::kHandOver; }

// Whether an image's manifest comes with it.
[[nodiscard]] constexpr bool takes_image(Op op, lang::Word word) { return word == lang::Word::kJail && (op == Op::kMake || op == Op::kOpenImage); }

// The drives that a jail has besides its root file system, as bits.
using DriveSet = std::uint8_t;
inline constexpr DriveSet kDataDrive = 1, kSecretsDrive = 2, kConfigDrive = 4;
inline constexpr DriveSet kAllDrives = kDataDrive | kSecretsDrive | kConfigDrive;

// What the supervisor derived for the statement from state and policy; the plan cannot say it. Fields that the word does not
// need are zero.
struct Place {
  std::uint16_t net = 0;
  Subnet subnet;           // the tenant's
  Subnet cidr;             // the cluster's
  std::uint32_t slot = 0;  // the instance's tap
  std::uint32_t uid = 0;   // and gid, of the microVM
  std::uint64_t generation = 0;  // of the plan's projection; of an undo and a sweep 0
  Name node;                     // whose host this is; of a sweep none
  // jail: what Firecracker's own limiters are set to; 0: no limit but the one built in.
  std::uint64_t pps = 0, mbps = 0;  // of its tap, each way
  std::uint64_t io = 0;             // of its cgroup: MiB/s
  DriveSet drives = 0;           // jail, snapshot: of the instance's, those that stand
  bool operator==(const Place&) const = default;
};

// What the supervisor knows of a snapshot besides its line. Zero where the step does not need it.
struct Asleep {
  Digest image;                   // of the jail that it is taken of
  Digest vmm;                     // SHA-256 of Firecracker's version: what kDump answered
  Digest file;                    // kHandOver, and kMake of a base: of the newest, from the record
  Digest base;                    // of a diff: of the pool's base, from the record
  std::uint32_t mem = 0;          // kInflate, too: MiB of the guest's memory
  std::uint32_t key_version = 0;  // kHandOver: of the tenant's key, from the snapshot's line
  std::uint32_t source = 0;       // kMake of a base: the instance of its pool whose snapshot it is a copy of
  bool operator==(const Asleep&) const = default;
};

struct Task {
  std::uint64_t seq = 0;  // not 0
  Op op = Op::kInventory;
  lang::Statement statement;  // its sign is the operation's; kInventory, kOffer: unused
  Place place;
  // The policy's lists, each at most kMaxSubnets. egress: for a rule with egress=listed, what it may reach; for a bridge and an
  // inventory, what private ranges are open for. closed: for those two, what no tenant may reach.
  std::vector<Subnet> egress, closed;
  // may_open(): the envelopes with what the statement names (sealing/envelope.h), in the order in which it names them. Their labels
  // are the worker's to check, with what it expects from the statement and place. At most kMaxSealed, of kMaxSealedBytes together.
  std::vector<std::vector<std::uint8_t>> sealed;
  Asleep asleep;
  std::optional<lang::Manifest> manifest;  // takes_image(): of the image that the jail names. Not to be believed: manifest_of()
};

// What came as the manifest of the jail's image, where it is: SHA-256 of its text is the digest that the statement names. kDenied: it is another.
[[nodiscard]] Result<lang::Manifest> manifest_of(const Task& task);

// One thing found. net: bridges by net; taps by net and slot; rules by net. jail: cgroups and jails by subject; a jail whose
// process is gone but whose directory is left has alive=false.
struct Item {
  lang::Word word = lang::Word::kBridge;
  Subject subject;
  std::uint16_t net = 0;
  std::uint32_t slot = 0;
  bool alive = false;
  std::uint64_t state = 0;  // what a move of it changes: of a jail kRunning or kWarm, of a volume its key's version; of an image 1 where it is damaged
  std::optional<Digest> image = {};  // storage: an image that is open, whose word is jail; `alive`: as it should be
  bool operator==(const Item&) const = default;
};

struct Answer {
  std::uint64_t seq = 0;  // the task's; 0: an event, not an answer
  bool ok = false;
  Error error;            // where not ok
  std::vector<Item> items;
  bool more = false;
  Subject ended;          // event: this instance's microVM ended by itself
  std::optional<sealing::PublicKey> offer;  // of kOffer: X25519
  std::optional<Digest> digest;             // of kDump; of a snapshot's and a base's kMake: its file's, which is the newest from then on
  std::vector<Reading> readings = {};       // of kRead, in answers as an inventory's; of kAsk one
};

// What a worker says to a task.
[[nodiscard]] Answer answer_to(std::uint64_t seq, Status done);
// The same where some tasks are answered with a digest.
using Digested = Result<std::optional<Digest>>;
[[nodiscard]] Digested without_digest(Status done);
[[nodiscard]] Answer answer_with(std::uint64_t seq, Digested done);
// To an inventory: items in answers of at most kMaxItems, `more` on all but the last; or one with what failed.
[[nodiscard]] std::vector<Answer> pages(std::uint64_t seq, const Result<std::vector<Item>>& items);
[[nodiscard]] std::vector<Answer> pages(std::uint64_t seq, const Result<std::vector<Reading>>& readings);

// Encoders cut an error's text at its limit and replace what is not printable ASCII by '?'.
[[nodiscard]] std::vector<std::uint8_t> encode(const Task& task);
[[nodiscard]] Result<Task> decode_task(std::span<const std::uint8_t> bytes);
[[nodiscard]] std::vector<std::uint8_t> encode(const Answer& answer);
[[nodiscard]] Result<Answer> decode_answer(std::span<const std::uint8_t> bytes);

}  // namespace mvm::wire
