// V4 and V5 of the second verifier. The sentences are those of docs/language.md.
#include "tests/policy-lang/reference_verifier.h"

namespace mvm::lang::reference {
namespace {

bool any(const Statement&) { return true; }
bool makes_any(const Moment& m) { return m.said->sign == Sign::kAdd; }

// ---- V4

// "after every statement that makes something (`+`, or `~ jail warm>running`)"
bool makes_something(const Moment& m) { return makes_any(m) || moves(m, Word::kJail, kWarm, kRunning); }

std::uint64_t tenants(const Statements& list) {
  std::vector<Name> names;
  for (const Statement& s : list) {
    if ((s.word == Word::kBridge || of_instance(s)) && std::ranges::find(names, s.subject.tenant) == names.end()) names.push_back(s.subject.tenant);
  }
  return names.size();
}

bool limits_are_kept(const Moment& m) {
  if (!makes_something(m)) return true;
  const Statement& limits = policy_line(m, Word::kLimits);
  return tenants(m.after) <= limits.number("tenants") && living(m.after).size() <= limits.number("instances") &&
         sum(m.after, Word::kJail, "vcpus", any) <= limits.number("vcpus") &&
         sum(m.after, Word::kJail, "mem", any) <= limits.number("mem") &&
         sum(m.after, Word::kVolume, "mib", any) <= limits.number("disk");
}

bool cgroup_is_within_the_policys(const Moment& m) {
  if (!makes(m, Word::kCgroup) && !makes(m, Word::kJail)) return true;
  const Statement& cgroup = *find(m.after, Word::kCgroup, m.said->subject);
  const Statement& most = policy_line(m, Word::kPerInstance);
  if (cgroup.number("pids") > most.number("pids")) return false;
  return most.number("io") == 0 || (cgroup.number("io") != 0 && cgroup.number("io") <= most.number("io"));
}

bool tap_is_within_the_policys(const Moment& m) {
  if (!makes(m, Word::kTap) && !makes(m, Word::kJail)) return true;
  const Statement& tap = *find(m.after, Word::kTap, m.said->subject);
  const auto kept = [&](const char* rate) {
    const std::uint64_t most = policy_line(m, Word::kPerInstance).number(rate);
    return most == 0 || (tap.number(rate) != 0 && tap.number(rate) <= most);
  };
  return kept("pps") && kept("mbps");
}

bool policy_has(const Moment& m, Word word) {
  return std::ranges::any_of(m.against.policy.statements, [&](const Statement& s) { return s.word == word; });
}

bool image_is_listed(const Moment& m) {
  if (!makes(m, Word::kJail) || !policy_has(m, Word::kImage)) return true;
  return std::ranges::any_of(m.against.policy.statements, [&](const Statement& s) {
    return s.word == Word::kImage && s.digests[0] == jail_view(*m.said).image;
  });
}

bool volume_has_a_key(const Moment& m) {
  return !makes(m, Word::kVolume) || policy_line(m, Word::kEncrypt).number("data") == kNo || m.said->number("key") != 0;
}
bool snapshot_has_a_key(const Moment& m) {
  return !makes(m, Word::kSnapshot) || policy_line(m, Word::kEncrypt).number("snapshots") == kNo || m.said->number("key") != 0;
}
bool a_list_is_there_to_egress_to(const Moment& m) {
  return !makes(m, Word::kRule) || m.said->number("egress") != kEgressListed || policy_has(m, Word::kEgress);
}

std::uint64_t above(const Statements& list, Word word, std::uint64_t mib) {
  return count(list, [&](const Statement& s) { return s.word == word && s.number("mib") > mib; });
}

bool volume_fits_a_device(const Moment& m) {
  const Statements& policy = m.against.policy.statements;
  if (!makes(m, Word::kVolume) || above(policy, Word::kDevice, 0) == 0) return true;
  return above(policy, Word::kDevice, m.said->number("mib") - 1) != 0;
}

bool volumes_have_devices_of_their_own(const Moment& m) {
  const Statements& policy = m.against.policy.statements;
  if (!makes(m, Word::kVolume) || above(policy, Word::kDevice, 0) == 0) return true;
  std::vector<std::uint64_t> sizes = {0};
  for (const Statements* list : {&policy, &m.after}) {
    for (const Statement& s : *list) {
      if (s.word == Word::kDevice || s.word == Word::kVolume) sizes.push_back(s.number("mib"));
    }
  }
  return std::ranges::all_of(sizes, [&](std::uint64_t size) { return above(m.after, Word::kVolume, size) <= above(policy, Word::kDevice, size); });
}

constexpr Clause kNodePolicy[] = {
    {Rule::kPolicy, "`limits`: tenants (that have a bridge or any instance), instances (that live), vcpus and mem (sums over jails, running or warm), disk (sum over volumes) are not exceeded.", limits_are_kept},
    {Rule::kPolicy, "cgroup, when it is made and when a jail is made in it: pids at most the policy's; where the policy's io is not 0, io is at most that, and not 0.", cgroup_is_within_the_policys},
    {Rule::kPolicy, "tap, when it is made and when a jail is made on it: where the policy's pps is not 0, pps is at most that, and not 0; likewise mbps.", tap_is_within_the_policys},
    {Rule::kPolicy, "`image` lines, if any: a jail's image is one of them.", image_is_listed},
    {Rule::kPolicy, "`encrypt data=yes`: a volume has a key.", volume_has_a_key},
    {Rule::kPolicy, "`encrypt snapshots=yes`: a snapshot has a key.", snapshot_has_a_key},
    {Rule::kPolicy, "`device` lines, if any: a volume's mib is at most that of the largest", volume_fits_a_device},
    {Rule::kPolicy, "and of no size are there more volumes above it than devices above it.", volumes_have_devices_of_their_own},
    {Rule::kPolicy, "rule egress=listed: the policy has at least one `egress` line.", a_list_is_there_to_egress_to},
};

// ---- V5

bool tenant_and_pool_are_named(const Moment& m) {
  if (m.said->sign == Sign::kRemove) return true;
  return wanted_tenant(m) != nullptr && ((m.said->word != Word::kBase && !of_instance(*m.said)) || wanted_pool(m) != nullptr);
}

bool bridge_is_the_tenants(const Moment& m) {
  if (!makes(m, Word::kBridge)) return true;
  return m.said->number("net") == wanted_tenant(m)->number("net") && subnet_of(*m.said) == subnet_of(*wanted_tenant(m));
}

bool rule_is_the_projections(const Moment& m) {
  if (!makes(m, Word::kRule)) return true;
  const Statement* wanted = find(m.against.projection.statements, Word::kRule, m.said->subject);
  if (wanted != nullptr) return standing(*m.said) == *wanted;
  return m.said->number("egress") == kEgressNone && m.said->number("pps") == 0 && m.said->number("mbps") == 0 && m.said->number("cps") == 0;
}

bool is_the_first_line_of_its_instance(const Moment& m) {
  return makes_any(m) && of_instance(*m.said) && std::ranges::none_of(m.before, [&](const Statement& s) { return s.subject == m.said->subject; });
}
std::uint64_t instances_of_pool(const Moment& m) {
  return count(living(m.after), [&](const Subject& s) { return s.tenant == m.said->subject.tenant && s.pool == m.said->subject.pool; });
}
bool new_instance_is_within_the_quota(const Moment& m) {
  return !is_the_first_line_of_its_instance(m) || instances_of_pool(m) <= wanted_tenant(m)->number("instances");
}
bool new_instance_is_wanted(const Moment& m) {
  if (!is_the_first_line_of_its_instance(m)) return true;
  std::uint64_t with_data_only = 0;
  for (const Subject& other : living(m.after)) {
    if (other.tenant != m.said->subject.tenant || other.pool != m.said->subject.pool || other == m.said->subject) continue;
    const bool data = find(m.after, Word::kVolume, other) != nullptr || find(m.after, Word::kSnapshot, other) != nullptr;
    if (data && find(m.after, Word::kJail, other) == nullptr) ++with_data_only;
  }
  const Statement& pool = *wanted_pool(m);
  return instances_of_pool(m) <= pool.number("running") + pool.number("warm") + pool.number("sleeping") + with_data_only;
}

bool cgroup_is_of_the_pools_size(const Moment& m, const Statement& cgroup) {
  return cgroup.number("cpu") == 100 * wanted_pool(m)->number("vcpus") && cgroup.number("mem") == wanted_pool(m)->number("mem") + 128;
}
bool made_cgroup_is_of_the_pools_size(const Moment& m) { return !makes(m, Word::kCgroup) || cgroup_is_of_the_pools_size(m, *m.said); }

bool volume_is_of_the_pools_size(const Moment& m) {
  return !makes(m, Word::kVolume) || (m.said->number("mib") == wanted_pool(m)->number("data") && m.said->number("mib") != 0);
}
bool volumes_are_within_the_disk_quota(const Moment& m) {
  if (!makes(m, Word::kVolume)) return true;
  const auto of_tenant = [&](const Statement& s) { return s.subject.tenant == m.said->subject.tenant; };
  return sum(m.after, Word::kVolume, "mib", of_tenant) <= wanted_tenant(m)->number("disk");
}

bool secrets_are_the_tenants(const Moment& m, const Statement& secrets) {
  const TenantView tenant = tenant_view(*wanted_tenant(m));
  return tenant.has_secrets && secrets.digests[0] == tenant.secrets;
}
bool config_is_the_pools(const Moment& m, const Statement& config) {
  const PoolView pool = pool_view(*wanted_pool(m));
  return pool.has_config && config.digests[0] == pool.config;
}
bool made_drive_carries_what_is_wanted(const Moment& m) {
  if (makes(m, Word::kSecrets)) return secrets_are_the_tenants(m, *m.said);
  return !makes(m, Word::kConfig) || config_is_the_pools(m, *m.said);
}

const Statement* of_it(const Moment& m, Word word) { return find(m.after, word, m.said->subject); }

bool jail_is_the_pools(const Moment& m) {
  if (!makes(m, Word::kJail)) return true;
  const JailView jail = jail_view(*m.said);
  const PoolView pool = pool_view(*wanted_pool(m));
  return jail.image == pool.image && jail.vcpus == pool.vcpus && jail.mem_mib == pool.mem;
}
bool every_drive_is_there(const Moment& m) {
  if (!makes(m, Word::kJail)) return true;
  const PoolView pool = pool_view(*wanted_pool(m));
  return (pool.data == 0 || of_it(m, Word::kVolume) != nullptr) &&
         (!tenant_view(*wanted_tenant(m)).has_secrets || of_it(m, Word::kSecrets) != nullptr) &&
         (!pool.has_config || of_it(m, Word::kConfig) != nullptr);
}
bool what_the_jail_stands_on_could_be_made_now(const Moment& m) {
  if (!makes(m, Word::kJail)) return true;
  const Statement* cgroup = of_it(m, Word::kCgroup);
  const Statement* secrets = of_it(m, Word::kSecrets);
  const Statement* config = of_it(m, Word::kConfig);
  return (cgroup == nullptr || cgroup_is_of_the_pools_size(m, *cgroup)) &&
         (secrets == nullptr || secrets_are_the_tenants(m, *secrets)) && (config == nullptr || config_is_the_pools(m, *config));
}

bool adds_a(const Moment& m, std::uint64_t state) {
  if (makes(m, Word::kJail)) return m.said->number("state") == state;
  return moves(m, Word::kJail, state == kWarm ? kRunning : kWarm, state);
}
std::uint64_t jails_of_tenant(const Moment& m, std::uint64_t state) {
  return count(m.after, [&](const Statement& s) {
    return s.word == Word::kJail && s.subject.tenant == m.said->subject.tenant && s.number("state") == state;
  });
}
bool running_is_within_the_pools(const Moment& m) {
  const auto running = [&](const Statement& s) { return s.word == Word::kJail && same_pool(s, m.said->subject) && s.number("state") == kRunning; };
  return !adds_a(m, kRunning) || count(m.after, running) <= wanted_pool(m)->number("running");
}
bool running_is_within_the_tenants(const Moment& m) {
  return !adds_a(m, kRunning) || jails_of_tenant(m, kRunning) <= wanted_tenant(m)->number("running");
}
bool warm_is_within_the_tenants(const Moment& m) {
  return !adds_a(m, kWarm) || jails_of_tenant(m, kWarm) <= wanted_tenant(m)->number("warm");
}
bool size_is_within_the_tenants(const Moment& m) {
  if (!makes(m, Word::kJail)) return true;
  const auto of_tenant = [&](const Statement& s) { return s.subject.tenant == m.said->subject.tenant; };
  return sum(m.after, Word::kJail, "vcpus", of_tenant) <= wanted_tenant(m)->number("vcpus") &&
         sum(m.after, Word::kJail, "mem", of_tenant) <= wanted_tenant(m)->number("mem");
}

bool snapshot_is_as_the_pool_says(const Moment& m) {
  if (!makes(m, Word::kSnapshot)) return true;
  const PoolView pool = pool_view(*wanted_pool(m));
  return m.said->number("compression") == pool.compression && !pool.pinned;
}
bool base_is_as_the_pool_says(const Moment& m) {
  if (!makes(m, Word::kBase)) return true;
  const PoolView pool = pool_view(*wanted_pool(m));
  return m.said->digests[1] == pool.image && m.said->number("mem") == pool.mem;
}
bool pinned_is_not_paused(const Moment& m) {
  return !moves(m, Word::kJail, kRunning, kWarm) || wanted_pool(m)->number("pinned") == kNo;
}

bool is_critical(const Moment& m) {
  return of_instance(*m.said) && wanted_pool(m) != nullptr && wanted_pool(m)->number("critical") == kYes;
}
bool critical_is_not_touched(const Moment& m) {
  if (!is_critical(m)) return true;
  if (moves(m, Word::kJail, kRunning, kWarm) || moves(m, Word::kGuest, kAwake, kParked)) return false;
  if (m.said->sign != Sign::kRemove || wanted_pool(m)->number("running") == 0) return true;
  return removes(m, Word::kSnapshot) && of_it(m, Word::kJail) != nullptr;
}

bool data_is_destroyed_by_prune_only(const Moment& m) {
  const bool destroys = removes(m, Word::kVolume) || (removes(m, Word::kSnapshot) && of_it(m, Word::kJail) == nullptr);
  if (!destroys) return true;
  if (wanted_pool(m) != nullptr) return false;
  const Statement* prune = find(m.against.projection.statements, Word::kPrune, Subject{});
  if (prune == nullptr) return false;  // "No `prune` line is prune tenants=no pools=no."
  return prune->number(wanted_tenant(m) == nullptr ? "tenants" : "pools") == kYes;
}

constexpr Clause kAuthority[] = {
    {Rule::kAuthority, "Any `+` and any `~`: the subject's tenant is in the projection; for a base or an instance, its pool is too.", tenant_and_pool_are_named},
    {Rule::kAuthority, "`+ bridge`: net and subnet are the tenant's.", bridge_is_the_tenants},
    {Rule::kAuthority, "`+ rule`: equal to the projection's rule of that tenant; where it has none, egress=none pps=0 mbps=0 cps=0 only.", rule_is_the_projections},
    {Rule::kAuthority, "`+` of anything of an instance that had no line before: the pool's instances are then at most the tenant's quota of instances", new_instance_is_within_the_quota},
    {Rule::kAuthority, "and at most running + warm + sleeping of the pool plus those others that have a volume or a snapshot but no jail.", new_instance_is_wanted},
    {Rule::kAuthority, "`+ cgroup`: cpu is 100 x the pool's vcpus, mem the pool's mem + 128.", made_cgroup_is_of_the_pools_size},
    {Rule::kAuthority, "`+ volume`: mib is the pool's data and that is not 0;", volume_is_of_the_pools_size},
    {Rule::kAuthority, "the sum of the tenant's volumes is within its disk quota.", volumes_are_within_the_disk_quota},
    {Rule::kAuthority, "`+ secrets`, `+ config`: the digest is the tenant's secrets, the pool's config.", made_drive_carries_what_is_wanted},
    {Rule::kAuthority, "`+ jail`: image, vcpus and mem are the pool's.", jail_is_the_pools},
    {Rule::kAuthority, "Every drive that the pool has exists: a volume where data is not 0, secrets where the tenant has secrets, config where the pool has config.", every_drive_is_there},
    {Rule::kAuthority, "The cgroup, secrets and config that exist are such as this rule lets be made now", what_the_jail_stands_on_could_be_made_now},
    {Rule::kAuthority, "afterwards the pool's running instances are at most its `running` where the statement adds one running", running_is_within_the_pools},
    {Rule::kAuthority, "and the tenant's within its quota of running", running_is_within_the_tenants},
    {Rule::kAuthority, "likewise `warm` quota of the tenant where it adds one warm", warm_is_within_the_tenants},
    {Rule::kAuthority, "the tenant's vcpus and mem (running and warm) within its quota, where the statement is `+`.", size_is_within_the_tenants},
    {Rule::kAuthority, "`+ snapshot`: compression is the pool's; the pool is not pinned.", snapshot_is_as_the_pool_says},
    {Rule::kAuthority, "`+ base`: image and mem are the pool's.", base_is_as_the_pool_says},
    {Rule::kAuthority, "Pool is pinned: no `~ jail running>warm`.", pinned_is_not_paused},
    {Rule::kAuthority, "Pool is critical: no `~ jail running>warm`, no `~ guest awake>parked`, and, while it is in the projection with running > 0, no `-` of any of its instances' things but a `- snapshot` where the instance has a jail", critical_is_not_touched},
    {Rule::kAuthority, "are allowed only where the pool is not in the projection and `prune` says so", data_is_destroyed_by_prune_only},
};

}  // namespace

std::span<const Clause> node_policy() { return kNodePolicy; }
std::span<const Clause> authority() { return kAuthority; }

}  // namespace mvm::lang::reference
