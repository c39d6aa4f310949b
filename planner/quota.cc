#include "planner/quota.h"

#include <limits>

namespace mvm::planner {
namespace {

using lang::Statement;
using lang::Word;

struct Check {
  std::uint64_t before, after, limit;
  std::string_view what;
};

Usage shifted(const Usage& total, const Usage& before, const Usage& after) {
  return {total.running - before.running + after.running, total.warm - before.warm + after.warm,
          total.vcpus - before.vcpus + after.vcpus,       total.mem - before.mem + after.mem,
          total.disk - before.disk + after.disk,          total.instances - before.instances + after.instances};
}

void exchange(lang::Devices& devices, const Usage& before, const Usage& after) {
  if (before.disk == after.disk) return;
  if (before.disk != 0) devices.take(before.disk);
  if (after.disk != 0) devices.put(after.disk);
}

}  // namespace

Usage usage_of(const Instance& instance) {
  Usage usage;
  usage.instances = instance.empty() ? 0 : 1;
  if (const Statement* jail = instance.line(Word::kJail)) {
    const lang::JailView view = lang::jail_view(*jail);
    (view.state == lang::kRunning ? usage.running : usage.warm) = 1;
    usage.vcpus = view.vcpus;
    usage.mem = view.mem_mib;
  }
  if (const Statement* volume = instance.line(Word::kVolume)) usage.disk = lang::volume_view(*volume).mib;
  return usage;
}

Quota::Quota(const lang::Document& projection, const lang::Document& policy) : devices_(policy) {
  for (const Statement& line : projection.statements) {
    if (line.word != Word::kTenant) continue;
    const lang::TenantView view = lang::tenant_view(line);
    limits_[line.subject.tenant] = {view.running, view.warm, view.vcpus, view.mem, view.disk, view.instances};
  }
  constexpr std::uint64_t kUnbounded = std::numeric_limits<std::uint64_t>::max();
  node_limits_.running = node_limits_.warm = kUnbounded;
  for (const Statement& line : policy.statements) {
    if (line.word != Word::kLimits) continue;
    node_limits_.instances = line.number("instances");
    node_limits_.vcpus = line.number("vcpus");
    node_limits_.mem = line.number("mem");
    node_limits_.disk = line.number("disk");
  }
}

std::optional<std::string> Quota::fits(const Subject& subject, const Usage& before, const Usage& after) const {
  const auto tenant = tenants_.find(subject.tenant);
  const Usage now = tenant == tenants_.end() ? Usage{} : tenant->second;
  const Usage then = shifted(now, before, after);
  const Usage node = shifted(node_, before, after);
  const auto limits = limits_.find(subject.tenant);
  if (limits == limits_.end()) return "the tenant is not in the projection";
  const Limits& most = limits->second;
  const auto pool = pools_.find(pool_subject(subject.tenant, subject.pool));
  const std::uint64_t pool_now = pool == pools_.end() ? 0 : pool->second;
  const Check checks[] = {
      {now.running, then.running, most.running, "the tenant's quota of running instances"},
      {now.warm, then.warm, most.warm, "the tenant's quota of warm instances"},
      {now.vcpus, then.vcpus, most.vcpus, "the tenant's quota of vCPUs"},
      {now.mem, then.mem, most.mem, "the tenant's quota of memory"},
      {now.disk, then.disk, most.disk, "the tenant's quota of disk"},
      {pool_now, pool_now - before.instances + after.instances, most.pool_instances, "the tenant's quota of instances a pool"},
      {node_.instances, node.instances, node_limits_.instances, "the node's limit of instances"},
      {node_.vcpus, node.vcpus, node_limits_.vcpus, "the node's limit of vCPUs"},
      {node_.mem, node.mem, node_limits_.mem, "the node's limit of memory"},
      {node_.disk, node.disk, node_limits_.disk, "the node's limit of disk"}};
  for (const Check& check : checks) {
    if (check.after > check.before && check.after > check.limit) {
      return std::string(check.what) + " is " + std::to_string(check.limit);
    }
  }
  if (after.disk <= before.disk) return std::nullopt;
  lang::Devices devices = devices_;
  exchange(devices, before, after);
  const auto held = devices.hold(after.disk);
  return held ? std::nullopt : std::optional(held.error().why);
}

std::optional<std::string> Quota::replace(const Instance& before, const Instance& after) {
  if (auto why = fits(after.subject, usage_of(before), usage_of(after))) return why;
  force(before, after);
  return std::nullopt;
}

void Quota::force(const Instance& before, const Instance& after) {
  const Subject& subject = after.subject;
  const Usage was = usage_of(before), is = usage_of(after);
  tenants_[subject.tenant] = shifted(tenants_[subject.tenant], was, is);
  node_ = shifted(node_, was, is);
  exchange(devices_, was, is);
  std::uint64_t& pool = pools_[pool_subject(subject.tenant, subject.pool)];
  pool = pool - was.instances + is.instances;
}

}  // namespace mvm::planner
