#include "broker/supervisor/schedule.h"

#include <algorithm>

namespace mvm::supervisor {
namespace {

// A tenant's, or a pool's: in its turn among all that the tenant's instances do.
bool is_own(const lang::Statement& statement) { return statement.subject.kind != SubjectKind::kInstance; }
bool is_tenants(const lang::Statement& statement) { return statement.subject.kind == SubjectKind::kTenant; }

bool nothing_before(const std::set<Schedule::Index>& set, Schedule::Index index) { return set.empty() || *set.begin() >= index; }

}  // namespace

Schedule::Schedule(const std::vector<lang::Statement>& statements) : statements_(statements) {
  for (std::size_t i = statements.size(); i-- > 0;) {
    const lang::Statement& statement = statements[i];
    const auto index = static_cast<Index>(i);
    lanes_[statement.subject].push_back(index);
    Tenant& tenant = tenants_[statement.subject.tenant];
    tenant.all.insert(index);
    if (is_own(statement)) tenant.own.insert(index);
    if (statement.sign != lang::Sign::kAdd) leaving_[static_cast<std::size_t>(statement.word)].insert(index);
  }
  for (const auto& [subject, lane] : lanes_) heads_of(lane.back()).insert(lane.back());
}

bool Schedule::may_start(Index index) const {
  const lang::Statement& statement = statements_[index];
  const Tenant& tenant = tenants_.at(statement.subject.tenant);
  if (!nothing_before(is_own(statement) ? tenant.all : tenant.own, index)) return false;
  return statement.sign == lang::Sign::kRemove || nothing_before(leaving_[static_cast<std::size_t>(statement.word)], index);
}

Schedule::Set& Schedule::heads_of(Index index) { return heads_[lang::row(statements_[index].word).worker]; }

bool Schedule::over() const {
  return running_ == 0 && std::ranges::all_of(heads_, [](const auto& of_worker) { return of_worker.second.empty(); });
}

std::optional<Schedule::Index> Schedule::start_next(const HasRoom& has_room) {
  std::optional<Index> first;
  for (const auto& [worker, heads] : heads_) {
    if (!has_room(worker)) continue;
    const auto found = std::ranges::find_if(heads, [&](Index index) { return may_start(index); });
    if (found != heads.end() && (!first || *found < *first)) first = *found;
  }
  if (!first) return std::nullopt;
  const Index index = *first;
  heads_of(index).erase(index);
  lanes_.at(statements_[index].subject).pop_back();
  ++running_;
  return index;
}

void Schedule::settle(Index index) {
  const lang::Statement& statement = statements_[index];
  Tenant& tenant = tenants_.at(statement.subject.tenant);
  tenant.all.erase(index);
  tenant.own.erase(index);
  leaving_[static_cast<std::size_t>(statement.word)].erase(index);
}

void Schedule::done(Index running) {
  --running_;
  settle(running);
  const auto& lane = lanes_.at(statements_[running].subject);
  if (!lane.empty()) heads_of(lane.back()).insert(lane.back());
}

std::vector<Schedule::Index> Schedule::drop_lanes_of(Index index) {
  const lang::Statement& statement = statements_[index];
  std::vector<Index> dropped;
  for (auto at = lanes_.lower_bound(is_tenants(statement) ? tenant_subject(statement.subject.tenant) : statement.subject);
       at != lanes_.end() && at->first.tenant == statement.subject.tenant; ++at) {
    if (!is_tenants(statement) && at->first != statement.subject) break;
    auto& lane = at->second;
    if (!lane.empty()) heads_of(lane.back()).erase(lane.back());
    dropped.insert(dropped.end(), lane.begin(), lane.end());
    lane.clear();
  }
  for (const Index each : dropped) settle(each);
  std::ranges::sort(dropped);
  return dropped;
}

std::vector<Schedule::Index> Schedule::failed(Index running) {
  --running_;
  settle(running);
  return drop_lanes_of(running);
}

std::vector<Schedule::Index> Schedule::drop(Index pending) { return drop_lanes_of(pending); }

std::vector<Schedule::Index> Schedule::pending() const {
  std::vector<Index> all;
  for (const auto& [subject, lane] : lanes_) all.insert(all.end(), lane.begin(), lane.end());
  std::ranges::sort(all);
  return all;
}

}  // namespace mvm::supervisor
