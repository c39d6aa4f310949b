#include "planner/make_lines.h"

#include "policy-lang/print.h"

namespace mvm::planner {
namespace {

using lang::Statement;
using lang::Word;

constexpr std::uint64_t kFirstKeyVersion = 1;

Statement line_of(Word word, const Subject& subject) {
  Statement line;
  line.word = word;
  line.subject = subject;
  return line;
}

Statement digest_line(Word word, const Subject& subject, const Digest& digest) {
  Statement line = line_of(word, subject);
  line.numbers[0] = 1;
  line.digests[0] = digest;
  return line;
}

void add_drives(Instance& instance, const Blueprint& blueprint) {
  const Subject& subject = instance.subject;
  if (blueprint.pool.data != 0 && instance.line(Word::kVolume) == nullptr) {
    Statement volume = line_of(Word::kVolume, subject);
    volume.numbers = {blueprint.pool.data, kFirstKeyVersion};
    volume.key_tenant = blueprint.tenant_name;
    instance.set(volume);
  }
  // A volume from an earlier projection, of another size or no longer wanted, is data still, and is kept and opened.
  if (const Statement* kept = instance.line(Word::kVolume)) {
    const lang::VolumeView volume = lang::volume_view(*kept);
    if (volume.key_version != 0) {
      Statement open = line_of(Word::kLuksOpen, subject);
      open.numbers = {volume.key_version};
      open.key_tenant = volume.key_tenant;
      instance.set(open);
    }
  }
  if (blueprint.tenant.has_secrets) instance.set(digest_line(Word::kSecrets, subject, blueprint.tenant.secrets));
  if (blueprint.pool.has_config) instance.set(digest_line(Word::kConfig, subject, blueprint.pool.config));
}

}  // namespace

void add_microvm(Instance& instance, const Blueprint& blueprint, Boot boot) {
  Statement cgroup = line_of(Word::kCgroup, instance.subject);
  cgroup.numbers = {blueprint.pool.vcpus * 100, blueprint.pool.mem + lang::kVmmOverheadMib, blueprint.max_pids, blueprint.max_io};
  instance.set(cgroup);
  add_drives(instance, blueprint);
  Statement tap = line_of(Word::kTap, instance.subject);
  tap.numbers = {boot.slot, blueprint.max_pps, blueprint.max_mbps};
  instance.set(tap);

  Statement jail = line_of(Word::kJail, instance.subject);
  jail.numbers = {1, blueprint.pool.vcpus, blueprint.pool.mem, lang::kBootCold, boot.state, lang::kAwake};
  jail.digests[0] = blueprint.pool.image;
  if (const Statement* snapshot = instance.line(Word::kSnapshot)) {
    jail.numbers[3] = lang::kBootSnapshot;
    jail.digests[1] = lang::snapshot_digest(*snapshot);
    jail.numbers[5] = lang::kParked;
    instance.drop(Word::kSnapshot);
  }
  instance.set(jail);
}

void stop_microvm(Instance& instance) {
  for (const Word word : {Word::kJail, Word::kTap, Word::kConfig, Word::kSecrets, Word::kLuksOpen, Word::kCgroup}) {
    instance.drop(word);
  }
}

void put_to_sleep(Instance& instance, const Blueprint& blueprint, std::uint32_t seq, const Statement* base) {
  Statement snapshot = line_of(Word::kSnapshot, instance.subject);
  snapshot.numbers = {lang::kFull, 0, kFirstKeyVersion, blueprint.pool.compression, instance.slot(), seq};
  snapshot.key_tenant = blueprint.tenant_name;
  const lang::JailView jail = lang::jail_view(*instance.line(Word::kJail));
  if (base != nullptr && is_wanted(*base, blueprint.pool) && jail.image == blueprint.pool.image && jail.mem_mib == blueprint.pool.mem) {
    snapshot.numbers[0] = lang::kDiff;
    snapshot.numbers[1] = 1;
    snapshot.digests[0] = lang::snapshot_digest(*base);
  }
  stop_microvm(instance);
  instance.set(snapshot);
}

Statement base_line(const Subject& pool, const lang::PoolView& wanted, const Statement& snapshot) {
  Statement base = line_of(Word::kBase, pool);
  base.numbers = {1, 1, wanted.mem, kFirstKeyVersion};
  base.digests = {lang::snapshot_digest(snapshot), wanted.image};
  base.key_tenant = pool.tenant;
  return base;
}

bool may_copy(const Statement& snapshot) { return !lang::is_diff(snapshot) && lang::snapshot_view(snapshot).key_version == kFirstKeyVersion; }

bool is_wanted(const Statement& base, const lang::PoolView& pool) {
  const lang::BaseView view = lang::base_view(base);
  return view.image == pool.image && view.mem_mib == pool.mem && view.key_version == kFirstKeyVersion;
}

bool matches(const Instance& instance, const Blueprint& blueprint) {
  const Statement* line = instance.line(Word::kJail);
  if (line == nullptr) return true;
  const lang::JailView jail = lang::jail_view(*line);
  const auto carries = [&](Word word, bool wanted, const Digest& digest) {
    const Statement* drive = instance.line(word);
    return wanted ? drive != nullptr && drive->digests[0] == digest : drive == nullptr;
  };
  const bool carry = carries(Word::kSecrets, blueprint.tenant.has_secrets, blueprint.tenant.secrets) &&
                     carries(Word::kConfig, blueprint.pool.has_config, blueprint.pool.config);
  return carry && jail.image == blueprint.pool.image && jail.vcpus == blueprint.pool.vcpus && jail.mem_mib == blueprint.pool.mem;
}

Statement bridge_line(const Subject& tenant, const lang::TenantView& view) {
  Statement line = line_of(Word::kBridge, tenant);
  line.numbers = {view.net, view.subnet.packed()};
  return line;
}

}  // namespace mvm::planner
