// A projection by itself: it asks for nothing that could never be had.
#include "policy-lang/verify_rules.h"

namespace mvm::lang {
namespace {

// What the pools of one tenant ask for together.
struct Asked {
  std::uint64_t pools = 0, running = 0, warm = 0, vcpus = 0, mem = 0, disk = 0;
};

Checked<void> within(std::string_view what, std::uint64_t asked, std::uint64_t quota) {
  if (asked <= quota) return {};
  return refuse(Rule::kPolicy, say("with it the tenant asks for ", asked, " ", what, "; its quota is ", quota),
                say("raise the tenant's quota, or ask for ", asked - quota, " fewer ", what));
}

Checked<void> within_the_quotas(const Asked& asked, std::uint64_t pool_instances, const TenantView& quota) {
  if (auto ok = within("pools", asked.pools, quota.pools); !ok) return ok;
  if (auto ok = within("instances of one pool", pool_instances, quota.instances); !ok) return ok;
  if (auto ok = within("running instances", asked.running, quota.running); !ok) return ok;
  if (auto ok = within("warm instances", asked.warm, quota.warm); !ok) return ok;
  if (auto ok = within("vcpus", asked.vcpus, quota.vcpus); !ok) return ok;
  if (auto ok = within("MiB of memory", asked.mem, quota.mem); !ok) return ok;
  return within("MiB of disk", asked.disk, quota.disk);
}

// Statements are sorted, so a tenant's line comes before its rule and its pools.
class Reader {
 public:
  explicit Reader(const Subnet& cidr) : cidr_(cidr) {}

  [[nodiscard]] Checked<void> read(const Statement& line) {
    if (line.word == Word::kTenant) return read_tenant(line);
    if (line.word != Word::kRule && line.word != Word::kPool) return {};
    if (tenant_ == nullptr || tenant_->subject.tenant != line.subject.tenant) {
      return refuse(Rule::kInvariant, say("there is no tenant ", line.subject.tenant.view()), say("name the tenant ", line.subject.tenant.view(), " too"));
    }
    return line.word == Word::kPool ? read_pool(pool_view(line)) : Checked<void>{};
  }

 private:
  Checked<void> read_tenant(const Statement& line) {
    tenant_ = &line;
    asked_ = {};
    const TenantView tenant = tenant_view(line);
    if (auto inside = verify_subnet(tenant.subnet, cidr_); !inside) return inside;
    return networks_.claim_network({tenant.net, tenant.subnet}, line.subject.tenant);
  }

  Checked<void> read_pool(const PoolView& pool) {
    const std::uint64_t awake = pool.running + pool.warm, all = awake + pool.sleeping;
    asked_.pools += 1;
    asked_.running += pool.running;
    asked_.warm += pool.warm;
    asked_.vcpus += awake * pool.vcpus;
    asked_.mem += awake * pool.mem;
    asked_.disk += all * pool.data;
    return within_the_quotas(asked_, all, tenant_view(*tenant_));
  }

  const Subnet cidr_;
  const Statement* tenant_ = nullptr;
  Asked asked_;
  Claims networks_;
};

}  // namespace

Checked<void> verify_projection(const Document& projection, const Document& policy) {
  Reader reader(read_policy(policy).cidr);
  for (std::size_t i = 0; i < projection.statements.size(); ++i) {
    if (auto read = reader.read(projection.statements[i]); !read) return at(projection, i, std::move(read.error()));
  }
  return {};
}

}  // namespace mvm::lang
