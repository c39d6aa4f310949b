// V5: what is made is covered by the projection. A broken agent may delay, stop, or put to sleep; it cannot invent.
#include "policy-lang/verify_rules.h"

namespace mvm::lang {
namespace {

constexpr std::uint64_t kPercentPerVcpu = 100;

std::unexpected<Refusal> uncovered(std::string why, std::string remedy) {
  return refuse(Rule::kAuthority, std::move(why), std::move(remedy));
}

Checked<void> within(std::string_view whose, std::string_view what, std::uint64_t sum, std::uint64_t limit) {
  if (sum <= limit) return {};
  return uncovered(say(whose, " would have ", sum, " ", what, "; the projection allows ", limit), say("have ", sum - limit, " fewer ", what, " first"));
}

Checked<void> is_number(std::string_view field, std::uint64_t is, std::uint64_t wanted) {
  if (is == wanted) return {};
  return uncovered(say(field, "=", is, " is not the projection's, which makes it ", wanted), say("write ", field, "=", wanted));
}

Checked<void> is_digest(std::string_view field, const Digest& is, bool has, const Digest& wanted) {
  if (!has) return uncovered("the projection has none of it", "leave the statement out");
  if (is == wanted) return {};
  return uncovered(say(field, " is not the projection's"), say("write ", field, "=", to_string(wanted)));
}

Checked<void> covers_bridge(const Statement& line, const TenantView& tenant) {
  const BridgeView bridge = bridge_view(line);
  if (auto net = is_number("net", bridge.net, tenant.net); !net) return net;
  if (bridge.subnet == tenant.subnet) return {};
  return uncovered("the subnet is not the tenant's", say("write subnet=", to_string(tenant.subnet)));
}

Checked<void> covers_rule(const Statement& line, const Statement* wanted) {
  Statement closed{.word = Word::kRule, .subject = line.subject};  // egress=none, no rates
  if (as_line(line) == (wanted != nullptr ? *wanted : closed)) return {};
  if (wanted != nullptr) return uncovered("it is not the projection's rule of the tenant", "write it as it stands in the projection");
  return uncovered("the projection has no rule for the tenant", "write egress=none pps=0 mbps=0 cps=0");
}

// Another instance of the pool, beyond those that are stopped or asleep already.
Checked<void> covers_another_instance(const Site& site, const TenantView& tenant, const PoolView& pool) {
  const Totals& have = site.pool->totals;
  if (auto quota = within("the pool", "instances", have.instances, tenant.instances); !quota) return quota;
  const std::uint64_t others_stopped = have.stopped - site.instance->share().stopped;
  return within("the pool", "instances", have.instances, pool.running + pool.warm + pool.sleeping + others_stopped);
}

Checked<void> covers_cgroup(const Statement& line, const PoolView& pool) {
  const CgroupView cgroup = cgroup_view(line);
  if (auto cpu = is_number("cpu", cgroup.cpu_percent, pool.vcpus * kPercentPerVcpu); !cpu) return cpu;
  return is_number("mem", cgroup.mem_mib, pool.mem + kVmmOverheadMib);
}

Checked<void> covers_volume(const Step& step, const TenantView& tenant, const PoolView& pool) {
  if (pool.data == 0) return uncovered("the pool has no data drive", "leave the statement out");
  if (auto size = is_number("mib", volume_view(step.statement).mib, pool.data); !size) return size;
  return within("the tenant", "MiB of volumes", step.site.tenant->totals.disk, tenant.disk);
}

Checked<void> covers_secrets(const Statement& line, const TenantView& tenant) {
  return is_digest("digest", line.digests[0], tenant.has_secrets, tenant.secrets);
}

Checked<void> covers_config(const Statement& line, const PoolView& pool) {
  return is_digest("digest", line.digests[0], pool.has_config, pool.config);
}

Checked<void> covers_counts(const Step& step, const TenantView& tenant, const PoolView& pool) {
  const Totals& have = step.site.tenant->totals;
  if (step.site.instance->jail_state == kWarm) return within("the tenant", "warm instances", have.warm, tenant.warm);
  if (auto counted = within("the pool", "running instances", step.site.pool->totals.running, pool.running); !counted) return counted;
  return within("the tenant", "running instances", have.running, tenant.running);
}

// What the jail stands on may have been made for an earlier projection.
Checked<void> still_covers(std::string_view what, Checked<void> covered) {
  if (covered) return covered;
  return uncovered(say("its ", what, " is not what the projection wants now: ", covered.error().why), say("remove the ", what, " and make it again first"));
}

Checked<void> wants_no(std::string_view drive, bool wanted) {
  if (!wanted) return {};
  return uncovered(say("the projection wants a ", drive, " drive and it does not exist"), say("make ", drive, " first"));
}

Checked<void> has_its_secrets(const Lines& lines, const TenantView& tenant) {
  const Statement* secrets = lines.find(Word::kSecrets);
  return secrets != nullptr ? still_covers("secrets", covers_secrets(*secrets, tenant)) : wants_no("secrets", tenant.has_secrets);
}

Checked<void> has_its_config(const Lines& lines, const PoolView& pool) {
  const Statement* config = lines.find(Word::kConfig);
  return config != nullptr ? still_covers("config", covers_config(*config, pool)) : wants_no("config", pool.has_config);
}

Checked<void> stands_on_what_is_wanted(const Lines& lines, const TenantView& tenant, const PoolView& pool) {
  if (auto cgroup = still_covers("cgroup", covers_cgroup(*lines.find(Word::kCgroup), pool)); !cgroup) return cgroup;
  if (auto secrets = has_its_secrets(lines, tenant); !secrets) return secrets;
  if (auto config = has_its_config(lines, pool); !config) return config;
  return lines.has(Word::kVolume) ? Checked<void>{} : wants_no("volume", pool.data != 0);
}

Checked<void> covers_jail(const Step& step, const TenantView& tenant, const PoolView& pool) {
  const JailView jail = jail_view(step.statement);
  if (auto image = is_digest("image", jail.image, true, pool.image); !image) return image;
  if (auto vcpus = is_number("vcpus", jail.vcpus, pool.vcpus); !vcpus) return vcpus;
  if (auto mem = is_number("mem", jail.mem_mib, pool.mem); !mem) return mem;
  if (auto drives = stands_on_what_is_wanted(step.site.lines(), tenant, pool); !drives) return drives;
  if (auto counted = covers_counts(step, tenant, pool); !counted) return counted;
  if (auto vcpus = within("the tenant", "vcpus", step.site.tenant->totals.vcpus, tenant.vcpus); !vcpus) return vcpus;
  return within("the tenant", "MiB of memory", step.site.tenant->totals.mem, tenant.mem);
}

Checked<void> covers_snapshot(const Statement& line, const PoolView& pool) {
  if (pool.pinned) return uncovered("the pool is pinned: it is never put to sleep", "leave the statement out");
  if (snapshot_view(line).compression == pool.compression) return {};
  return uncovered("the compression is not the pool's", say("write compression=", kCompressionWords[pool.compression]));
}

Checked<void> covers_base(const Statement& line, const PoolView& pool) {
  const BaseView base = base_view(line);
  if (auto image = is_digest("image", base.image, true, pool.image); !image) return image;
  return is_number("mem", base.mem_mib, pool.mem);
}

Checked<void> covers_move(const Step& step, const TenantView& tenant, const PoolView& pool) {
  if (step.statement.word == Word::kVolume) return {};  // the data stays; that its keys come is for those who seal them
  const bool stops = step.statement.numbers[1] != 0;  // running>warm, awake>parked
  const bool jail = step.statement.word == Word::kJail;
  if (stops && pool.critical) return uncovered("the pool is critical: it is never touched", "leave the statement out");
  if (stops && jail && pool.pinned) return uncovered("the pool is pinned: it is never paused", "leave the statement out");
  return jail ? covers_counts(step, tenant, pool) : Checked<void>{};
}

Checked<void> covers_instance(const Step& step, const TenantView& tenant, const PoolView& pool) {
  const Statement& made = step.statement;
  if (made.sign == Sign::kMove) return covers_move(step, tenant, pool);
  if (step.first_line) {
    if (auto another = covers_another_instance(step.site, tenant, pool); !another) return another;
  }
  switch (made.word) {
    case Word::kCgroup: return covers_cgroup(made, pool);
    case Word::kVolume: return covers_volume(step, tenant, pool);
    case Word::kSecrets: return covers_secrets(made, tenant);
    case Word::kConfig: return covers_config(made, pool);
    case Word::kJail: return covers_jail(step, tenant, pool);
    case Word::kSnapshot: return covers_snapshot(made, pool);
    default: return {};  // luksOpen and tap name nothing that a projection says
  }
}

}  // namespace

Authority::Authority(const Document& projection, const StateIndex& index) : index_(index) {
  const Statement* prune = find_line(projection, Subject{}, Word::kPrune);
  prune_tenants_ = prune != nullptr && prune->number("tenants") == kYes;
  prune_pools_ = prune != nullptr && prune->number("pools") == kYes;
  for (const Tenant& tenant : index.all_tenants()) {
    const Subject subject = tenant_subject(tenant.name);
    const Statement* line = find_line(projection, subject, Word::kTenant);
    tenants_.push_back({line != nullptr ? std::optional(tenant_view(*line)) : std::nullopt, find_line(projection, subject, Word::kRule)});
  }
  for (const Pool& pool : index.all_pools()) {
    const Statement* line = find_line(projection, pool_subject(index.all_tenants()[pool.tenant].name, pool.name), Word::kPool);
    pools_.push_back(line != nullptr ? std::optional(pool_view(*line)) : std::nullopt);
  }
}

Checked<void> Authority::check(const Step& step) const {
  const Wanted& wanted = tenants_[index_.number_of(*step.site.tenant)];
  const bool removes = step.statement.sign == Sign::kRemove;
  if (removes && step.site.instance == nullptr) return {};
  if (!removes && !wanted.tenant) return uncovered("the projection does not name the tenant", "leave the statement out, or have the coordinator sign a projection that names it");
  if (step.statement.word == Word::kBridge) return covers_bridge(step.statement, *wanted.tenant);
  if (step.statement.word == Word::kRule) return covers_rule(step.statement, wanted.rule);
  const std::optional<PoolView>& pool = pools_[index_.number_of(*step.site.pool)];
  if (removes) return check_removal(step, wanted, pool);
  if (!pool) return uncovered("the projection does not name the pool", "leave the statement out, or have the coordinator sign a projection that names it");
  if (step.statement.word == Word::kBase) return covers_base(step.statement, *pool);
  return covers_instance(step, *wanted.tenant, *pool);
}

Checked<void> Authority::check_removal(const Step& step, const Wanted& wanted, const std::optional<PoolView>& pool) const {
  const Word word = step.statement.word;
  // A snapshot goes with a jail that was booted from it (V2 has checked), or with one that is still there to take another.
  if (word == Word::kSnapshot && step.site.lines().has(Word::kJail)) return {};
  if (pool && pool->critical && pool->running > 0) {
    return uncovered("the pool is critical: it is never touched", "have the coordinator sign a projection in which the pool wants none running, or is not critical");
  }
  if (word != Word::kVolume && word != Word::kSnapshot) return {};
  if (pool) return uncovered("it destroys data of a pool that the projection names", "leave the statement out: a stopped instance keeps its data");
  if (!wanted.tenant ? prune_tenants_ : prune_pools_) return {};
  const std::string_view gone = !wanted.tenant ? "tenants" : "pools";
  return uncovered(say("it destroys data, and the projection says prune ", gone, "=no"), say("have the coordinator sign a projection with prune ", gone, "=yes"));
}

}  // namespace mvm::lang
