#include "policy-lang/table.h"

#include <algorithm>
#include <cstdlib>

namespace mvm::lang {
namespace {

using enum FieldKind;
constexpr std::uint64_t kMaxMib = 1 << 20;         // 1 TiB of memory
constexpr std::uint64_t kMaxDiskMib = 1 << 26;     // 64 TiB
constexpr std::uint64_t kMaxPps = 10'000'000;
constexpr std::uint64_t kMaxMbps = 100'000;
constexpr std::uint64_t kMaxKeyVersion = 65'535;
constexpr std::uint64_t kMaxCount = 100;           // instances of one pool in one state
constexpr std::uint64_t kMaxSlot = (1 << 20) - 2;  // the last host of a /12

constexpr Field number(std::string_view name, std::uint64_t min, std::uint64_t max, std::string_view help) {
  return {name, kNumber, min, max, {}, help};
}
constexpr Field word(std::string_view name, std::span<const std::string_view> words, std::string_view help) {
  return {name, kWord, 0, words.size() - 1, words, help};
}
constexpr Field digest(std::string_view name, FieldKind kind, std::string_view help) {
  return {name, kind, kind == FieldKind::kDigestOrNone ? 0u : 1u, 1, {}, help};
}
constexpr Field subnet(std::string_view name, std::string_view help) { return {name, kSubnet, 0, 0, {}, help}; }
constexpr Field key(std::string_view name, FieldKind kind, std::string_view help) {
  return {name, kind, kind == kKeyOrNone ? 0u : 1u, kMaxKeyVersion, {}, help};
}

constexpr std::array kCidrFields = {subnet("subnet", "holds every tenant's subnet; the same on every node")};
constexpr std::array kUidsFields = {
    number("first", 65'536, 4'000'000'000, "first uid of microVMs; an instance's is first + its address's offset in the cidr"),
    number("count", 1, 1 << 24, "how many uids the range has")};
constexpr std::array kLimitsFields = {
    number("tenants", 0, kMaxNet + 1, "tenants on this node"),
    number("instances", 0, kMaxStatements, "instances in any state"),
    number("vcpus", 0, 1 << 16, "vCPUs of running and warm instances"),
    number("mem", 0, 1 << 24, "MiB of memory of running and warm instances, without the VMM's own"),
    number("disk", 0, kMaxDiskMib, "MiB of volumes")};
constexpr std::array kPerInstanceFields = {
    number("pids", 1, 4096, "most tasks in an instance's cgroup"),
    number("io", 0, 65'536, "most MiB/s, each way; 0: no limit"),
    number("pps", 0, kMaxPps, "most packets a second, each way; 0: no limit"),
    number("mbps", 0, kMaxMbps, "most megabits a second, each way; 0: no limit")};
constexpr std::array kEncryptFields = {word("data", kYesNo, "volumes must have a key"),
                                       word("snapshots", kYesNo, "snapshots must have a key")};
constexpr std::array kCoordinatorFields = {digest("key", kPublicKey, "may sign projections for this node")};
constexpr std::array kSealerFields = {digest("key", kPublicKey, "may seal keys and content to this node, as coordinators may, and sign no projection")};
constexpr std::array kImageFields = {digest("digest", kDigest, "may run; where no image is listed, any may")};
constexpr std::array kEgressFields = {subnet("subnet", "may be reached by egress=listed; and by egress=nat, where it is private")};
constexpr std::array kClosedFields = {subnet("subnet", "is reached by no tenant, whatever else the policy says")};
constexpr std::array kDisksFields = {word("discard", kYesNo, "what a guest discards of its volume is discarded below; where the line is missing: no")};
constexpr std::array kDeviceFields = {number("mib", 1, kMaxDiskMib, "most MiB of the one volume that lies on the block device /dev/DIRECTORY/NAME")};

constexpr std::array kPruneFields = {word("tenants", kYesNo, "tenants that are not named are removed, data too"),
                                     word("pools", kYesNo, "pools that are not named are removed, data too")};
constexpr std::array kTenantFields = {
    number("net", 0, kMaxNet, "net id, unique in the cluster, never used again"),
    subnet("subnet", "the tenant's, inside the cluster's cidr"),
    number("vcpus", 0, 1 << 16, "quota: vCPUs of running and warm instances"),
    number("mem", 0, 1 << 24, "quota: MiB of running and warm instances"),
    number("running", 0, kMaxStatements, "quota: running instances"),
    number("warm", 0, kMaxStatements, "quota: warm instances"),
    number("pools", 0, 1024, "quota: pools"),
    number("instances", 0, kMaxStatements, "quota: instances a pool, in any state"),
    number("disk", 0, kMaxDiskMib, "quota: MiB of volumes"),
    digest("secrets", kDigestOrNone, "digest of what the secrets drive carries")};
constexpr std::array kPoolFields = {
    digest("image", kDigest, "digest of the image's manifest"),
    number("vcpus", 1, 32, "vCPUs"),
    number("mem", 16, kMaxMib, "MiB of guest memory"),
    number("data", 0, kMaxDiskMib, "MiB of the data drive; 0: none"),
    number("running", 0, kMaxCount, "instances wanted running"),
    number("warm", 0, kMaxCount, "instances wanted warm"),
    number("sleeping", 0, kMaxCount, "instances wanted sleeping"),
    word("pinned", kYesNo, "never paused or put to sleep"),
    word("critical", kYesNo, "never touched once it runs"),
    word("compression", kCompressionWords, "of snapshots"),
    digest("config", kDigestOrNone, "digest of what the config drive carries")};

constexpr std::array kLockFields = {digest("digest", kDigest, "SHA-256 of the flake's lock file")};
constexpr std::array kKernelFields = {digest("digest", kDigest, "SHA-256 of the kernel"), number("bytes", 1, kMaxKernelBytes, "length of the kernel")};
constexpr std::array kRootfsFields = {
    digest("root", kDigest, "root hash of its dm-verity tree: version 1, SHA-256, blocks of 4096 bytes, no salt"),
    number("blocks", 2, kMaxRootfsBlocks, "blocks of 4096 bytes")};

constexpr std::array kBridgeFields = {number("net", 0, kMaxNet, "net id"), subnet("subnet", "the tenant's")};
constexpr std::array kRuleFields = {
    word("egress", kEgressWords, "what the tenant may reach outside: nothing, anything by NAT, the policy's list by NAT"),
    number("pps", 0, kMaxPps, "packets a second out of the bridge; 0: no limit"),
    number("mbps", 0, kMaxMbps, "megabits a second out of the bridge; 0: no limit"),
    number("cps", 0, 1'000'000, "new connections a second; 0: no limit")};
constexpr std::array kCgroupFields = {
    number("cpu", 1, 3200, "percent of one CPU"),
    number("mem", 16, kMaxMib + kVmmOverheadMib, "MiB, the VMM's own included; swap is 0"),
    number("pids", 1, 4096, "tasks"),
    number("io", 0, 65'536, "MiB/s each way on the disk of the state directory; 0: no limit")};
constexpr std::array kVolumeFields = {number("mib", 1, kMaxDiskMib, "MiB"),
                                      key("key", kKeyOrNone, "the tenant key that its keyslot opens with")};
constexpr std::array kLuksOpenFields = {key("key", kKey, "the tenant key to open with")};
constexpr std::array kSecretsFields = {digest("digest", kDigest, "of what the drive carries")};
constexpr std::array kConfigFields = {digest("digest", kDigest, "of what the drive carries")};
constexpr std::array kTapFields = {
    number("slot", kFirstSlot, kMaxSlot, "offset of the instance's address in the subnet"),
    number("pps", 0, kMaxPps, "packets a second, each way, by Firecracker's own limiter; 0: no limit but the one built in"),
    number("mbps", 0, kMaxMbps, "megabits a second, likewise")};
constexpr std::array kJailFields = {
    digest("image", kDigest, "digest of the image's manifest"),
    number("vcpus", 1, 32, "vCPUs"),
    number("mem", 16, kMaxMib, "MiB of guest memory"),
    Field{"boot", kBoot, 0, 1, {}, "from its kernel, or from the snapshot whose line has that digest"},
    word("state", kJailStates, "vCPUs execute, or are paused"),
    word("guest", kGuestStates, "what the guest was told last")};
constexpr std::array kSnapshotFields = {
    word("kind", kSnapshotKinds, "all of memory, or what changed since base"),
    digest("base", kDigestOrNone, "of the line of the pool's base, which a diff stands on"),
    key("key", kKeyOrNone, "the tenant key that wraps its data key"),
    word("compression", kCompressionWords, "of its chunks"),
    number("slot", kFirstSlot, kMaxSlot, "kept for the instance while it sleeps"),
    number("seq", 1, 4'294'967'295, "which sleep of this instance it is; never the same twice")};
constexpr std::array kBaseFields = {
    digest("snapshot", kDigest, "of the line of the full snapshot whose memory it is a copy of"),
    digest("image", kDigest, "digest of the manifest of the image that ran in that memory"),
    number("mem", 16, kMaxMib, "MiB of guest memory"),
    key("key", kKey, "the tenant key that wraps its data key")};

using enum Word;
constexpr std::array<bool, kKinds.size()> kOnlyPolicy = {false, false, false, true};
constexpr std::array<bool, kKinds.size()> kOnlyProjection = {true, false, false, false};
constexpr std::array<bool, kKinds.size()> kStateAndPlan = {false, true, true, false};
constexpr std::array<bool, kKinds.size()> kAllButPolicy = {true, true, true, false};
constexpr std::array<bool, kKinds.size()> kOnlyPlan = {false, false, true, false};
constexpr std::array<bool, kKinds.size()> kOnlyManifest = {false, false, false, false, true};

constexpr std::array<Row, kWords> kTable = {{
    {.word = kCidr, .name = "cidr", .in = kOnlyPolicy, .many = false, .fields = kCidrFields},
    {.word = kUids, .name = "uids", .in = kOnlyPolicy, .many = false, .fields = kUidsFields},
    {.word = kLimits, .name = "limits", .in = kOnlyPolicy, .many = false, .fields = kLimitsFields},
    {.word = kPerInstance, .name = "instance", .in = kOnlyPolicy, .many = false, .fields = kPerInstanceFields},
    {.word = kEncrypt, .name = "encrypt", .in = kOnlyPolicy, .many = false, .fields = kEncryptFields},
    {.word = kCoordinator, .name = "coordinator", .in = kOnlyPolicy, .fields = kCoordinatorFields},
    {.word = kSealer, .name = "sealer", .in = kOnlyPolicy, .fields = kSealerFields},
    {.word = kImage, .name = "image", .in = kOnlyPolicy, .fields = kImageFields},
    {.word = kEgress, .name = "egress", .in = kOnlyPolicy, .fields = kEgressFields},
    {.word = kClosed, .name = "closed", .in = kOnlyPolicy, .fields = kClosedFields},
    {.word = kDisks, .name = "disks", .in = kOnlyPolicy, .many = false, .fields = kDisksFields},
    {.word = kDevice, .name = "device", .subject = SubjectKind::kPool, .in = kOnlyPolicy, .many = false, .fields = kDeviceFields},

    {.word = kPrune, .name = "prune", .in = kOnlyProjection, .many = false, .fields = kPruneFields},
    {.word = kTenant, .name = "tenant", .subject = SubjectKind::kTenant, .in = kOnlyProjection, .many = false, .fields = kTenantFields},
    {.word = kPool, .name = "pool", .subject = SubjectKind::kPool, .in = kOnlyProjection, .many = false, .fields = kPoolFields},

    {.word = kLock, .name = "lock", .in = kOnlyManifest, .many = false, .fields = kLockFields},
    {.word = kKernel, .name = "kernel", .in = kOnlyManifest, .many = false, .fields = kKernelFields},
    {.word = kRootfs, .name = "rootfs", .in = kOnlyManifest, .many = false, .fields = kRootfsFields},

    {.word = kBridge, .name = "bridge", .subject = SubjectKind::kTenant, .in = kStateAndPlan, .many = false,
     .fields = kBridgeFields, .signs = kAddRemove, .worker = Worker::kNet,
     .makes = "bridge br-tenant-<net> with the gateway's address, and its table of routes", .unmakes = "deletes it", .costs = "NET_ADMIN: rtnetlink"},
    {.word = kRule, .name = "rule", .subject = SubjectKind::kTenant, .in = kAllButPolicy, .many = false,
     .fields = kRuleFields, .signs = kAddRemove, .needs = set_of(kBridge), .worker = Worker::kNet,
     .makes = "the tenant's elements in the nftables maps", .unmakes = "takes them out", .costs = "NET_ADMIN: nfnetlink"},
    {.word = kCgroup, .name = "cgroup", .subject = SubjectKind::kInstance, .in = kStateAndPlan, .many = false,
     .fields = kCgroupFields, .signs = kAddRemove, .worker = Worker::kJail,
     .makes = "the instance's cgroup, its anchor, with limits", .unmakes = "kills what is in it and removes it",
     .costs = "none: the subtree is delegated"},
    {.word = kVolume, .name = "volume", .subject = SubjectKind::kInstance, .in = kStateAndPlan, .many = false,
     .fields = kVolumeFields, .signs = kAddRemoveMove, .moves = "key", .worker = Worker::kStorage, .durable = true, .irreversible = true,
     .makes = "a LUKS2 volume on a file, or a device, of its own", .unmakes = "wipes its keyslots, then the file",
     .costs = "SYS_ADMIN: loop and device-mapper ioctls"},
    {.word = kLuksOpen, .name = "luksOpen", .subject = SubjectKind::kInstance, .in = kStateAndPlan, .many = false,
     .fields = kLuksOpenFields, .signs = kAddRemove, .needs = set_of(kVolume, kCgroup), .worker = Worker::kStorage,
     .irreversible = true, .makes = "the volume's dm-crypt device", .unmakes = "closes it",
     .costs = "SYS_ADMIN: device-mapper ioctls"},
    {.word = kSecrets, .name = "secrets", .subject = SubjectKind::kInstance, .in = kStateAndPlan, .many = false,
     .fields = kSecretsFields, .signs = kAddRemove, .needs = set_of(kCgroup), .worker = Worker::kStorage,
     .irreversible = true, .makes = "the secrets drive, in memory", .unmakes = "wipes it", .costs = "none"},
    {.word = kConfig, .name = "config", .subject = SubjectKind::kInstance, .in = kStateAndPlan, .many = false,
     .fields = kConfigFields, .signs = kAddRemove, .needs = set_of(kCgroup), .worker = Worker::kStorage,
     .irreversible = true, .makes = "the config drive", .unmakes = "removes it", .costs = "none"},
    {.word = kTap, .name = "tap", .subject = SubjectKind::kInstance, .in = kStateAndPlan, .many = false,
     .fields = kTapFields, .signs = kAddRemove, .needs = set_of(kBridge, kCgroup), .worker = Worker::kNet,
     .makes = "tap tn<net>i<slot> on the tenant's bridge, owned by the instance's uid", .unmakes = "deletes it",
     .costs = "NET_ADMIN: TUNSETIFF, rtnetlink"},
    {.word = kJail, .name = "jail", .subject = SubjectKind::kInstance, .in = kStateAndPlan, .many = false,
     .fields = kJailFields, .signs = kAddRemoveMove, .moves = "state", .needs = set_of(kCgroup, kTap),
     .uses = set_of(kVolume, kLuksOpen, kSecrets, kConfig), .worker = Worker::kJail, .irreversible = true,
     .makes = "the microVM: Firecracker, in its jail, in the cgroup", .unmakes = "ends it and waits until it is gone",
     .costs = "what the jailer needs: see SECURITY.md"},
    {.word = kGuest, .name = "guest", .subject = SubjectKind::kInstance, .in = kOnlyPlan, .many = false, .fields = {},
     .signs = kMoveOnly, .moves = "guest", .worker = Worker::kGuest,
     .makes = "tells the guest to park itself, or to go on", .unmakes = "-", .costs = "none: vsock through the jail's socket"},
    {.word = kSnapshot, .name = "snapshot", .subject = SubjectKind::kInstance, .in = kStateAndPlan, .many = false,
     .fields = kSnapshotFields, .signs = kAddRemove, .uses = set_of(kVolume), .worker = Worker::kSnapshot, .durable = true,
     .irreversible = true, .makes = "the sealed snapshot of a warm microVM", .unmakes = "wipes its wrapped key, then the file",
     .costs = "none"},
    {.word = kBase, .name = "base", .subject = SubjectKind::kPool, .in = kStateAndPlan, .many = false,
     .fields = kBaseFields, .signs = kAddRemove, .worker = Worker::kSnapshot, .durable = true, .irreversible = true,
     .makes = "the pool's base: the memory of one of its full snapshots, sealed again", .unmakes = "wipes its wrapped key, then the file",
     .costs = "none"},
}};

constexpr bool complete() {
  for (std::size_t i = 0; i < kWords; ++i) {
    if (static_cast<std::size_t>(kTable[i].word) != i || kTable[i].name.empty()) return false;
    if (kTable[i].fields.size() > kMaxFields) return false;
    std::size_t digests = 0;
    for (const Field& field : kTable[i].fields) {
      if (field.name.empty() || field.help.empty() || field.min > field.max) return false;
      digests += holds_digest(field.kind);
    }
    if (digests > kMaxDigestFields) return false;
    if (kTable[i].signs != kNoSign && (kTable[i].worker == Worker::kNone || kTable[i].makes.empty())) return false;
  }
  return true;
}
static_assert(complete(), "every word has its row, in order, with named, bounded fields");

// The rows by the first letter of their names: first[letter] begins a chain that next[] goes on with; kWords ends it.
struct Letters {
  std::array<std::uint8_t, 26> first{};
  std::array<std::uint8_t, kWords> next{};
};

consteval Letters chain_by_letter() {
  Letters letters;
  letters.first.fill(kWords);
  for (std::size_t i = kWords; i-- > 0;) {
    const std::size_t letter = static_cast<std::size_t>(kTable[i].name[0] - 'a');
    letters.next[i] = letters.first[letter];
    letters.first[letter] = static_cast<std::uint8_t>(i);
  }
  return letters;
}
constexpr Letters kLetters = chain_by_letter();

}  // namespace

std::string_view to_string(Kind kind) {
  constexpr std::array<std::string_view, kKinds.size()> kNames = {"projection", "state", "plan", "policy", "manifest"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(Worker worker) {
  constexpr std::array<std::string_view, 6> kNames = {"-", "net", "jail", "storage", "snapshot", "guest"};
  return kNames[static_cast<std::size_t>(worker)];
}

const std::array<Row, kWords>& table() { return kTable; }

const Row* find_row(std::string_view name) {
  if (name.empty() || name[0] < 'a' || name[0] > 'z') return nullptr;
  for (std::size_t i = kLetters.first[static_cast<std::size_t>(name[0] - 'a')]; i != kWords; i = kLetters.next[i]) {
    if (kTable[i].name == name) return &kTable[i];
  }
  return nullptr;
}

std::size_t field_index(Word word, std::string_view name) {
  const auto fields = row(word).fields;
  const auto found = std::ranges::find(fields, name, &Field::name);
  if (found == fields.end()) std::abort();
  return static_cast<std::size_t>(found - fields.begin());
}

Word moved_word(const Row& moving) { return moving.fields.empty() ? Word::kJail : moving.word; }

const Field& moved_field(const Row& moving) {
  const Word word = moved_word(moving);
  return row(word).fields[field_index(word, moving.moves)];
}

}  // namespace mvm::lang
