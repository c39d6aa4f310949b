// The one table. Every statement of the language, its fields and their bounds, what must stand before it, which worker
// runs it and what that costs. Parser, printer, verifier, diff, `mvm primitives`, the fuzz dictionary and the table in
// SECURITY.md are read from here. To add a primitive: one row, one executor, one test, one line in the corpus.
// Pure: constants only. Proven by: tests/policy-lang/table_test.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/ids.h"

namespace mvm::lang {

// The limits of the grammar. All text of one kind obeys all of them.
inline constexpr std::size_t kMaxTextBytes = 1 << 20;
inline constexpr std::size_t kMaxStatements = 16'384;
inline constexpr std::size_t kMaxLineBytes = 337;  // without the line feed; the longest pool with the longest names, see table_test.cc
inline constexpr std::size_t kMaxFields = 11;
inline constexpr std::size_t kMaxDigestFields = 2;
inline constexpr std::uint64_t kMaxGeneration = (std::uint64_t{1} << 53) - 1;  // exact in any JSON reader

inline constexpr std::uint64_t kMaxNet = 4095;
inline constexpr std::uint64_t kFirstSlot = 3;  // .1 is the gateway, .2 is kept for a builder
inline constexpr std::uint64_t kMaxTapsPerBridge = 1000;  // the kernel stops at 1,024 ports (BR_MAX_PORTS)
inline constexpr std::size_t kMaxPolicySubnets = 64;      // lines of egress, and of closed, in one policy
inline constexpr std::size_t kMaxPolicyDevices = 32;      // block devices for volumes in one policy
inline constexpr std::uint64_t kVmmOverheadMib = 128;     // room for Firecracker itself beside the guest's memory

inline constexpr std::uint64_t kVerityBlock = 4096;           // bytes of a block of a rootfs and of its hash tree
inline constexpr std::uint64_t kMaxKernelBytes = 256 << 20;
inline constexpr std::uint64_t kMaxRootfsBlocks = 1 << 24;    // 64 GiB

enum class Kind : std::uint8_t { kProjection, kState, kPlan, kPolicy, kManifest };
inline constexpr std::array kKinds = {Kind::kProjection, Kind::kState, Kind::kPlan, Kind::kPolicy, Kind::kManifest};
[[nodiscard]] std::string_view to_string(Kind kind);  // "projection", "state", ...

// Row order is the order of creation: a state, read from the top, makes each thing after what it stands on.
enum class Word : std::uint8_t {
  // policy
  kCidr, kUids, kLimits, kPerInstance, kEncrypt, kCoordinator, kSealer, kImage, kEgress, kClosed, kDisks, kDevice,
  // projection
  kPrune, kTenant, kPool,
  // manifest
  kLock, kKernel, kRootfs,
  // primitives
  kBridge, kRule, kCgroup, kVolume, kLuksOpen, kSecrets, kConfig, kTap, kJail, kGuest, kSnapshot, kBase,
};
inline constexpr std::size_t kWords = 30;
inline constexpr Word kFirstPrimitive = Word::kBridge;

using WordSet = std::uint32_t;
[[nodiscard]] constexpr WordSet bit(Word word) { return WordSet{1} << static_cast<unsigned>(word); }
template <class... Words>
[[nodiscard]] constexpr WordSet set_of(Words... words) {
  return (WordSet{0} | ... | bit(words));
}

enum class FieldKind : std::uint8_t {
  kNumber,        // decimal, min..max, no leading zero
  kWord,          // one of `words`; its value is the index
  kDigest,        // sha256: and 64 hex digits
  kDigestOrNone,  // the same, or "none"; its value is 1 or 0
  kPublicKey,     // ed25519: and 64 hex digits (RFC 8032); travels as a digest
  kSubnet,        // a.b.c.d/len, host bits zero; its value is Subnet::packed()
  kKey,           // TENANT/VERSION, version 1..max; its value is the version
  kKeyOrNone,     // the same, or "none"; its value 0
  kBoot,          // "cold" or "snapshot:" and a digest; its value is 0 or 1
};

// Whether a field of that kind has a place in Statement::digests.
[[nodiscard]] constexpr bool holds_digest(FieldKind kind) {
  using enum FieldKind;
  return kind == kDigest || kind == kDigestOrNone || kind == kPublicKey || kind == kBoot;
}

struct Field {
  std::string_view name;
  FieldKind kind = FieldKind::kNumber;
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  std::span<const std::string_view> words = {};
  std::string_view help = {};  // unit and meaning
};

enum class Worker : std::uint8_t { kNone, kNet, kJail, kStorage, kSnapshot, kGuest };
[[nodiscard]] std::string_view to_string(Worker worker);

enum class Sign : std::uint8_t { kNone, kAdd, kRemove, kMove };

// Which of the signs a statement may carry in a plan.
using SignSet = std::uint8_t;
inline constexpr SignSet kAddRemove = 0b011, kAddRemoveMove = 0b111, kMoveOnly = 0b100, kNoSign = 0;
[[nodiscard]] constexpr bool has_sign(SignSet signs, Sign sign) {
  return sign != Sign::kNone && (signs >> (static_cast<unsigned>(sign) - 1) & 1) != 0;
}

struct Row {
  Word word;
  std::string_view name;
  SubjectKind subject = SubjectKind::kNone;
  std::array<bool, kKinds.size()> in{};  // by Kind: may it stand in a projection, state, plan, policy, manifest
  bool many = true;          // more than one line with the same subject (or none) may stand in a text
  std::span<const Field> fields = {};
  SignSet signs = kNoSign;
  // For a move: the field that it changes, of this row, or where this has no fields, of `jail`. Its words are the states; of a key, versions are.
  std::string_view moves = {};
  WordSet needs = 0;  // must exist before '+'; and may not be removed while this exists
  WordSet uses = 0;   // optional drives: neither added nor removed while this exists
  Worker worker = Worker::kNone;
  bool durable = false;       // outlives a power cut, so its journal marks are synced
  bool irreversible = false;  // '-' loses what '+' cannot bring back, so undo goes forward from it
  std::string_view makes = {};     // what '+' changes on the host
  std::string_view unmakes = {};   // what '-' does
  std::string_view costs = {};     // capabilities and the system calls that use them
};

inline constexpr std::array<std::string_view, 2> kYesNo = {"no", "yes"};
inline constexpr std::array<std::string_view, 3> kEgressWords = {"none", "nat", "listed"};
inline constexpr std::array<std::string_view, 2> kCompressionWords = {"none", "zstd"};
inline constexpr std::array<std::string_view, 2> kJailStates = {"running", "warm"};
inline constexpr std::array<std::string_view, 2> kGuestStates = {"awake", "parked"};
inline constexpr std::array<std::string_view, 2> kSnapshotKinds = {"full", "diff"};

// The fixed spellings that values have beside numbers, names and digests.
inline constexpr std::string_view kNoneText = "none", kColdText = "cold", kSnapshotPrefix = "snapshot:", kPublicKeyPrefix = "ed25519:";

// Indices into kYesNo, kEgressWords, ... as they stand in Statement::numbers.
inline constexpr std::uint64_t kNo = 0, kYes = 1;
inline constexpr std::uint64_t kEgressNone = 0, kEgressNat = 1, kEgressListed = 2;
inline constexpr std::uint64_t kRunning = 0, kWarm = 1;
inline constexpr std::uint64_t kAwake = 0, kParked = 1;
inline constexpr std::uint64_t kFull = 0, kDiff = 1;
inline constexpr std::uint64_t kBootCold = 0, kBootSnapshot = 1;

[[nodiscard]] const std::array<Row, kWords>& table();
[[nodiscard]] inline const Row& row(Word word) { return table()[static_cast<std::size_t>(word)]; }
// The row with that name, or nullptr. Compares the few names that begin with the same letter.
[[nodiscard]] const Row* find_row(std::string_view name);
// The index of a field of `word`; ends the process where there is none, so call it with literals only.
[[nodiscard]] std::size_t field_index(Word word, std::string_view name);
// The line that a move of this row changes, and the field of it. Row::moves must not be empty.
[[nodiscard]] Word moved_word(const Row& row);
[[nodiscard]] const Field& moved_field(const Row& row);

}  // namespace mvm::lang
