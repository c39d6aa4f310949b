#include "tests/policy-lang/run_model.h"

#include <algorithm>

#include "base/derived.h"
#include "policy-lang/print.h"

namespace mvm::lang::test {

RunModel::RunModel(const Document& policy) {
  for (const Statement& line : policy.statements) {
    if (line.word == Word::kUids) first_uid_ = line.number("first");
    if (line.word == Word::kCidr) cidr_ = Subnet::unpack(line.number("subnet"));
  }
}

std::string RunModel::stand(const Document& state) {
  std::vector<Statement> lines = state.statements;
  std::ranges::sort(lines, {}, [](const Statement& line) { return std::pair(line.word, line.subject); });  // each after what it stands on
  for (Statement line : lines) {
    if (line.word == Word::kJail) line.numbers[field_index(Word::kJail, "boot")] = kBootCold;  // what it was booted from may be gone
    if (std::string failed = run(line); !failed.empty()) return print(line) + ": " + failed;
  }
  return "";
}

std::string RunModel::run(const Statement& statement) {
  switch (statement.sign) {
    case Sign::kRemove: return remove(statement);
    case Sign::kMove: return move(statement);
    default: return make(statement);
  }
}

const Statement* RunModel::find(Word word, const Subject& subject) const {
  const auto found = things_.find({word, subject});
  return found == things_.end() ? nullptr : &found->second;
}

std::string RunModel::link_of(const Statement& statement) const {
  if (statement.word == Word::kBridge) return bridge_name(bridge_view(statement).net);
  const Statement* bridge = find(Word::kBridge, tenant_subject(statement.subject.tenant));
  return tap_name(bridge_view(*bridge).net, tap_view(statement).slot);
}

std::uint64_t RunModel::uid_of(const Statement& tap) const {
  const Statement* bridge = find(Word::kBridge, tenant_subject(tap.subject.tenant));
  return instance_uid(first_uid_, cidr_, bridge_view(*bridge).subnet, tap_view(tap).slot);
}

std::string RunModel::make(const Statement& statement) {
  const Subject &subject = statement.subject, tenant = tenant_subject(subject.tenant);
  const bool has_cgroup = find(Word::kCgroup, subject) != nullptr, has_bridge = find(Word::kBridge, tenant) != nullptr;
  std::string failed;
  switch (statement.word) {
    case Word::kBridge: failed = links_.insert(link_of(statement)).second ? "" : "EEXIST: the bridge's name is taken"; break;
    case Word::kRule: failed = has_bridge ? "" : "ENODEV: no bridge"; break;
    case Word::kTap: failed = has_bridge && has_cgroup ? make_tap(statement) : "ENODEV: no bridge or no cgroup"; break;
    case Word::kLuksOpen: failed = has_cgroup && find(Word::kVolume, subject) != nullptr ? "" : "ENOENT: no volume or no cgroup"; break;
    case Word::kSecrets:
    case Word::kConfig: failed = has_cgroup ? "" : "ENOENT: no cgroup"; break;
    case Word::kJail: failed = make_jail(statement); break;
    case Word::kBase: failed = statement.sign == Sign::kNone || has_snapshot(statement) ? "" : "ENOENT: no such snapshot"; break;
    default: break;
  }
  if (!failed.empty()) return failed;
  Statement thing = statement;
  thing.sign = Sign::kNone;
  return things_.emplace(Thing{statement.word, subject}, thing).second ? "" : "EEXIST: it is there already";
}

std::string RunModel::make_tap(const Statement& tap) {
  const Subnet subnet = bridge_view(*find(Word::kBridge, tenant_subject(tap.subject.tenant))).subnet;
  if (tap_view(tap).slot >= subnet.size() - 1) return "EADDRNOTAVAIL: the address is not in the subnet";
  if (!links_.insert(link_of(tap)).second) return "EEXIST: the tap's name is taken";
  return uids_.insert(uid_of(tap)).second ? "" : "the uid is another instance's";
}

std::string RunModel::make_jail(const Statement& jail) const {
  if (find(Word::kCgroup, jail.subject) == nullptr || find(Word::kTap, jail.subject) == nullptr) return "ENOENT: no cgroup or no tap";
  const Statement* volume = find(Word::kVolume, jail.subject);
  if (volume != nullptr && volume_view(*volume).key_version != 0 && find(Word::kLuksOpen, jail.subject) == nullptr) return "the volume is locked";
  if (jail_view(jail).boot == kBootCold) return "";
  const Statement* snapshot = find(Word::kSnapshot, jail.subject);
  if (snapshot == nullptr || snapshot_digest(*snapshot) != jail_view(jail).boot_digest) return "ENOENT: no such snapshot";
  if (!is_diff(*snapshot)) return "";
  const Statement* base = find(Word::kBase, pool_subject(jail.subject.tenant, jail.subject.pool));
  return base != nullptr && snapshot_digest(*base) == snapshot_view(*snapshot).base ? "" : "ENOENT: no such base";
}

// Whether the pool has the full snapshot that the base is to be a copy of.
bool RunModel::has_snapshot(const Statement& base) const {
  return std::ranges::any_of(things_, [&](const auto& thing) {
    const Statement& line = thing.second;
    return line.word == Word::kSnapshot && !is_diff(line) && line.subject.tenant == base.subject.tenant && line.subject.pool == base.subject.pool &&
           snapshot_digest(line) == base_view(base).snapshot;
  });
}

// Why it cannot go yet, or "".
std::string RunModel::in_use(const Statement& statement) const {
  const Subject& subject = statement.subject;
  if (statement.word == Word::kBridge) {
    for (const auto& [thing, line] : things_) {
      if (line.subject.tenant == subject.tenant && (line.word == Word::kTap || line.word == Word::kRule)) return "EBUSY: taps or rules on the bridge";
    }
    return "";
  }
  if (statement.word == Word::kBase) {
    for (const auto& [thing, line] : things_) {
      if (is_diff(line) && line.subject.tenant == subject.tenant && line.subject.pool == subject.pool) return "EBUSY: a diff stands on it";
    }
    return "";
  }
  if (find(Word::kJail, subject) != nullptr && statement.word != Word::kJail && statement.word != Word::kSnapshot && statement.word != Word::kRule) return "EBUSY: a microVM runs on it";
  if (statement.word == Word::kVolume && find(Word::kLuksOpen, subject) != nullptr) return "EBUSY: the volume is open";
  if (statement.word != Word::kCgroup) return "";
  for (const Word word : {Word::kLuksOpen, Word::kSecrets, Word::kConfig, Word::kTap}) {
    if (find(word, subject) != nullptr) return "EBUSY: the anchor is not the last";
  }
  return "";
}

std::string RunModel::remove(const Statement& statement) {
  const Statement* there = find(statement.word, statement.subject);
  if (there == nullptr) return "ENOENT: it is not there";
  if (std::string busy = in_use(statement); !busy.empty()) return busy;
  if (statement.word == Word::kTap) uids_.erase(uid_of(*there));
  if (statement.word == Word::kTap || statement.word == Word::kBridge) links_.erase(link_of(*there));
  things_.erase({statement.word, statement.subject});
  return "";
}

std::string RunModel::move(const Statement& statement) {
  const auto found = things_.find({moved_word(row(statement.word)), statement.subject});
  if (found == things_.end()) return "ESRCH: no microVM, or no volume";
  if (statement.word == Word::kVolume && find(Word::kLuksOpen, statement.subject) != nullptr) return "EBUSY: the volume is open";
  if (statement.word == Word::kGuest && found->second.number("state") != kRunning) return "the guest does not run, and hears nothing";
  std::uint64_t& state = found->second.numbers[field_index(moved_word(row(statement.word)), row(statement.word).moves)];
  if (state != statement.numbers[0]) return "it is in another state";
  state = statement.numbers[1];
  return "";
}

}  // namespace mvm::lang::test
