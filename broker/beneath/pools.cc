#include "broker/beneath/pools.h"

#include <cerrno>

#include "broker/beneath/beneath.h"

namespace mvm {

std::vector<std::string> directories_of(const Subject& instance) { return {std::string(instance.tenant.view()), std::string(instance.pool.view())}; }

Status for_each_pool(int root, OpenDirectory open, const std::function<Status(const PoolFiles&)>& look) {
  const auto tenants = names_in(root);
  if (!tenants) return forward(tenants.error());
  for (const std::string& tenant_name : *tenants) {
    const auto tenant = Name::from(tenant_name);
    if (!tenant) continue;
    const auto below = open(root, tenant_name);
    if (!below && below.error().sys_errno == ENOTDIR) continue;
    if (!below) return forward(below.error());
    const auto pools = names_in(below->get());
    if (!pools) return forward(pools.error());
    for (const std::string& pool_name : *pools) {
      const auto pool = Name::from(pool_name);
      if (!pool) continue;
      const auto files = open(below->get(), pool_name);
      if (!files && files.error().sys_errno == ENOTDIR) continue;
      if (!files) return forward(files.error());
      auto names = names_in(files->get());
      if (!names) return forward(names.error());
      if (auto looked = look({*tenant, *pool, files->get(), *std::move(names)}); !looked) return looked;
    }
  }
  return {};
}

}  // namespace mvm
